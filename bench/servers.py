"""The platform under measurement: the separate services on real servers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from customer import OPENER

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).absolute()

# Everything else is as delivered: logs, pools, timeouts.
SETTINGS = """\
# One caller makes all the load; and an upload of 5 GiB is measured.
[public_api.rate_limit]
enabled = false

[internal_api]
max_upload_bytes = "8GiB"

# Announced archives lie on this machine.
[intake]
max_upload_bytes = "8GiB"
[intake.fetch]
allow_http = true
allow_networks = ["127.0.0.0/8"]
[applications.exampleApplication]
announce_hosts = ["127.0.0.1"]
"""

# Building it all for the first time takes some minutes on a small machine.
START_SECONDS = 3600
RESTART_SECONDS = 60
STOP_SECONDS = 90


class Servers:
    """Started by `with`, on an empty data directory; stopped at its end."""

    def __init__(self, folder: Path, release: bool, build: bool, keep: bool):
        self.data, self.ready_file = folder / "data", folder / "ready.json"
        self.log, self.settings = folder / "launcher.log", folder / "settings.toml"
        self.profile, self.build, self.keep = "release" if release else "debug", build, keep
        self.ready: dict = {}

    def __enter__(self) -> Servers:
        shutil.rmtree(self.data, ignore_errors=True)
        self.ready_file.unlink(missing_ok=True)
        self.settings.write_text(SETTINGS)
        # Should this process be killed, the servers stop as well.
        command = ["setpriv", "--pdeathsig", "TERM", "--", *self.command()]
        with self.log.open("w") as log:
            self.launcher = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            self.wait_ready(START_SECONDS)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if not self.keep:
            shutil.rmtree(self.data, ignore_errors=True)

    def command(self) -> list[str]:
        options = ["--services", "--no-demo", "--data", self.data, "--ready-file", self.ready_file]
        options += ["--config", self.settings]
        if not self.build:
            return [str(part) for part in (self.binary("launcher"), *options)]
        release = ["--release"] if self.profile == "release" else []
        return [str(part) for part in (ROOT / "scripts/run", *release, *options)]

    def binary(self, name: str) -> Path:
        """A program of the build that is measured."""
        return TARGET / self.profile / name

    def wait_ready(self, seconds: float, unlike: dict | None = None) -> None:
        """Waits for the ready file, with other process ids than those of `unlike`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.launcher.poll() is not None:
                raise RuntimeError(f"the platform did not start:\n{self.tail()}")
            if self.ready_file.exists():
                self.ready = json.loads(self.ready_file.read_text())
                if unlike is None or all(self.ready["pids"].get(name) != pid for name, pid in unlike.items()):
                    return
            time.sleep(0.1)
        raise RuntimeError(f"the platform was not ready within {seconds} s:\n{self.tail()}")

    def pid(self, service: str) -> int:
        return self.ready["pids"][service]

    def metric(self, service: str, name: str) -> float:
        """A figure that a service tells of itself; 0 as long as it does not."""
        with OPENER.open(self.ready["metrics"][service], timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))

    def restart(self, *services: str) -> None:
        """Ends services and waits until the launcher has started them again: as good as new."""
        old = {service: self.pid(service) for service in services}
        for pid in old.values():
            os.kill(pid, signal.SIGTERM)
        self.wait_ready(RESTART_SECONDS, unlike=old)

    def stop(self) -> None:
        self.launcher.terminate()
        try:
            self.launcher.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.launcher.kill()
            self.launcher.wait()

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])
