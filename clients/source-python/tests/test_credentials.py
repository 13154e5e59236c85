from __future__ import annotations

import base64
import json
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from export_source import ApplicationKey, ClientCredentials, ConfigurationError, Settings
from export_source.credentials import CredentialsError
from export_source.internal_api import InternalApi
from local_server import Answer, Call, LocalServer
from requests_for_tests import a_request

SECRET = "the-secret-of-the-client"


class Issuer:
    """An OIDC issuer on a local server."""

    def __init__(self, server: LocalServer) -> None:
        self.server = server
        self.url = server.url
        self.issued = 0
        self.answer: Answer | None = None
        self.calls = server.calls
        server.handle = self.handle

    def handle(self, call: Call) -> Answer:
        if self.answer is not None:
            return self.answer
        if call.path == "/.well-known/openid-configuration":
            return self.json({"issuer": self.url, "token_endpoint": f"{self.url}/token"})
        if call.path == "/token":
            self.issued += 1
            return self.json({"access_token": f"token-{self.issued}", "expires_in": 300})
        # The internal API.
        return Answer(202 if call.headers["authorization"] == f"Bearer token-{self.issued}" else 401)

    @staticmethod
    def json(body: object) -> Answer:
        return Answer(200, json.dumps(body).encode(), {"content-type": "application/json"})


@pytest.fixture
def issuer(server: LocalServer) -> Issuer:
    return Issuer(server)


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as client:
        yield client


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def credentials(issuer: Issuer, clock: Clock) -> ClientCredentials:
    return ClientCredentials(
        issuer=issuer.url + "/", client_id="us:1", client_secret=SECRET, scope="exports", clock=clock
    )


def test_a_token_is_kept_and_replaced_before_it_expires_s0_17b(issuer: Issuer, client: httpx.Client) -> None:
    clock = Clock()
    ours = credentials(issuer, clock)
    given = []
    for clock.now in (0, 100, 269, 271, 500):
        given.append(ours.headers(client)["authorization"])
    assert given == ["Bearer token-1"] * 3 + ["Bearer token-2"] * 2
    [discovery, token, _] = issuer.calls
    assert discovery.method == "GET"
    form = urllib.parse.parse_qs(token.body.decode())
    assert form == {"grant_type": ["client_credentials"], "scope": ["exports"]}
    user = base64.b64decode(token.headers["authorization"].removeprefix("Basic ")).decode()
    assert user == f"us%3A1:{SECRET}"


def test_many_that_need_a_token_wait_for_one_request(issuer: Issuer, client: httpx.Client) -> None:
    ours = credentials(issuer, Clock())
    threads = [threading.Thread(target=ours.headers, args=[client]) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert issuer.issued == 1


def test_a_token_that_is_refused_is_replaced(issuer: Issuer) -> None:
    api = InternalApi(issuer.url, "app", credentials(issuer, Clock()))
    assert api.report(a_request(), 1, "no").status == 202
    issuer.issued += 1
    assert [api.report(a_request(), 1, "no").status for _ in range(2)] == [401, 202]
    api.close()


@pytest.mark.parametrize(
    "answer",
    [
        Answer(503),
        Answer(200, b"no json"),
        Answer(200, b"[]"),
        Answer(200, b"{}"),
        Answer(200, b'{"issuer": "http://another", "token_endpoint": "http://another/"}'),
        Answer(200, breaks=True),
    ],
)
def test_an_issuer_that_gives_no_token_is_asked_again(
    issuer: Issuer, client: httpx.Client, answer: Answer
) -> None:
    ours = credentials(issuer, Clock())
    issuer.answer = answer
    with pytest.raises(CredentialsError) as refused:
        ours.headers(client)
    assert SECRET not in str(refused.value)
    issuer.answer = None
    assert ours.headers(client) == {"authorization": "Bearer token-1"}


def test_a_key_in_a_file_may_be_replaced(tmp_path: Path, client: httpx.Client) -> None:
    file = tmp_path / "key"
    key = ApplicationKey.from_file(file)
    with pytest.raises(CredentialsError):
        key.headers(client)
    for text in ("one", "two"):
        file.write_text(text + "\n")
        assert key.headers(client) == {"x-rh-exports-psk": text}
    file.write_text("two\nlines")
    with pytest.raises(CredentialsError):
        key.headers(client)


def test_secrets_are_not_in_the_debug_output(issuer: Issuer) -> None:
    settings = Settings.from_env(ENVIRONMENT | {"KAFKA_PASSWORD": "hunter2"})
    assert settings.kafka == {"sasl.password": "hunter2"}
    for shown in (repr(settings), repr(credentials(issuer, Clock()))):
        assert "the-key" not in shown
        assert "hunter2" not in shown
        assert SECRET not in shown


ENVIRONMENT = {"BROKERS": "b:1", "INTERNAL_URL": "http://i", "APPLICATION": "app", "KEY": "the-key"}


def test_settings_come_from_the_environment() -> None:
    settings = Settings.from_env(ENVIRONMENT | {"PARALLEL": "7", "RESUMABLE": "true", "TOPIC": ""})
    assert (settings.group, settings.topic) == ("app", "platform.export.requests")
    assert (settings.parallel, settings.resumable) == (7, True)
    with_issuer = ENVIRONMENT | {
        "OIDC_ISSUER": "http://x",
        "OIDC_CLIENT_ID": "c",
        "OIDC_CLIENT_SECRET": SECRET,
    }
    assert isinstance(Settings.from_env(with_issuer).credentials, ClientCredentials)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"BROKERS": ""}, "BROKERS"),
        ({"KEY": ""}, "KEY_FILE"),
        ({"PARALLEL": "many"}, "PARALLEL"),
        ({"PARALLEL": "0"}, "parallel"),
        ({"OIDC_ISSUER": "http://x"}, "OIDC_CLIENT_ID"),
    ],
)
def test_settings_that_cannot_work_are_named(changes: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Settings.from_env(ENVIRONMENT | changes)


def test_secrets_may_stand_in_files(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    files = {"KAFKA_PASSWORD_FILE": str(tmp_path / "secret")}
    assert Settings.from_env(ENVIRONMENT | files).kafka == {"sasl.password": "hunter2"}
    with pytest.raises(ConfigurationError, match="KAFKA_PASSWORD_FILE"):
        Settings.from_env(ENVIRONMENT | {"KAFKA_PASSWORD_FILE": str(tmp_path / "none")})


def test_certificate_authorities_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="ca_file"):
        InternalApi("http://x", "app", ApplicationKey("k"), ca_file=str(tmp_path / "none"))


@pytest.mark.parametrize("url", ["127.0.0.1:8081", "ftp://x", "http://", ""])
def test_an_internal_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        InternalApi(url, "app", ApplicationKey("k"))


@pytest.mark.parametrize(
    ("said", "kept"),
    [(300, 269), ("300", 269), ("soon", 29), (-1, 29), (None, 29), (10**400, 29), ("nan", 29)],
)
def test_a_token_is_kept_as_long_as_the_issuer_says_in_whatever_way(
    issuer: Issuer, client: httpx.Client, said: object, kept: float
) -> None:
    token = {"access_token": "the-token", "expires_in": said}
    handle = issuer.handle
    issued: list[Call] = []

    def answer(call: Call) -> Answer:
        if call.path != "/token":
            return handle(call)
        issued.append(call)
        return Issuer.json(token)

    issuer.server.handle = answer
    clock = Clock()
    ours = credentials(issuer, clock)
    for clock.now in (0, kept, kept + 2):
        assert ours.headers(client) == {"authorization": "Bearer the-token"}
        assert len(issued) == (2 if clock.now > kept else 1)
