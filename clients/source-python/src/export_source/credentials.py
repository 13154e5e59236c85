"""How the application proves who it is: contract S0-17 (key) and S0-17b (OIDC client credentials)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from urllib.parse import quote_plus

import httpx

EXPIRY_LEEWAY_SECONDS = 30.0
"""A token is replaced this long before it expires: a long upload is judged by the one it began with."""

ISSUER_SECONDS = 10.0
"""How long the issuer may take; all answers wait for it."""

DEFAULT_LIFETIME_SECONDS = 60.0
"""Of a token whose issuer does not say."""


class Credentials(Protocol):
    """Something that authenticates calls of the internal API."""

    def headers(self, client: httpx.Client) -> dict[str, str]:
        """Give the headers of the next call. May be called from several threads.

        Raises:
            CredentialsError: when there are none for now.

        """

    def refused(self) -> None:
        """Learn that the last ones were answered with 401."""


class CredentialsError(Exception):
    """There is no key or token for now; the text holds neither."""


class ApplicationKey:
    """The key of the application, ``x-rh-exports-psk``."""

    def __init__(self, key: str) -> None:
        """Use this key."""
        self._read: Callable[[], str] = lambda: key

    @classmethod
    def from_file(cls, path: str | Path) -> ApplicationKey:
        """Use the key in a file. It is read for each call: a key that is replaced there counts at once."""
        key = cls("")

        def read() -> str:
            try:
                return Path(path).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise CredentialsError(f"the key file {path} cannot be read") from error

        key._read = read
        return key

    def headers(self, client: httpx.Client) -> dict[str, str]:
        """Give the key's header."""
        key = self._read()
        if not key or not key.isascii() or not key.isprintable():
            raise CredentialsError("the key is empty or holds what no header may")
        return {"x-rh-exports-psk": key}

    def refused(self) -> None:
        """Do nothing: the next call reads the key anew."""

    def __repr__(self) -> str:
        return "ApplicationKey(***)"


class ClientCredentials:
    """Tokens of an OIDC issuer, by the client credentials grant; kept until shortly before they expire."""

    def __init__(
        self,
        *,
        issuer: str,
        client_id: str,
        client_secret: str,
        scope: str | None = None,
        audience: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Name the issuer (its discovery document tells the token endpoint), the client and its secret."""
        self._issuer = issuer.rstrip("/")
        # Encoded as RFC 6749, 2.3.1 has it.
        self._auth = httpx.BasicAuth(quote_plus(client_id), quote_plus(client_secret))
        extra = {"scope": scope, "audience": audience}
        self._form = {"grant_type": "client_credentials"} | {k: v for k, v in extra.items() if v}
        self._clock = clock
        # Held while a token is fetched: many answers that need one wait for one request.
        self._lock = threading.Lock()
        self._endpoint: str | None = None
        self._token: str | None = None
        self._replace_at = 0.0

    def headers(self, client: httpx.Client) -> dict[str, str]:
        """Give the header with a token that is valid for a while."""
        with self._lock:
            if self._token is None or self._clock() >= self._replace_at:
                self._token = None
                self._fetch(client)
            return {"authorization": f"Bearer {self._token}"}

    def refused(self) -> None:
        """Forget the token: the issuer's keys may have changed."""
        with self._lock:
            self._token = None

    def _fetch(self, client: httpx.Client) -> None:
        if self._endpoint is None:
            self._endpoint = self._discover(client)
        endpoint, form = self._endpoint, self._form
        answer = self._ask(lambda: client.post(endpoint, data=form, auth=self._auth, timeout=ISSUER_SECONDS))
        token, lifetime = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise CredentialsError("the issuer's answer has no access_token")
        seconds = _seconds(lifetime)
        # Of a token that lives shorter than twice the leeway half of its life is used.
        self._replace_at = self._clock() + max(seconds - EXPIRY_LEEWAY_SECONDS, seconds / 2)
        self._token = token

    def _discover(self, client: httpx.Client) -> str:
        document = f"{self._issuer}/.well-known/openid-configuration"
        found = self._ask(lambda: client.get(document, timeout=ISSUER_SECONDS))
        if str(found.get("issuer", "")).rstrip("/") != self._issuer:
            raise CredentialsError("the discovery document is another issuer's")
        endpoint = found.get("token_endpoint")
        if not isinstance(endpoint, str):
            raise CredentialsError("the discovery document has no token_endpoint")
        return endpoint

    @staticmethod
    def _ask(call: Callable[[], httpx.Response]) -> dict[str, object]:
        try:
            response = call()
            answer = response.json() if response.is_success else None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise CredentialsError(f"the issuer does not answer: {type(error).__name__}") from error
        if not isinstance(answer, dict):
            raise CredentialsError(f"the issuer gives no token: status {response.status_code}")
        return answer

    def __repr__(self) -> str:
        return f"ClientCredentials(issuer={self._issuer!r}, ***)"


def _seconds(lifetime: object) -> float:
    """Read ``expires_in``, a number that some issuers write as a text."""
    try:
        seconds = float(lifetime) if isinstance(lifetime, int | float | str) else 0.0
    except (ValueError, OverflowError):
        seconds = 0.0
    return seconds if seconds > 0 else DEFAULT_LIFETIME_SECONDS
