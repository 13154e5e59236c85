"""The SQL source reading a table, beside psql's \\copy of the same query."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time

from bench import MIB, Bench
from checks import expect
from database import Database, program
from rows import Row, at_least, median

QUERY = "SELECT id, name, made, amount, fresh, note FROM bench_items WHERE org = {org} ORDER BY id"
TABLE = """
    CREATE TABLE bench_items AS
    SELECT n AS id, 'item ' || n AS name, timestamptz '2026-01-01' + n * interval '1 second' AS made,
           n * 1.5 AS amount, n % 3 = 0 AS fresh, 'org' AS org, repeat(md5(n::text), 2) AS note
    FROM generate_series(1, {rows}) n;
    ALTER TABLE bench_items ADD PRIMARY KEY (id);
    VACUUM ANALYZE bench_items;
"""
SECONDS = 600


def measure(bench: Bench) -> list[Row]:
    database = bench.database
    database.rows("DROP TABLE IF EXISTS bench_items")
    database.rows(TABLE.format(rows=bench.scale.sql_rows))
    try:
        return [row for kind in ("csv", "json") for row in in_format(bench, database, kind)]
    finally:
        database.rows("DROP TABLE bench_items")


def in_format(bench: Bench, database: Database, kind: str) -> list[Row]:
    source, psql = sql_source(bench, database, kind), copy(database, kind)
    # Once for the check and for the pages that are read for the first time.
    size_bytes, digest = content(*source)
    if kind == "csv":
        expect(content(*psql) == (size_bytes, digest), "the SQL source and psql wrote different rows")
    ours, theirs = [], []
    for _ in range(bench.scale.rounds):
        ours.append(seconds(*source))
        theirs.append(seconds(*psql))
    rows, mebibytes = bench.scale.sql_rows, size_bytes / MIB
    what, limit_name = f"SQL source, {kind}", "psql \\copy of the same query"
    return [
        Row(
            f"{what}: rows",
            rows / median(ours),
            "rows/s",
            limit_name=limit_name,
            limit=rows / median(theirs),
            ratio_target=at_least(0.8),
            note=f"{rows:,} rows, {mebibytes:.0f} MiB",
        ),
        Row(f"{what}: bytes", mebibytes / median(ours), "MiB/s"),
    ]


def sql_source(bench: Bench, database: Database, kind: str) -> tuple[list[str], dict[str, str]]:
    """The command that writes what a request would get, and its environment."""
    resources, event = bench.folder / "resources.toml", bench.folder / f"event-{kind}.json"
    resources.write_text(f'[resources.items]\nquery = """{QUERY.format(org=":org_id")}"""\n')
    request = {
        "uuid": "22222222-2222-4222-8222-222222222222",
        "export_request_uuid": "11111111-1111-4111-8111-111111111111",
        "application": "sql",
        "format": kind,
        "resource": "items",
        "x-rh-identity": "e30=",
    }
    kind_of_event = "com.redhat.console.export-service.request"
    body = {"id": "e", "type": kind_of_event, "redhatorgid": "org", "data": {"resource_request": request}}
    event.write_text(json.dumps(body))
    command = [bench.servers.binary("sql-source"), "--resources", resources, "--print", event]
    return [str(part) for part in command], os.environ | {"DATABASE_URL": database.url}


def copy(database: Database, kind: str) -> tuple[list[str], dict[str, str]]:
    """The same by psql."""
    query = QUERY.format(org="'org'")
    if kind == "csv":
        copied = f"\\copy ({query}) TO STDOUT WITH (FORMAT csv, HEADER)"
    else:
        copied = f"\\copy (SELECT row_to_json(rows) FROM ({query}) AS rows) TO STDOUT"
    # The times of the table are written in the zone that the SQL source sets.
    return [program("psql"), "-X", "-q", "-c", copied], database.environment | {"PGTZ": "UTC"}


def content(command: list[str], environment: dict[str, str]) -> tuple[int, str]:
    """Size and SHA-256 of what a command writes."""
    digest, size_bytes = hashlib.sha256(), 0
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as running:
        while chunk := running.stdout.read(MIB):
            digest.update(chunk)
            size_bytes += len(chunk)
    expect(running.returncode == 0, f"{command[0]} failed")
    return size_bytes, digest.hexdigest()


def seconds(command: list[str], environment: dict[str, str]) -> float:
    begun = time.monotonic()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True, timeout=SECONDS)
    return time.monotonic() - begun
