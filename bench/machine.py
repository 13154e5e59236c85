"""What was measured on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from pathlib import Path

from database import program
from servers import ROOT


def describe(folder: Path) -> dict[str, str]:
    """The machine and the versions, by what they are of. `folder` is where the data goes."""
    return {
        "processor": f"{processor()}, {os.cpu_count()} cores, shared by services, servers and load",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / (1 << 30):.1f} GiB",
        "system": f"{system()}, kernel {platform.release()}",
        "file system": file_system(folder),
        "disk": f"{fdatasync_rate(folder)} (pg_test_fsync: write 8 KiB and fdatasync)",
        "PostgreSQL": said([program("postgres"), "--version"]).removeprefix("postgres (PostgreSQL) "),
        "Apache Kafka": pinned("KAFKA_VERSION"),
        "S3 server": f"SeaweedFS {pinned('SEAWEEDFS_VERSION')}",
        "rustc": said(["rustc", "--version"]).removeprefix("rustc "),
        "load": ", ".join((said(["wrk", "-v"])[:10].strip(), said([program("pgbench"), "--version"]), curl())),
    }


def busy_percent(seconds: float) -> float:
    """How much of the processor others use, watched for so long: more than a few percent spoil figures."""
    before = idle_and_all()
    time.sleep(seconds)
    after = idle_and_all()
    idle, whole = (late - early for late, early in zip(after, before, strict=True))
    return round(100 * (1 - idle / whole), 1)


def idle_and_all() -> tuple[int, int]:
    ticks = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)


def commit() -> str:
    """The commit that is measured; `+` when files were changed since."""
    changed = said(["git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no"])
    return said(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]) + ("+" if changed else "")


def processor() -> str:
    fields = dict(
        (part.strip() for part in line.split(":", 1))
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if ":" in line
    )
    return fields.get("model name", platform.machine())


def system() -> str:
    release = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line
    )
    return release.get("PRETTY_NAME", "Linux").strip('"')


def file_system(folder: Path) -> str:
    return said(["stat", "-f", "-c", "%T", str(folder)])


def fdatasync_rate(folder: Path) -> str:
    """`1234 a second`: what a commit waits for."""
    scratch = folder / "fsync-test"
    told = said([program("pg_test_fsync"), "-s", "2", "-f", str(scratch)])
    scratch.unlink(missing_ok=True)
    # The first one is that of a single write.
    found = re.search(r"^\s*fdatasync\s+([\d.]+) ops/sec", told, re.MULTILINE)
    return f"{float(found[1]):,.0f} a second" if found else "unknown"


def pinned(variable: str) -> str:
    """A version from scripts/lib/versions.env."""
    text = (ROOT / "scripts/lib/versions.env").read_text()
    found = re.search(rf"^{variable}=(\S+)", text, re.MULTILINE)
    return found[1] if found else "unknown"


def curl() -> str:
    return " ".join(said(["curl", "--version"]).split()[:2])


def said(command: list[str]) -> str:
    """What a command says; empty when it cannot be run. Some say it and fail."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    except OSError:
        return ""
    return (done.stdout + done.stderr).strip()
