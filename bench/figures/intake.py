"""An announced archive, from its record to its source's completion, beside curl of the same URL."""

from __future__ import annotations

import json
import time

import curl
import probe
from bench import MIB, Bench
from checks import expect
from customer import APPLICATION, identity
from figures.memory import added, idle_mib
from rows import Row, at_most, median, size

SERVICE = "intake"
OBJECT = "bench/archive"
VALID_SECONDS = 3600
# As an upload, and what the connection of the fetch holds.
TARGET_MIB = 28
WARM_UP_BYTES = 1 << 20
PATIENCE_SECONDS = 600
LOOK_SECONDS = 0.01


def measure(bench: Bench) -> list[Row]:
    archive_bytes = bench.scale.archive
    bench.servers.restart(SERVICE)
    hand_in(bench, put(bench, WARM_UP_BYTES), WARM_UP_BYTES)
    url, idle = put(bench, archive_bytes), {SERVICE: idle_mib(bench, SERVICE)}
    seconds, limits, grown = [], [], []
    for _ in range(bench.scale.rounds):
        # Both read it from the page cache.
        limits.append(fetch(url, archive_bytes))
        with bench.cores() as used:
            grown.append(added(bench, SERVICE, idle, lambda: seconds.append(hand_in(bench, url, archive_bytes))))
    bench.s3.delete(OBJECT)
    what, mebibytes = f"announced archive of {size(archive_bytes)}", archive_bytes / MIB
    return [
        Row(f"{what}: from its record to complete", median(seconds), "s", cores=used.busy),
        Row(
            f"{what}: bytes",
            mebibytes / median(seconds),
            "MiB/s",
            limit_name="curl of the same URL",
            limit=mebibytes / median(limits),
        ),
        Row(f"{SERVICE}, at its peak, adds", max(grown), "MiB", at_most(TARGET_MIB), note=f"{idle[SERVICE]:.0f} MiB idle"),
    ]


def put(bench: Bench, size_bytes: int) -> str:
    """Stores an archive; returns the URL that is announced."""
    bench.s3.curl_put(OBJECT, bench.sample.file(size_bytes))
    return bench.s3.presigned(OBJECT, VALID_SECONDS)


def fetch(url: str, size_bytes: int) -> float:
    """Seconds of a GET to nowhere."""
    done = curl.transfer(url, {})
    expect((done.status, done.downloaded_bytes) == (200, size_bytes), f"the S3 server answered {done.status}")
    return done.total


def hand_in(bench: Bench, url: str, size_bytes: int) -> float:
    """Announces an archive for a new export; returns the seconds until its source is complete."""
    export, record = bench.customer.create(), bench.folder / "record.json"
    record.write_text(json.dumps(announcement(bench, export, url)))
    begun = time.monotonic()
    probe.run(bench.servers, "send", probe.ANNOUNCED, value=record, count=1, service="exports-intake")
    while bench.customer.status(export["id"])["status"] != "complete":
        expect(time.monotonic() - begun < PATIENCE_SECONDS, "the archive was not handed in")
        time.sleep(LOOK_SECONDS)
    taken = time.monotonic() - begun
    bench.expect_complete(export, size_bytes)
    return taken


def announcement(bench: Bench, export: dict, url: str) -> dict:
    """A record with the required fields (contract page 2)."""
    answered = {"export_id": export["id"], "application": APPLICATION, "resource_id": export["sources"][0]["id"]}
    return {
        "url": url,
        "b64_identity": identity(bench.customer.username),
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "metadata": {"custom_metadata": {"export_service": answered}},
    }
