"""An upload, beside sending the same bytes straight to the S3 server, raw and compressed."""

from __future__ import annotations

from bench import Bench
from rows import Row, at_most, median, size

# One that is not measured: the services open their connections, the S3 server makes its volumes.
WARM_UP_BYTES = 1 << 20


def measure(bench: Bench) -> list[Row]:
    upload_bytes = bench.scale.upload
    raw, compressed = bench.sample.file(upload_bytes), bench.folder / "compressed.gz"
    once(bench, WARM_UP_BYTES)
    uploads, raw_puts, compressed_puts, cores = [], [], [], {}
    for round_number in range(bench.scale.rounds):
        with bench.cores() as used:
            stored, seconds = once(bench, upload_bytes)
        uploads.append(seconds)
        cores = used.busy
        if round_number == 0:
            bench.s3.curl_get(stored["key"], compressed)
        raw_puts.append(put(bench, raw))
        compressed_puts.append(put(bench, compressed))
    what = f"upload {size(upload_bytes)} of JSON"
    ratio = upload_bytes / stored["stored_bytes"]
    seconds = median(uploads)
    note = f"{upload_bytes / seconds / 1e6:.0f} MB/s, stored as 1/{ratio:.1f}"
    compressed.unlink()
    bench.stored[upload_bytes] = stored
    return [
        Row(
            what,
            seconds,
            "s",
            limit_name="curl PUT of the raw bytes",
            limit=median(raw_puts),
            ratio_target=at_most(0.5),
            cores=cores,
            note=note,
        ),
        Row(what, seconds, "s", limit_name="curl PUT of the compressed bytes", limit=median(compressed_puts)),
    ]


def once(bench: Bench, size_bytes: int) -> tuple[dict, float]:
    """An upload by curl; returns the stored object and the seconds it took."""
    export = bench.customer.create()
    done = bench.application.curl_upload(export, bench.sample.file(size_bytes))
    return bench.expect_complete(export, size_bytes), done.total


def put(bench: Bench, file) -> float:
    """Seconds of a PUT of a file to the S3 server."""
    done = bench.s3.curl_put("bench/limit", file)
    bench.s3.delete("bench/limit")
    return done.total
