"""Resident memory: idle, and what each running upload and download adds to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from bench import KIB, Bench
from figures import download
from process import memory_mib, peak_memory_mib, reset_peak_memory
from rows import Row, at_most, size

PARALLEL = 4
UPLOADS, DOWNLOADS = "internal-api", "public-api"
IDLE_TARGET_MIB = 40
UPLOAD_TARGET_MIB = 24
DOWNLOAD_TARGET_MIB = 4
# Threads and buffers of what just ended.
SETTLE_SECONDS = 2


def measure(bench: Bench) -> list[Row]:
    bench.servers.restart(UPLOADS, DOWNLOADS)
    # A little work first, so that code and connections are there: what is added later is the transfers'.
    bench.stored.clear()
    download.fetch(bench, bench.store(64 * KIB))
    idle = {service: idle_mib(bench, service) for service in (UPLOADS, DOWNLOADS)}
    rows = [
        Row(f"{service} idle", resident, "MiB", at_most(IDLE_TARGET_MIB)) for service, resident in idle.items()
    ]
    for size_bytes in bench.scale.memory:
        rows += at_size(bench, size_bytes, idle)
    rows += in_parallel(bench, bench.scale.memory[0], idle)
    for service in idle:
        rows.append(Row(f"{service} idle again, after all that", idle_mib(bench, service), "MiB"))
    return rows


def at_size(bench: Bench, size_bytes: int, idle: dict[str, float]) -> list[Row]:
    def upload() -> None:
        bench.store(size_bytes)

    def fetch() -> None:
        download.fetch(bench, bench.store(size_bytes))

    uploading = added(bench, UPLOADS, idle, upload)
    downloading = added(bench, DOWNLOADS, idle, fetch)
    return [
        Row(f"{UPLOADS}, upload of {size(size_bytes)} adds", uploading, "MiB", at_most(UPLOAD_TARGET_MIB)),
        Row(f"{DOWNLOADS}, download of it adds", downloading, "MiB", at_most(DOWNLOAD_TARGET_MIB)),
    ]


def in_parallel(bench: Bench, size_bytes: int, idle: dict[str, float]) -> list[Row]:
    exports = [bench.customer.create() for _ in range(PARALLEL)]
    stored = bench.store(size_bytes)

    def uploads() -> None:
        with ThreadPoolExecutor(PARALLEL) as pool:
            list(pool.map(lambda export: bench.application.upload(export, bench.sample.path, size_bytes), exports))

    def downloads() -> None:
        with ThreadPoolExecutor(PARALLEL) as pool:
            list(pool.map(lambda _: download.fetch(bench, stored), range(PARALLEL)))

    uploading = added(bench, UPLOADS, idle, uploads) / PARALLEL
    for export in exports:
        bench.expect_complete(export, size_bytes)
    downloading = added(bench, DOWNLOADS, idle, downloads) / PARALLEL
    what = f"{PARALLEL} at once, of {size(size_bytes)}: each adds"
    return [
        Row(f"{UPLOADS}, uploads, {what}", uploading, "MiB", at_most(UPLOAD_TARGET_MIB)),
        Row(f"{DOWNLOADS}, downloads, {what}", downloading, "MiB", at_most(DOWNLOAD_TARGET_MIB)),
    ]


def added(bench: Bench, service: str, idle: dict[str, float], work: Callable[[], None]) -> float:
    """The peak during `work` beyond what the service took idle: what it keeps from earlier work counts."""
    pid = bench.servers.pid(service)
    reset_peak_memory(pid)
    work()
    return peak_memory_mib(pid) - idle[service]


def idle_mib(bench: Bench, service: str) -> float:
    time.sleep(SETTLE_SECONDS)
    return memory_mib(bench.servers.pid(service))
