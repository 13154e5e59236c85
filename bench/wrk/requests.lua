-- Sends the requests of a file in turn: each line is METHOD, PATH, IDENTITY, separated by tabs. The second
-- argument, when there is one, is a file with the body of all of them.
local folder = debug.getinfo(1, "S").source:match("^@(.*/)")
dofile(folder .. "report.lua")

local threads = 0
local requests, at = {}, 0

-- Each thread begins at another place of the file.
function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end

function init(arguments)
  local body
  if arguments[2] then
    local file = assert(io.open(arguments[2], "rb"))
    body = file:read("*a")
    file:close()
  end
  for line in io.lines(arguments[1]) do
    local method, path, identity = line:match("^(%S+)\t(%S+)\t(%S+)$")
    local headers = { ["x-rh-identity"] = identity }
    if body then headers["Content-Type"] = "application/json" end
    requests[#requests + 1] = wrk.format(method, path, headers, body)
  end
  at = math.floor((number - 1) * #requests / 2)
end

function request()
  at = at % #requests + 1
  return requests[at]
end
