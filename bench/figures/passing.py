"""Announcements for others: how fast intake passes them by, beside a consumer that only reads them."""

from __future__ import annotations

import os
import random
import signal
import time

import probe
from bench import Bench
from checks import expect
from rows import Row, at_least

# As long as announcements are with their URL and their identity.
RECORD_BYTES = 1500
TARGET_PER_SECOND = 20_000
SERVICE = "intake"
PASSED = 'announced_records_total{outcome="passed_over"'
OTHERS = 'announced_records_total{outcome="'
PATIENCE_SECONDS = 300
# The service brings its counter up to date once a second.
LOOK_SECONDS = 0.02


def measure(bench: Bench) -> list[Row]:
    count, servers = bench.scale.passing, bench.servers
    value = bench.folder / "announcement"
    # Letters and digits, as in base64: it must not become small on its way.
    draw = random.Random(2)
    value.write_text("".join(draw.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop0123456789", k=RECORD_BYTES)))
    before, handled_before = servers.metric(SERVICE, PASSED), servers.metric(SERVICE, OTHERS)
    # While it stands still, all of them pile up.
    os.kill(servers.pid(SERVICE), signal.SIGSTOP)
    try:
        probe.run(servers, "send", probe.ANNOUNCED, value=value, count=count, service="another")
    finally:
        os.kill(servers.pid(SERVICE), signal.SIGCONT)
    with bench.cores() as used:
        told = follow(bench, before, before + count)
    handled = servers.metric(SERVICE, OTHERS) - handled_before
    expect(handled == count, f"{handled:.0f} records were looked at of {count:,}")
    bare = probe.run(servers, "take", probe.ANNOUNCED, count=count)
    return [
        Row(
            f"records of {RECORD_BYTES:,} bytes for others",
            rate(told),
            "/s",
            at_least(TARGET_PER_SECOND),
            limit_name="a consumer that does nothing",
            limit=bare["records"] / bare["seconds"],
            cores=used.busy,
            note=f"{count:,} records, one process",
        )
    ]


def follow(bench: Bench, before: float, end: float) -> list[tuple[float, float]]:
    """When the counter was seen at which value, from its first change until all have passed."""
    told, deadline = [(time.monotonic(), before)], time.monotonic() + PATIENCE_SECONDS
    while told[-1][1] < end:
        expect(time.monotonic() < deadline, f"only {told[-1][1] - before:.0f} records have passed")
        time.sleep(LOOK_SECONDS)
        passed = bench.servers.metric(SERVICE, PASSED)
        if passed != told[-1][1]:
            told.append((time.monotonic(), passed))
    return told


def rate(told: list[tuple[float, float]]) -> float:
    """Records a second between two steps of the counter: neither the group's forming nor the last part of a second
    counts, where there is more than that."""
    (begun, first), (ended, last) = (told[1], told[-2]) if len(told) > 3 else (told[0], told[-1])
    return (last - first) / (ended - begun)
