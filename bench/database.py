"""The platform's PostgreSQL, through psql."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

STATEMENT_SECONDS = 1200


def program(name: str) -> str:
    """A program of PostgreSQL: Debian keeps some of them off the path."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    return str(found[-1]) if found else name


class Database:
    """One database of the cluster."""

    def __init__(self, url: str, name: str | None = None):
        self.url = url
        place = urlsplit(url)
        self.name = name or place.path.lstrip("/")
        # In the environment, because everybody may read the arguments of a process.
        self.environment = os.environ | {
            "PGHOST": place.hostname or "",
            "PGPORT": str(place.port),
            "PGUSER": unquote(place.username or ""),
            "PGPASSWORD": unquote(place.password or ""),
            "PGDATABASE": self.name,
        }

    def rows(self, sql: str) -> list[list[str]]:
        """Runs statements and returns the rows of their answers, as texts."""
        command = [program("psql"), "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-f", "-"]
        done = subprocess.run(
            command,
            env=self.environment,
            input=sql,
            capture_output=True,
            text=True,
            timeout=STATEMENT_SECONDS,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"psql failed:\n{done.stderr}")
        return [line.split("\t") for line in done.stdout.splitlines()]

    def value(self, sql: str) -> str:
        """The only value of the answer."""
        return self.rows(sql)[0][0]

    def number(self, sql: str) -> int:
        return int(self.value(sql))

    def sibling(self, name: str) -> Database:
        """Another database with the same tables, empty when it is new: nobody else works on it."""
        sibling = Database(self.url, name)
        if not self.number(f"SELECT count(*) FROM pg_database WHERE datname = '{name}'"):
            self.rows(f'CREATE DATABASE "{name}"')
            sibling.rows(self.schema())
        return sibling

    def schema(self) -> str:
        """The statements that make the tables."""
        dumped = subprocess.run(
            [program("pg_dump"), "--schema-only", "--no-owner"],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=STATEMENT_SECONDS,
            check=True,
        )
        return dumped.stdout
