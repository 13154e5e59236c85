"""Listings: a page of 50, with the exact count."""

from __future__ import annotations

import time

import fill
from bench import Bench
from checks import expect
from customer import ACCOUNT, EXPORTS, ORG_ID, Customer, identity
from figures import reads
from rows import Row, Target, at_least, at_most, median

PAGE = 50
DEEP_PAGES = 5


def measure(bench: Bench) -> list[Row]:
    fill.fill(bench.database, bench.scale.exports)
    each = bench.scale.exports // fill.OWNERS
    callers = [f"lister-{number}" for number in range(1, fill.OWNERS + 1)]
    rows = page(bench, callers, each, at_least(1500), at_most(15))
    fill.fill_big_owner(bench.database, bench.scale.hoarded)
    rows += page(bench, [fill.BIG_OWNER], bench.scale.hoarded, None, at_most(100))
    return [*rows, deep_page(bench)]


def page(
    bench: Bench, callers: list[str], count: int, rate_target: Target | None, p99_target: Target
) -> list[Row]:
    """The first page of callers with `count` exports each."""
    check(bench, callers[0], 0, count)
    requests = [f"GET\t{EXPORTS}?limit={PAGE}\t{identity(caller)}" for caller in callers]
    owner_id = bench.database.value(f"SELECT id FROM owners WHERE username = '{callers[0]}'")
    variables = {"owner_id": owner_id, "org_id": ORG_ID, "account": ACCOUNT, "username": callers[0]}
    what = f"list {PAGE} of {count:,}, {reads.CONNECTIONS} connections"
    return reads.measure(bench, what, requests, "list.sql", variables, rate_target, p99_target)


def deep_page(bench: Bench) -> Row:
    """The dearest one: it lies as far from the begin as from the end, and what is before it is skipped."""
    took = []
    for _ in range(DEEP_PAGES):
        begun = time.monotonic()
        check(bench, fill.BIG_OWNER, bench.scale.hoarded // 2, bench.scale.hoarded)
        took.append((time.monotonic() - begun) * 1e3)
    return Row(f"list {PAGE} from the middle of {bench.scale.hoarded:,}, alone", median(took), "ms")


def check(bench: Bench, caller: str, offset: int, count: int) -> None:
    listed = Customer(bench.public_url, caller).list(f"limit={PAGE}&offset={offset}")
    expect(listed["meta"]["count"] == count, f"{caller} has {listed['meta']['count']} exports instead of {count}")
    expect(len({export["id"] for export in listed["data"]}) == PAGE, "a page is not full")
