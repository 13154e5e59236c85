"""Creating exports with two sources each, while the dispatcher empties the outbox."""

from __future__ import annotations

import json
from pathlib import Path

import pgbench
import probe
import wrk
from bench import Bench
from checks import expect
from customer import ACCOUNT, APPLICATION, EXPORTS, ORG_ID, Customer, create_body, identity
from database import Database
from rows import Row, at_least, at_most, median

# Requests come from so many callers in turn: `creator-1` and on.
CALLERS = 64
SOURCES = 2
# By connections.
P99_TARGETS_MS = {16: 40, 64: 100}


def measure(bench: Bench) -> list[Row]:
    arguments = wrk_arguments(bench.folder)
    for caller in range(1, CALLERS + 1):
        Customer(bench.public_url, f"creator-{caller}").create(SOURCES)
    bench.wait_drained()
    rows = []
    for connections, p99_target in P99_TARGETS_MS.items():
        rows += measure_with(bench, connections, p99_target, arguments)
    return rows


def measure_with(bench: Bench, connections: int, p99_target: float, arguments: list[str]) -> list[Row]:
    loads, limits, drained, cores = [], [], [], []
    for _ in range(bench.scale.rounds):
        limits.append(
            pgbench.run(
                limit_database(bench), "create.sql", connections, bench.scale.seconds, **pgbench_variables()
            )
        )
        bench.database.rows("CHECKPOINT")
        before = Counts(bench)
        with bench.cores() as used:
            load, answered = wrk.run(
                bench.public_url, "requests.lua", connections, bench.scale.seconds, *arguments
            )
        drained.append(bench.wait_drained())
        before.expect_more(bench, answered, connections)
        loads.append(load)
        cores.append(used.busy)
    what = f"create, {connections} connections"
    note = f"outbox empty {median(drained):.1f} s after the last request"
    rate = median([load.rate for load in loads])
    return [
        Row(
            what,
            rate,
            "/s",
            at_least(2500),
            "pgbench",
            median([limit.rate for limit in limits]),
            at_least(0.5),
            cores[-1],
            note,
        ),
        Row(
            f"{what}, p50",
            median([load.p50 for load in loads]),
            "ms",
            limit_name="pgbench",
            limit=median([limit.p50 for limit in limits]),
        ),
        Row(
            f"{what}, p99",
            median([load.p99 for load in loads]),
            "ms",
            at_most(p99_target),
            "pgbench",
            median([limit.p99 for limit in limits]),
        ),
    ]


class Counts:
    """Exports in the database and records in Kafka, at a moment at which the outbox is empty."""

    def __init__(self, bench: Bench):
        self.exports = bench.database.number("SELECT count(*) FROM exports")
        self.records = probe.records(bench.servers)

    def expect_more(self, bench: Bench, answered: int, connections: int) -> None:
        """Every answered request is an export, and every export led to its events, once each."""
        now = Counts(bench)
        exports, records = now.exports - self.exports, now.records - self.records
        # Each of the two runs of wrk leaves at most one request per connection unanswered.
        most = answered + 2 * connections
        expect(answered <= exports <= most, f"{answered} creates were accepted, {exports} exports came of them")
        expect(records == SOURCES * exports, f"{exports} exports led to {records} events")


def limit_database(bench: Bench) -> Database:
    """A database with the platform's tables, empty but for the callers, that nobody else works on."""
    database = bench.database.sibling("bench_create_limit")
    database.rows(
        "TRUNCATE owners, exports, resources, outbox, export_count_deltas CASCADE; "
        "INSERT INTO owners (org_id, account, username) "
        f"SELECT '{ORG_ID}', '{ACCOUNT}', 'creator-' || n FROM generate_series(1, {CALLERS}) n;\n"
        "CHECKPOINT;"
    )
    return database


def wrk_arguments(folder: Path) -> list[str]:
    requests, body = folder / "create-requests.txt", folder / "create-body.json"
    lines = (f"POST\t{EXPORTS}\t{identity(f'creator-{caller}')}\n" for caller in range(1, CALLERS + 1))
    requests.write_text("".join(lines))
    body.write_text(json.dumps(create_body(SOURCES)))
    return [str(requests), str(body)]


def pgbench_variables() -> dict[str, str]:
    """What the service writes for `create_body`: texts and an event of the same length."""
    caller = identity("creator-1")
    source = create_body(1)["sources"][0]
    event = {
        "$schema": "https://console.redhat.com/api/schemas/events/v1/events.json",
        "id": "e6c5f447-b9f3-4484-af00-248a4937691f",
        "source": "urn:redhat:source:console:app:export-service",
        "subject": "urn:redhat:subject:export-service:request:e6c5f447-b9f3-4484-af00-248a4937691f",
        "specversion": "1.0",
        "type": "com.redhat.console.export-service.request",
        "time": "2026-11-21T06:37:51Z",
        "redhatorgid": ORG_ID,
        "dataschema": "https://console.redhat.com/api/schemas/apps/export-service/v1/resource-request.json",
        "data": {
            "resource_request": {
                "uuid": "1349e945-8c23-486d-9a2c-e56c98b08910",
                "export_request_uuid": "e6c5f447-b9f3-4484-af00-248a4937691f",
                "application": APPLICATION,
                "format": "json",
                "resource": "exampleResource",
                "x-rh-identity": caller,
                "filters": source["filters"],
            }
        },
    }
    return {
        "callers": str(CALLERS),
        "org_id": ORG_ID,
        "account": ACCOUNT,
        "name": "Nightly inventory",
        "identity": caller,
        "application": APPLICATION,
        "filters": json.dumps(source["filters"]),
        "topic": probe.TOPIC,
        "headers": json.dumps([["application", APPLICATION], ["x-rh-identity", caller]]),
        "payload": "\\x" + json.dumps(event).encode().hex(),
    }
