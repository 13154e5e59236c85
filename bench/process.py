"""What /proc tells about processes: processor time and memory."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

# How programs are called in the table, by the name the kernel knows them by (15 characters).
PROGRAMS = {"java": "Kafka", "weed": "S3 server", "postgres": "PostgreSQL"}


class Cores:
    """Counts the processor time of the platform, its servers and the load within a `with` block.

    `launcher` is the process that started the platform; everything below it is counted.
    """

    def __init__(self, launcher: int):
        self.launcher = launcher
        self.busy: dict[str, float] = {}

    def __enter__(self) -> Cores:
        self.begun, self.before = time.monotonic(), self.seconds()
        return self

    def __exit__(self, *_: object) -> None:
        wall = time.monotonic() - self.begun
        after = self.seconds()
        shares = {name: (used - self.before.get(name, 0)) / wall for name, used in after.items()}
        self.busy = {name: round(share, 3) for name, share in shares.items() if share >= 0.005}

    def seconds(self) -> dict[str, float]:
        """Seconds used so far, by program, ended children included."""
        own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        used = {"load": own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime}
        for pid in descendants(self.launcher):
            try:
                name, ticks = name_and_ticks(pid)
            except FileNotFoundError:
                continue  # It has just ended; its parent counts it now.
            program = PROGRAMS.get(name, name)
            used[program] = used.get(program, 0) + ticks / TICKS_PER_SECOND
        return used


def descendants(root: int) -> list[int]:
    """`root` and everything below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int(stat_fields(int(entry.name))[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, pending = [], [root]
    while pending:
        pid = pending.pop()
        found.append(pid)
        pending.extend(children.get(pid, []))
    return found


def stat_fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third (state) on."""
    text = Path(f"/proc/{pid}/stat").read_text()
    # The name stands in parentheses and may hold any character.
    return text[text.rindex(")") + 2 :].split()


def name_and_ticks(pid: int) -> tuple[str, int]:
    """The program's name, and clock ticks used by it and by its ended children."""
    fields = stat_fields(pid)
    return Path(f"/proc/{pid}/comm").read_text().strip(), sum(int(ticks) for ticks in fields[11:15])


def busy_seconds(pid: int) -> float:
    """Processor time of a process to the nanosecond: ticks are too coarse for one that idles."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def memory_mib(pid: int) -> float:
    """Resident memory now."""
    return status_kib(pid, "VmRSS") / 1024


def peak_memory_mib(pid: int) -> float:
    """The most resident memory since the last `reset_peak_memory`."""
    return status_kib(pid, "VmHWM") / 1024


def reset_peak_memory(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def status_kib(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise ProcessLookupError(f"process {pid} has ended")
