"""Transfers by curl, which is what a figure and its limit are both measured with."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

TRANSFER_SECONDS = 600


@dataclass(frozen=True)
class Transfer:
    """Times are seconds from the begin of the request."""

    status: int
    first_byte: float
    total: float
    downloaded_bytes: int


def transfer(url: str, headers: dict[str, str], *options: str, output: Path | None = None) -> Transfer:
    """One request; the answer's body goes to `output` or nowhere."""
    command = ["curl", "-sS", "--noproxy", "*", "--max-time", str(TRANSFER_SECONDS), *options]
    command += ["-o", str(output or "/dev/null"), "-w", "%{json}"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    # What lies in the page cache unwritten would be written at this one's cost.
    os.sync()
    done = subprocess.run([*command, url], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"curl {url} failed: {done.stderr.strip()}")
    told = json.loads(done.stdout)
    return Transfer(
        told["http_code"], told["time_starttransfer"], told["time_total"], int(told["size_download"])
    )
