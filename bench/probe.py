"""The program in bench/probe, which measures with one clock at both ends."""

from __future__ import annotations

import json
import os
import subprocess

from servers import Servers

TOPIC = "platform.export.requests"
ANNOUNCED = "platform.upload.announce"
# Of the same size as a request event of ours, and not read by anybody.
LIMIT_TOPIC = "bench.limit"

PROBE_SECONDS = 600


def run(servers: Servers, command: str, topic: str, **options: object) -> dict:
    """Runs a command of the probe and returns its report."""
    arguments = [str(servers.binary("bench-probe")), command]
    arguments += ["--brokers", servers.ready["kafka_brokers"], "--topic", topic]
    for name, value in options.items():
        arguments += [f"--{name.replace('_', '-')}", str(value)]
    environment = os.environ | {"RUST_BACKTRACE": "0"}
    done = subprocess.run(
        arguments, env=environment, capture_output=True, text=True, timeout=PROBE_SECONDS, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the probe failed:\n{done.stderr}")
    return json.loads(done.stdout)


def records(servers: Servers) -> int:
    """How many records the topic of request events has taken."""
    return run(servers, "end-offsets", TOPIC)["records"]
