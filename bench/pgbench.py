"""The same statements by pgbench: what PostgreSQL can do on this machine without anything around it."""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from checks import expect
from database import Database, program

SCRIPTS = Path(__file__).resolve().parent / "pgbench"


@dataclass(frozen=True)
class Limit:
    """Times in milliseconds."""

    rate: float
    p50: float
    p99: float


def run(database: Database, script: str, clients: int, seconds: int, **variables: object) -> Limit:
    """Runs a script with prepared statements, with so many connections, for so many seconds."""
    threads = min(2, clients)
    command = [program("pgbench"), "-n", "-M", "prepared", f"-c{clients}", f"-j{threads}", f"-T{seconds}"]
    command += ["-f", str(SCRIPTS / script)]
    for name, value in variables.items():
        command += ["-D", f"{name}={value}"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [*command, "--log", "--log-prefix", f"{folder}/log"],
            env=database.environment,
            capture_output=True,
            text=True,
            timeout=seconds + 120,
            check=False,
        )
        expect(done.returncode == 0, f"pgbench failed: {done.stderr}")
        latencies = sorted(latencies_ms(Path(folder)))
    return Limit(rate(done.stdout), percentile(latencies, 50), percentile(latencies, 99))


def rate(output: str) -> float:
    found = re.search(r"^tps = ([\d.]+)", output, re.MULTILINE)
    failed = re.search(r"^number of failed transactions: (\d+)", output, re.MULTILINE)
    expect(found is not None and (failed is None or failed[1] == "0"), f"pgbench says:\n{output}")
    return float(found[1]) if found else 0.0


def latencies_ms(folder: Path) -> list[float]:
    """The third field of each line of the logs is the time in microseconds."""
    lines = (line for log in folder.iterdir() for line in log.read_text().splitlines())
    return [int(line.split()[2]) / 1e3 for line in lines]


def percentile(ordered: list[float], percent: int) -> float:
    """The nearest rank."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
