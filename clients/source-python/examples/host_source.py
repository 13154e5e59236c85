"""A sample source application: the Python packages, the disks and the release of this machine.

Everything comes from the environment: BROKERS, TOPIC, GROUP, INTERNAL_URL, APPLICATION, KEY_FILE or KEY.
"""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from export_source import Request, SourceApplication, SourceError, Table, configure_logging, resources

Read = Callable[[], Iterable[Mapping[str, object]]]


def python_packages() -> Iterator[dict[str, object]]:
    """Read the installed Python distributions."""
    for package in importlib.metadata.distributions():
        yield {
            "name": package.metadata["Name"],
            "version": package.version,
            "summary": package.metadata.json.get("summary"),
            "requires": len(package.requires or []),
        }


def disks() -> Iterator[dict[str, object]]:
    """Read the mounted file systems that have a size."""
    for line in Path("/proc/mounts").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        device, mount_point, kind, *_ = line.split(" ")
        try:
            usage = shutil.disk_usage(mount_point)
        except OSError:
            # Hidden by another mount, or not for this user.
            continue
        if usage.total:
            yield {
                "mount_point": mount_point,
                "device": device,
                "type": kind,
                "total_bytes": usage.total,
                "used_bytes": usage.used,
            }


def os_release() -> Iterator[dict[str, object]]:
    """Read /etc/os-release."""
    for name, value in platform.freedesktop_os_release().items():
        yield {"name": name, "value": value}


def filtered(read: Read, columns: list[str]) -> Callable[[Request], Table]:
    """Give the rows that pass the filters: ``{"name": "pip"}`` or ``{"name": ["pip", "httpx"]}``."""

    def answer(request: Request) -> Table:
        wanted = {column: wanted_values(column, value, columns) for column, value in request.filters.items()}
        rows = (row for row in read() if all(str(row[name]) in values for name, values in wanted.items()))
        return Table(columns, rows)

    return answer


def wanted_values(column: str, value: object, columns: list[str]) -> set[str]:
    """Give the values that pass a filter, and refuse one that cannot be applied."""
    if column not in columns:
        raise SourceError(400, f"there is no column to filter by that name; there are: {', '.join(columns)}")
    values = value if isinstance(value, list) else [value]
    if any(not isinstance(each, str | int) for each in values):
        raise SourceError(400, "a filter is a text, a whole number or a list of them")
    return {str(each) for each in values}


def main() -> None:
    """Answer until SIGTERM."""
    configure_logging()
    answer = resources(
        {
            "python-packages": filtered(python_packages, ["name", "version", "summary", "requires"]),
            "disks": filtered(disks, ["mount_point", "device", "type", "total_bytes", "used_bytes"]),
            "os-release": filtered(os_release, ["name", "value"]),
        }
    )
    SourceApplication.from_env(answer).run()


if __name__ == "__main__":
    main()
