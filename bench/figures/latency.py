"""From the request that creates an export to its event in Kafka; and what the dispatcher costs idle."""

from __future__ import annotations

import json
import time

import pgbench
import probe
from bench import Bench
from checks import expect
from customer import Customer, create_body, identity
from figures import create
from process import busy_seconds
from rows import Row, at_most

CALLER = "latency"
# Ten a second leave each request the machine to itself.
IDLE_RATE = 10


def measure(bench: Bench) -> list[Row]:
    Customer(bench.public_url, CALLER).create(create.SOURCES)
    bench.wait_drained()
    idle = at_rate(bench, IDLE_RATE, bench.scale.idle_creates)
    kafka_idle = kafka_alone(bench, IDLE_RATE, bench.scale.idle_creates)
    scale = bench.scale
    with bench.cores() as used:
        loaded = at_rate(bench, scale.rate, scale.rate * scale.rate_seconds)
    records_a_second = create.SOURCES * scale.rate
    kafka_loaded = kafka_alone(bench, records_a_second, records_a_second * scale.rate_seconds)
    floor = kafka_idle["event"]["p50_ms"] + commit_ms(bench)
    return [
        Row(
            "request → event readable, idle, median",
            idle["event"]["p50_ms"],
            "ms",
            at_most(9),
            "Kafka alone + pgbench, 1 connection",
            floor,
        ),
        Row("request → event readable, idle, p99", idle["event"]["p99_ms"], "ms"),
        Row(
            f"request → event readable, {scale.rate} creates/s, median",
            loaded["event"]["p50_ms"],
            "ms",
            limit_name="Kafka alone",
            limit=kafka_loaded["event"]["p50_ms"],
            cores=used.busy,
            note=f"{len_rate(loaded):.0f} creates a second were begun and answered",
        ),
        Row(
            f"request → event readable, {scale.rate} creates/s, p99",
            loaded["event"]["p99_ms"],
            "ms",
            at_most(250),
            "Kafka alone",
            kafka_loaded["event"]["p99_ms"],
        ),
        Row(f"create answered, {scale.rate} creates/s, p99", loaded["answer"]["p99_ms"], "ms"),
        idle_dispatcher(bench),
    ]


def at_rate(bench: Bench, rate: int, count: int) -> dict:
    body = bench.folder / "latency-body.json"
    body.write_text(json.dumps(create_body(create.SOURCES)))
    report = probe.run(
        bench.servers,
        "events",
        probe.TOPIC,
        public_url=bench.public_url,
        identity=identity(CALLER),
        body=body,
        rate=rate,
        count=count,
    )
    lost, repeated = report["missing"], report["duplicates"]
    expect(lost == 0 and repeated == 0, f"{lost} events are missing, {repeated} came twice")
    expect(report["accepted"] == count, f"{report['accepted']} of {count} creates were accepted")
    return report


def len_rate(report: dict) -> float:
    return report["accepted"] / report["seconds"]


def kafka_alone(bench: Bench, rate: int, count: int) -> dict:
    length = len(create.pgbench_variables()["payload"]) // 2
    report = probe.run(bench.servers, "kafka", probe.LIMIT_TOPIC, bytes=length, rate=rate, count=count)
    expect(report["events"] == report["expected"], "Kafka lost records")
    return report


def commit_ms(bench: Bench) -> float:
    """The median of the creating statement alone, on one connection."""
    limit_database = create.limit_database(bench)
    variables = create.pgbench_variables()
    return pgbench.run(limit_database, "create.sql", 1, bench.scale.idle_seconds, **variables).p50


def idle_dispatcher(bench: Bench) -> Row:
    bench.wait_drained()
    pid, seconds = bench.servers.pid("dispatcher"), bench.scale.idle_seconds
    before = busy_seconds(pid)
    time.sleep(seconds)
    percent = 100 * (busy_seconds(pid) - before) / seconds
    return Row(f"idle dispatcher over {seconds} s", percent, "% of a core", at_most(1))
