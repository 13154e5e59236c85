"""Downloads of archives, beside fetching the stored object straight from the S3 server."""

from __future__ import annotations

import archive
import curl
from bench import Bench
from checks import expect
from rows import Row, at_least, at_most, median, size


def measure(bench: Bench) -> list[Row]:
    rows = []
    for size_bytes, rounds in bench.scale.transfers:
        rows += at_size(bench, size_bytes, rounds)
    return rows


def at_size(bench: Bench, size_bytes: int, rounds: int) -> list[Row]:
    stored = bench.store(size_bytes)
    archive_bytes = check(bench, stored, size_bytes)
    downloads, limits, cores = [], [], {}
    for _ in range(rounds):
        with bench.cores() as used:
            downloads.append(fetch(bench, stored))
        limits.append(bench.s3.curl_get(stored["key"]))
        cores = used.busy
    expect(all(done.downloaded_bytes == archive_bytes for done in downloads), "a download was cut")
    expect(all(done.downloaded_bytes == stored["stored_bytes"] for done in limits), "an object was cut")
    what = f"download, {size(size_bytes)} of JSON in {archive_bytes / 1e6:,.1f} MB"
    return [
        Row(
            what,
            rate(downloads),
            "MB/s",
            limit_name="curl GET of the object",
            limit=rate(limits),
            ratio_target=at_least(0.8),
            cores=cores,
        ),
        Row(
            f"{what}: first byte",
            median([done.first_byte for done in downloads]) * 1e3,
            "ms",
            at_most(20),
            "curl GET of the object",
            median([done.first_byte for done in limits]) * 1e3,
        ),
    ]


def rate(transfers: list[curl.Transfer]) -> float:
    return median([done.downloaded_bytes / done.total / 1e6 for done in transfers])


def fetch(bench: Bench, stored: dict, output=None) -> curl.Transfer:
    customer = bench.customer
    url = customer.archive_url(stored["export"]["id"])
    done = curl.transfer(url, customer.headers, output=output)
    expect(done.status == 200, f"a download was answered {done.status}")
    return done


def check(bench: Bench, stored: dict, size_bytes: int) -> int:
    """Downloads once to look at every byte; returns the length of the archive."""
    file = bench.folder / "archive.zip"
    done = fetch(bench, stored, file)
    archive.check(file, stored["export"], size_bytes, bench.sample.sha256(size_bytes))
    file.unlink()
    return done.downloaded_bytes
