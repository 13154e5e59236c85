"""The real platform: its services on PostgreSQL, Kafka and an S3 server, started by its launcher."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import secrets
import signal
import socket
import subprocess
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from export_source.settings import TOPIC

T = TypeVar("T")

ROOT = Path(__file__).parents[3]
PATIENCE_SECONDS = 120.0
ACCOUNTS = 40
RESOURCES = ("python-packages", "disks", "os-release", "exampleResource", "unanswered")
SMALL = "small"
"""A resource of which 1 MiB may be uploaded."""

IDENTITY = base64.b64encode(
    json.dumps({"identity": {"org_id": "77", "type": "User", "user": {"username": "jdoe"}}}).encode()
).decode()


@dataclass(frozen=True)
class Account:
    """An application as it is registered."""

    application: str
    key: str


def wait_for(look: Callable[[], T | None], seconds: float = PATIENCE_SECONDS) -> T:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s")


class Platform:
    def __init__(self, folder: Path, issuer: str) -> None:
        self._folder = folder
        self._issuer = issuer
        self._client = httpx.Client(headers={"x-rh-identity": IDENTITY}, timeout=30)
        self.accounts = [Account(f"python:{n}", secrets.token_hex(16)) for n in range(ACCOUNTS)]

    def __enter__(self) -> Self:
        target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        (self._folder / "own.toml").write_text(self._config())
        ready_file = self._folder / "ready.json"
        # A test run that is killed takes it along.
        command: list[str | Path] = ["setpriv", "--pdeathsig", "TERM", target / "debug/launcher"]
        command += ["--services", "--no-demo", "--data", self._folder / "data", "--ready-file", ready_file]
        command += ["--config", self._folder / "own.toml"]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            ready = json.loads(wait_for(lambda: self._read(ready_file), 180))
        except BaseException:
            self.__exit__()
            raise
        self.brokers: str = ready["kafka_brokers"]
        self.internal_url: str = ready["internal_url"]
        self._client.base_url = httpx.URL(ready["public_url"] + "/api/export/v1")
        return self

    def _read(self, ready_file: Path) -> str | None:
        assert self._process.poll() is None, (self._folder / "log").read_text()
        return ready_file.read_text() if ready_file.exists() else None

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)

    def _config(self) -> str:
        """Addresses of its own and the accounts; the launcher chooses the rest."""
        ports = iter(free_ports(7))

        def at() -> str:
            return f"'127.0.0.1:{next(ports)}'"

        lines = [f"[{api}]\nlisten = {at()}\nops_listen = {at()}" for api in ("public_api", "internal_api")]
        lines += [f"[{worker}]\nops_listen = {at()}" for worker in ("dispatcher", "expiry_reaper", "intake")]
        lines.append(f"[oidc]\nissuer = '{self._issuer}'\nallow_http = true")
        for account in self.accounts:
            hashed = hashlib.sha256(account.key.encode()).hexdigest()
            lines.append(f'[applications."{account.application}"]\nkeys_sha256 = ["{hashed}"]')
            lines.append('oidc_clients = ["source-client"]')
            lines += [f'[applications."{account.application}".resources.{name}]' for name in RESOURCES]
            lines.append(f'[applications."{account.application}".resources.{SMALL}]')
            lines.append('max_upload_bytes = "1MiB"')
        return "\n".join(lines) + "\n"

    def create(self, account: Account, *resources: str, format: str = "json", **source: Any) -> str:
        """Ask for an export; `source` goes into each of its sources."""
        sources = [{"application": account.application, "resource": name} | source for name in resources]
        response = self._client.post("/exports", json={"name": "Test", "format": format, "sources": sources})
        assert response.status_code == 202, response.text
        return str(response.json()["id"])

    def status(self, export: str) -> dict[str, Any]:
        response = self._client.get(f"/exports/{export}/status")
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    def ended(self, export: str) -> dict[str, Any]:
        """Wait until every source is settled."""

        def look() -> dict[str, Any] | None:
            status = self.status(export)
            return status if status["status"] in ("complete", "partial", "failed") else None

        return wait_for(look)

    def records(self, account: Account) -> list[Message]:
        """Read the records for an application from the topic."""
        config = {"bootstrap.servers": self.brokers, "group.id": "reader", "auto.offset.reset": "earliest"}
        consumer = Consumer(config | {"enable.auto.commit": "false", "enable.partition.eof": "true"})
        try:
            partitions = consumer.list_topics(TOPIC, timeout=30).topics[TOPIC].partitions
            consumer.assign([TopicPartition(TOPIC, n, OFFSET_BEGINNING) for n in partitions])
            ended, found = 0, []
            while ended < len(partitions):
                message = consumer.poll(10)
                assert message is not None
                if message.error():
                    ended += 1
                elif ("application", account.application.encode()) in (message.headers() or []):
                    found.append(message)
            return found
        finally:
            consumer.close()

    def delete(self, export: str) -> None:
        assert self._client.delete(f"/exports/{export}").status_code == 202

    def files(self, export: str) -> dict[str, bytes]:
        """Give the bytes of each source by its resource."""
        resources = {source["id"]: source["resource"] for source in self.status(export)["sources"]}
        response = self._client.get(f"/exports/{export}")
        assert response.status_code == 200, response.text
        archive = zipfile.ZipFile(io.BytesIO(response.content))
        by_resource = {name: resources.get(name.partition(".")[0]) for name in archive.namelist()}
        return {resource: archive.read(name) for name, resource in by_resource.items() if resource}


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
