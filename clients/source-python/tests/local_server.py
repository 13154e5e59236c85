"""An HTTP server whose answers a test decides."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


@dataclass
class Call:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    breaks: bool = False
    """Whether the connection ends instead of the answer."""


class LocalServer:
    """Answers with what `answers` holds, in turn, the last one for good; or with what `handle` says."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.answers = [Answer(202)]
        self.handle: Callable[[Call], Answer] = self._next
        local = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def answer(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                try:
                    call = Call(self.command, self.path, headers, self.read_body(headers))
                except EOFError:
                    self.close_connection = True
                    return
                local.calls.append(call)
                answer = local.handle(call)
                if answer.breaks:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            do_POST = do_GET = do_PATCH = do_HEAD = do_DELETE = answer

            def read_body(self, headers: dict[str, str]) -> bytes:
                if headers.get("transfer-encoding") != "chunked":
                    return self.rfile.read(int(headers.get("content-length", "0")))
                body = b""
                while size := int(self.rfile.readline() or self.cut_off(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def cut_off(self) -> bytes:
                raise EOFError

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def _next(self, _: Call) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
