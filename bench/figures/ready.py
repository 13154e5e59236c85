"""From the last byte of an upload to the export's status being complete."""

from __future__ import annotations

import time

from bench import Bench
from checks import expect
from rows import Row, at_most, median, size


def measure(bench: Bench) -> list[Row]:
    # Not measured: the services open their connections.
    bench.store(bench.sample.block_bytes)
    return [at_size(bench, size_bytes, rounds) for size_bytes, rounds in bench.scale.transfers]


def at_size(bench: Bench, size_bytes: int, rounds: int) -> Row:
    ready, limits, cores = [], [], {}
    for _ in range(rounds):
        export = bench.customer.create()
        with bench.cores() as used:
            sent = bench.application.upload(export, bench.sample.path, size_bytes)
        begun = time.monotonic()
        status = bench.customer.status(export["id"])["status"]
        ready.append(sent.waited_ms + (time.monotonic() - begun) * 1e3)
        expect(status == "complete", f"an export is {status} right after its last upload")
        cores = used.busy
        stored = bench.expect_complete(export, size_bytes)
        limits.append(limit_ms(bench, stored))
        bench.stored[size_bytes] = stored
    return Row(
        f"last byte → ready, {size(size_bytes)}",
        median(ready),
        "ms",
        at_most(50),
        "S3 server, PUT of the compressed bytes",
        median(limits),
        cores=cores,
        note=f"{rounds} uploads, the slowest {max(ready):.0f} ms",
    )


def limit_ms(bench: Bench, stored: dict) -> float:
    """From the last byte to the answer, when the stored object is put straight to the S3 server."""
    file = bench.folder / "stored.gz"
    bench.s3.curl_get(stored["key"], file)
    sent = bench.s3.put("bench/limit", file)
    bench.s3.delete("bench/limit")
    file.unlink()
    return sent.waited_ms
