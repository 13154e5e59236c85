"""Status requests for any of the exports in a full table."""

from __future__ import annotations

import fill
from bench import Bench
from checks import expect
from customer import ACCOUNT, EXPORTS, ORG_ID, Customer, identity
from figures import reads
from rows import Row, at_least, at_most

# So many different exports are asked for.
ASKED = 5_000


def measure(bench: Bench) -> list[Row]:
    exports = bench.scale.exports
    fill.fill(bench.database, exports)
    # Far apart, so that each is on other pages of the table.
    numbers = [number * (exports // ASKED) + 1 for number in range(ASKED)]
    ids = export_ids(bench, numbers)
    identities = [identity(username(number)) for number in range(fill.OWNERS)]
    check(bench, numbers[17], ids[17])
    requests = [
        f"GET\t{EXPORTS}/{export_id}/status\t{identities[number % fill.OWNERS]}"
        for number, export_id in zip(numbers, ids, strict=True)
    ]
    variables = {"exports": exports, "owners": fill.OWNERS, "org_id": ORG_ID, "account": ACCOUNT}
    what = f"status, {reads.CONNECTIONS} connections, {exports:,} exports"
    return reads.measure(bench, what, requests, "status.sql", variables, at_least(5000), at_most(15))


def export_ids(bench: Bench, numbers: list[int]) -> list[str]:
    values = ",".join(str(number) for number in numbers)
    sql = f"SELECT md5('export-' || n)::uuid FROM unnest(ARRAY[{values}]) WITH ORDINALITY AS t (n, i) ORDER BY i"
    return [row[0] for row in bench.database.rows(sql)]


def username(number: int) -> str:
    """Whose the export of that number is."""
    return f"lister-{number % fill.OWNERS + 1}"


def check(bench: Bench, number: int, export_id: str) -> None:
    status = Customer(bench.public_url, username(number)).status(export_id)
    expect(status["name"] == f"Inventory {number}", f"the status of another export: {status}")
    expect(len(status["sources"]) == 2, "a status without its two sources")
