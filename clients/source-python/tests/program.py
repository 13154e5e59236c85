"""An application as a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
FOLDERS = (HERE.parent / "examples", HERE / "applications")


class Program:
    """Runs `<name>.py` of the examples or of the tests' applications. Its output goes to a file."""

    def __init__(self, name: str, environment: dict[str, str], log: Path) -> None:
        [script] = [folder / f"{name}.py" for folder in FOLDERS if (folder / f"{name}.py").exists()]
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
