"""What every figure is measured with."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from application import Application
from checks import expect
from customer import APPLICATION, Customer
from database import Database
from process import Cores
from s3 import S3
from sample import Sample
from servers import Servers

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
DRAIN_SECONDS = 180


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    # Of each rate, and how often it is taken.
    seconds: int
    rounds: int
    # Rows of the tables.
    exports: int
    hoarded: int
    # Of the latency of events.
    idle_creates: int
    rate: int
    rate_seconds: int
    idle_seconds: int
    # Bytes: of the upload; of what is made ready and downloaded, with how often; of what memory is watched at.
    upload: int
    transfers: tuple[tuple[int, int], ...]
    memory: tuple[int, ...]
    # Exports and the sources of each; sources of a large one; uploads at once and the bytes of each.
    settle: tuple[int, int, int, int, int]
    # Rows of the table that the SQL source reads.
    sql_rows: int
    # Records that pass intake by; bytes of the archive that it fetches.
    passing: int
    archive: int


FULL = Scale(
    seconds=10,
    rounds=3,
    exports=1_000_000,
    hoarded=1_000_000,
    idle_creates=200,
    rate=500,
    rate_seconds=20,
    idle_seconds=20,
    upload=GIB,
    transfers=((MIB, 15), (64 * MIB, 7), (GIB, 3), (4 * GIB, 2)),
    memory=(GIB, 5 * GIB),
    settle=(10_000, 20, 1000, 64, 64 * MIB),
    sql_rows=3_000_000,
    passing=1_500_000,
    archive=GIB,
)
QUICK = Scale(
    seconds=3,
    rounds=1,
    exports=10_000,
    hoarded=10_000,
    idle_creates=20,
    rate=20,
    rate_seconds=3,
    idle_seconds=3,
    upload=8 * MIB,
    transfers=((64 * KIB, 3), (8 * MIB, 2)),
    memory=(4 * MIB, 16 * MIB),
    settle=(20, 20, 50, 8, 2 * MIB),
    sql_rows=20_000,
    passing=20_000,
    archive=8 * MIB,
)


@dataclass
class Bench:
    servers: Servers
    scale: Scale
    # For what is not kept, on the same disk as the data.
    folder: Path
    sample: Sample
    # An export of each size whose archive can be downloaded.
    stored: dict[int, dict] = field(default_factory=dict)

    @property
    def public_url(self) -> str:
        return self.servers.ready["public_url"]

    @property
    def database(self) -> Database:
        return Database(self.servers.ready["postgres_url"])

    @property
    def s3(self) -> S3:
        return S3(self.servers.ready["object_store"])

    @property
    def application(self) -> Application:
        psk = self.servers.ready["applications"][APPLICATION]["psk"]
        return Application(self.servers.ready["internal_url"], psk)

    @property
    def customer(self) -> Customer:
        return Customer(self.public_url, "downloader")

    def cores(self) -> Cores:
        return Cores(self.servers.launcher.pid)

    def wait_drained(self) -> float:
        """Waits until the outbox is empty; returns for how many seconds."""
        begun = time.monotonic()
        while self.database.number("SELECT count(*) FROM outbox"):
            expect(time.monotonic() - begun < DRAIN_SECONDS, "the outbox was not drained")
            time.sleep(0.1)
        return time.monotonic() - begun

    def expect_complete(self, export: dict, size_bytes: int) -> dict:
        """Checks that an upload has become what was sent; returns the stored object's row."""
        status = self.customer.status(export["id"])["status"]
        expect(status == "complete", f"an export is {status} after its last upload")
        columns = "object_key, size_bytes, stored_bytes, encode(sha256, 'hex')"
        [[key, stored_size, stored_bytes, sha256]] = self.database.rows(
            f"SELECT {columns} FROM resources WHERE export_id = '{export['id']}'"
        )
        expect(int(stored_size) == size_bytes, f"{stored_size} bytes arrived of {size_bytes}")
        expect(sha256 == self.sample.sha256(size_bytes), "other bytes arrived than were sent")
        return {"export": export, "key": key, "stored_bytes": int(stored_bytes)}

    def store(self, size_bytes: int) -> dict:
        """An export of that size to download; made when there is none."""
        if size_bytes not in self.stored:
            export = self.customer.create()
            self.application.upload(export, self.sample.path, size_bytes)
            self.stored[size_bytes] = self.expect_complete(export, size_bytes)
        return self.stored[size_bytes]
