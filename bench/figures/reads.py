"""How fast something is read: wrk beside pgbench. Shared by `status` and `listing`."""

from __future__ import annotations

import pgbench
import wrk
from bench import Bench
from rows import Row, Target, median

CONNECTIONS = 16


def measure(
    bench: Bench,
    what: str,
    requests: list[str],
    script: str,
    variables: dict[str, object],
    rate_target: Target | None,
    p99_target: Target | None,
) -> list[Row]:
    """The rate and the p99 of requests (lines of wrk/requests.lua), beside a script of pgbench."""
    file = bench.folder / "read-requests.txt"
    file.write_text("".join(f"{request}\n" for request in requests))
    limits, loads, cores = [], [], {}
    for _ in range(bench.scale.rounds):
        limits.append(pgbench.run(bench.database, script, CONNECTIONS, bench.scale.seconds, **variables))
        with bench.cores() as used:
            load, _ = wrk.run(bench.public_url, "requests.lua", CONNECTIONS, bench.scale.seconds, str(file))
        loads.append(load)
        cores = used.busy
    return [
        Row(
            what,
            median([load.rate for load in loads]),
            "/s",
            rate_target,
            "pgbench",
            median([limit.rate for limit in limits]),
            cores=cores,
        ),
        Row(
            f"{what}, p99",
            median([load.p99 for load in loads]),
            "ms",
            p99_target,
            "pgbench",
            median([limit.p99 for limit in limits]),
        ),
    ]
