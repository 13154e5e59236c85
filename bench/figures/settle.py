"""Exports from their creation to their end: many of them, large ones, and large uploads at once."""

from __future__ import annotations

import json

import probe
from bench import MIB, Bench
from checks import expect
from customer import APPLICATION, RESOURCES, identity
from rows import Row, size

# Of the small ones: what one page of a table is.
SMALL_BYTES = 4096
PARALLEL = 64


def measure(bench: Bench) -> list[Row]:
    many, sources, wide, uploads, upload_bytes = bench.scale.settle
    rows = of_many(bench, many, sources)
    rows += of_one(bench, wide)
    rows += of_large(bench, uploads, upload_bytes)
    return rows


def of_many(bench: Bench, exports: int, sources: int) -> list[Row]:
    """So many exports of so many sources each."""
    bench.wait_drained()
    before = database_bytes(bench)
    with bench.cores() as used:
        report = settle(bench, exports, sources, SMALL_BYTES)
    bench.wait_drained()
    grown = database_bytes(bench) - before
    what = f"{exports:,} exports of {sources} sources"
    settled = report["upload_seconds"]
    return [
        Row(f"{what}: creates", exports / report["create_seconds"], "/s", cores=used.busy, note=p99(report, "create")),
        Row(f"{what}: events", report["events"] / report["event_seconds"], "/s", note="from the first create on"),
        Row(f"{what}: uploads of {size(SMALL_BYTES)}", report["sources"] / settled, "/s", note=p99(report, "upload")),
        Row(f"{what}: completions", exports / settled, "/s"),
        Row(f"{what}: database after", grown / MIB, "MiB", note=f"{grown / report['sources']:,.0f} bytes a source"),
    ]


def of_one(bench: Bench, sources: int) -> list[Row]:
    """One export whose answers all wait for its row."""
    with bench.cores() as used:
        report = settle(bench, 1, sources, SMALL_BYTES)
    what = f"1 export of {sources:,} sources"
    rate = report["sources"] / report["upload_seconds"]
    return [
        Row(f"{what}: create", report["create_seconds"] * 1e3, "ms"),
        Row(f"{what}: uploads of {size(SMALL_BYTES)}", rate, "/s", cores=used.busy, note=p99(report, "upload")),
    ]


def of_large(bench: Bench, uploads: int, upload_bytes: int) -> list[Row]:
    """So many uploads at once."""
    with bench.cores() as used:
        report = settle(bench, uploads, 1, upload_bytes)
    rate = report["uploaded_bytes"] / report["upload_seconds"] / 1e6
    what = f"{uploads} uploads of {size(upload_bytes)} at once"
    return [Row(what, rate, "MB/s", cores=used.busy, note=p99(report, "upload"))]


def settle(bench: Bench, exports: int, sources: int, data_bytes: int) -> dict:
    """Runs the probe, and checks that nothing is missing and nothing too many."""
    body = bench.folder / "settle-body.json"
    wanted = [{"application": APPLICATION, "resource": RESOURCES[place % 2]} for place in range(sources)]
    body.write_text(json.dumps({"name": "Nightly inventory", "format": "json", "sources": wanted}))
    report = probe.run(
        bench.servers,
        "settle",
        probe.TOPIC,
        public_url=bench.public_url,
        internal_url=bench.application.internal_url,
        identity=identity("settler"),
        application=APPLICATION,
        psk=bench.application.headers["x-rh-exports-psk"],
        body=body,
        data=bench.sample.file(data_bytes),
        exports=exports,
        parallel=PARALLEL,
    )
    expect(report["complete"] == exports, f"{report['complete']} of {exports} exports are complete")
    expected = exports * sources
    expect(report["events"] == expected, f"{report['events']} events came of {expected} sources")
    return report


def database_bytes(bench: Bench) -> int:
    """What stays: without the rows that other parts of the run have left behind them."""
    bench.database.rows("VACUUM")
    return bench.database.number("SELECT pg_database_size(current_database())")


def p99(report: dict, step: str) -> str:
    return f"p99 {report[step]['p99_ms']:.0f} ms"
