"""Load over HTTP by wrk: so many connections, each sending its next request once it has its answer."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from checks import expect

SCRIPTS = Path(__file__).resolve().parent / "wrk"
WARM_UP_SECONDS = 2


@dataclass(frozen=True)
class Load:
    """Times in milliseconds. `requests` were answered, all of them well."""

    rate: float
    p50: float
    p99: float
    requests: int


def run(url: str, script: str, connections: int, seconds: int, *arguments: str) -> tuple[Load, int]:
    """Sends load for so many seconds, after a short one that is not measured. Also returns how many requests
    were answered in both together."""
    warm_up = once(url, script, connections, WARM_UP_SECONDS, arguments)
    load = once(url, script, connections, seconds, arguments)
    return load, warm_up.requests + load.requests


def once(url: str, script: str, connections: int, seconds: int, arguments: tuple[str, ...]) -> Load:
    threads = min(2, connections)
    command = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
    command += ["-s", str(SCRIPTS / script), url, "--", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)
    expect(done.returncode == 0, f"wrk failed: {done.stderr}")
    return parse(done.stdout)


def parse(output: str) -> Load:
    """Reads what wrk/report.lua prints last."""
    told = json.loads(output.splitlines()[-1])
    expect(not any(told["errors"].values()), f"requests went wrong: {told['errors']}")
    expect(told["requests"] > 0, "not one request was answered")
    seconds = told["duration_us"] / 1e6
    return Load(
        told["requests"] / seconds, told["p50_us"] / 1e3, told["p99_us"] / 1e3, told["requests"]
    )
