"""An application as a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SAMPLE = HERE.parent / "examples/host_source.py"
STEADY, WAITING = (HERE / f"applications/{name}.py" for name in ("steady", "waiting"))


class Program:
    """Runs a script. Its output goes to a file."""

    def __init__(self, script: Path, environment: dict[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, script],
                env=os.environ | {"PYTHONPATH": str(HERE.parent / "src")} | environment,
                stdout=output,
                stderr=output,
            )

    def log(self) -> str:
        return self._log.read_text()

    def send_sigterm(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        return self._process.wait(60)

    def terminate(self) -> int:
        self.send_sigterm()
        return self.wait()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(60)

    def peak_memory(self) -> int:
        """Give the most bytes that were resident."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        [kibibytes] = re.findall(r"VmHWM:\s+(\d+) kB", status)
        return int(kibibytes) * 1024
