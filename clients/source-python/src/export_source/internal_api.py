"""Calls of the platform's internal API: contract S0-17 to S0-48."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

import httpx

from export_source.credentials import Credentials, CredentialsError
from export_source.errors import ConfigurationError
from export_source.request import Request
from export_source.retries import parse_retry_after

CONNECT_SECONDS = 5.0

SILENCE_SECONDS = 120.0
"""How long the platform may take to go on reading, or to answer after the last byte."""

LONGEST_MESSAGE_BYTES = 4096
"""Of a report. The platform refuses reports of more than 64 KiB, and keeps 1,024 bytes of the message."""

LONGEST_TEXT_BYTES = 64 * 1024
TEXT_SECONDS = 5.0
"""How much of a reply's text is read, and for how long: who knows what stands before the platform."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the platform answered."""

    status: int
    retry_after: float | None
    text: str
    """The beginning of the body: the platform's sentence."""
    headers: httpx.Headers


class InternalApi:
    """Sends answers. Connections are kept and shared by all threads."""

    def __init__(
        self,
        base_url: str,
        application: str,
        credentials: Credentials,
        *,
        connections: int = 4,
        ca_file: str | None = None,
    ) -> None:
        """Reach the API at ``base_url`` (without path) as ``application``."""
        try:
            self._base = httpx.URL(base_url)
        except httpx.InvalidURL as error:
            raise ConfigurationError("the address of the internal API is no URL") from error
        if self._base.scheme not in ("http", "https") or not self._base.host:
            raise ConfigurationError("the address of the internal API is no http:// or https:// URL")
        try:
            authorities = ssl.create_default_context(cafile=ca_file)
        except OSError as error:
            raise ConfigurationError("the certificate authorities of ca_file cannot be read") from error
        self._application = application
        self._credentials = credentials
        self._client = httpx.Client(
            timeout=httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS),
            # One beside the answers, for tokens.
            limits=httpx.Limits(max_connections=connections + 1, max_keepalive_connections=connections + 1),
            verify=authorities,
            # Neither a proxy nor a netrc's password that the environment happens to have.
            trust_env=False,
        )

    def upload(self, request: Request, content_type: str, chunks: Iterator[bytes]) -> Reply:
        """Stream data of unknown length.

        Raises:
            CredentialsError: when there are none for now.
            httpx.RequestError: when the connection broke; the source is still open then.
            Exception: what ``chunks`` raises. The platform sees a broken body and keeps nothing of it.

        """
        return self.send(
            "POST", self.path(request, "upload"), headers={"content-type": content_type}, content=chunks
        )

    def report(self, request: Request, code: int, message: str) -> Reply:
        """Say why there is no data. Raises as `upload`."""
        # What a message quotes may hold half a surrogate pair, which no JSON text may.
        beginning = message.encode("utf-8", "replace")[:LONGEST_MESSAGE_BYTES]
        message = beginning.decode("utf-8", "ignore")
        return self.send("POST", self.path(request, "error"), json={"message": message, "error": code})

    def path(self, request: Request, action: str) -> str:
        """Give the path of a source's ``action``."""
        application = quote(self._application, safe="")
        return f"/app/export/v1/{request.export_id}/{application}/{request.source_id}/{action}"

    def send(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        content: Iterator[bytes] | bytes | None = None,
        json: object | None = None,
    ) -> Reply:
        """Send any call below the base; ``path`` is percent-encoded already. Raises as `upload`."""
        url, sent = str(self._base).rstrip("/") + path, (headers or {}) | self._authentication()
        with self._client.stream(method, url, headers=sent, content=content, json=json) as response:
            if response.status_code == httpx.codes.UNAUTHORIZED:
                self._credentials.refused()
            return Reply(
                response.status_code,
                parse_retry_after(response.headers.get("retry-after")),
                _text(response)[:200],
                response.headers,
            )

    def _authentication(self) -> dict[str, str]:
        try:
            return self._credentials.headers(self._client)
        except CredentialsError:
            raise
        except Exception as error:
            # They may be the user's own class. Its text may hold what is secret.
            raise CredentialsError(f"no credentials: {type(error).__name__}") from error

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _text(response: httpx.Response) -> str:
    text, end = bytearray(), time.monotonic() + TEXT_SECONDS
    for chunk in response.iter_bytes():
        text += chunk
        if len(text) >= LONGEST_TEXT_BYTES or time.monotonic() >= end:
            break
    return text.decode("utf-8", "replace")
