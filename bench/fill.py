"""Fills the tables, so that figures are those of a platform that has been in use."""

from __future__ import annotations

from customer import ACCOUNT, APPLICATION, ORG_ID
from database import Database

# The exports are dealt to so many callers in turn: `lister-1` and on.
OWNERS = 50
# The caller with a table's worth of exports of its own.
BIG_OWNER = "hoarder"
# What listings find these exports by.
SOURCE_TAGS = f"ARRAY[E'{APPLICATION}\\x1f', E'\\x1fexampleResource', E'{APPLICATION}\\x1fexampleResource']"


def fill(database: Database, exports: int) -> None:
    """Makes sure there are `exports` exports of `OWNERS` callers, all complete, with two sources each. The
    ids follow from the number: `md5('export-N')`."""
    if exists(database, "lister-1"):
        return
    owners(database, f"'lister-' || n, {exports // OWNERS} FROM generate_series(1, {OWNERS}) n")
    database.rows(
        f"""
        CREATE TEMP TABLE owner_of AS
            SELECT id, split_part(username, '-', 2)::int - 1 AS place FROM owners WHERE username LIKE 'lister-%';
        INSERT INTO exports (id, owner_id, name, format, status, created_at, expires_at, completed_at,
                             source_tags)
        SELECT md5('export-' || n)::uuid, owner_of.id, 'Inventory ' || n, 'json', 'complete',
               now() - interval '30 days' + n * interval '1 second', now() + interval '90 days', now(),
               {SOURCE_TAGS}
        FROM generate_series(1, {exports}) n JOIN owner_of ON owner_of.place = n % {OWNERS};
        """
    )
    sources(database, "export", exports, 2)


def fill_big_owner(database: Database, exports: int) -> None:
    """Makes sure that `BIG_OWNER` has `exports` exports with a source each."""
    if exists(database, BIG_OWNER):
        return
    owners(database, f"'{BIG_OWNER}', {exports}")
    database.rows(
        f"""
        INSERT INTO exports (id, owner_id, name, format, status, created_at, expires_at, completed_at,
                             source_tags)
        SELECT md5('hoarded-' || n)::uuid, (SELECT id FROM owners WHERE username = '{BIG_OWNER}'),
               'Inventory ' || n, 'json', 'complete',
               now() - interval '30 days' + n * interval '1 second', now() + interval '90 days', now(),
               {SOURCE_TAGS}
        FROM generate_series(1, {exports}) n;
        """
    )
    sources(database, "hoarded", exports, 1)


def sources(database: Database, prefix: str, exports: int, each: int) -> None:
    database.rows(
        f"""
        INSERT INTO resources (export_id, id, position, application, resource, filters, expires_at, event_id,
                               requested_at, deadline_at, status, settled_at, object_key, size_bytes, stored_bytes,
                               crc32, sha256)
        SELECT md5('{prefix}-' || n)::uuid, md5('{prefix}-source-' || n || '-' || place)::uuid, place,
               '{APPLICATION}', 'exampleResource', '{{"section":["libs","admin"]}}', now() + interval '90 days',
               md5('event-' || n)::uuid, now(), now() + interval '1 day', 'complete', now(),
               md5('export-' || n) || '/' || place, 1000000, 250000, n, sha256(n::text::bytea)
        FROM generate_series(1, {exports}) n, generate_series(0, {each - 1}) place;
        """
    )
    database.rows("VACUUM (ANALYZE) exports;\nVACUUM (ANALYZE) resources;\nVACUUM (ANALYZE) owners;\nCHECKPOINT;")


def owners(database: Database, username_and_count: str) -> None:
    database.rows(
        "INSERT INTO owners (org_id, account, username, export_count) "
        f"SELECT '{ORG_ID}', '{ACCOUNT}', {username_and_count}"
    )


def exists(database: Database, username: str) -> bool:
    return database.number(f"SELECT count(*) FROM owners WHERE username = '{username}'") > 0
