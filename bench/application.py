"""A source application: it delivers what customers asked for."""

from __future__ import annotations

from pathlib import Path

import curl
import http_stream
from checks import expect
from customer import APPLICATION


class Application:
    def __init__(self, internal_url: str, psk: str):
        self.internal_url = internal_url
        self.headers = {"x-rh-exports-psk": psk, "Content-Type": "application/json"}

    def curl_upload(self, export: dict, file: Path) -> curl.Transfer:
        done = curl.transfer(self.url(export), self.headers, "-X", "POST", "-T", str(file))
        expect(done.status == 202, f"an upload was answered {done.status}")
        return done

    def upload(self, export: dict, file: Path, size_bytes: int) -> http_stream.Sent:
        """Uploads the bytes of `file`, over and over, up to `size_bytes`."""
        sent = http_stream.send("POST", self.url(export), self.headers, file, size_bytes)
        expect(sent.status == 202, f"an upload was answered {sent.status}: {sent.body!r}")
        return sent

    def url(self, export: dict) -> str:
        """Of the export's first source."""
        source = export["sources"][0]["id"]
        return f"{self.internal_url}/app/export/v1/{export['id']}/{APPLICATION}/{source}/upload"
