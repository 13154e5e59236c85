from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from export_source import ApplicationKey, Metrics, SourceError, Table, resources
from export_source.answering import Answering, Function, Outcome, Stop
from export_source.internal_api import InternalApi
from export_source.metrics import REQUESTS, RETRIES, UPLOADED
from export_source.retries import Backoff
from local_server import Answer, LocalServer
from requests_for_tests import EXPORT, SOURCE, a_request

KEY = "the-key-of-the-application"


class Rig:
    def __init__(self, server: LocalServer) -> None:
        self.api = InternalApi(server.url, "urn:app", ApplicationKey(KEY))
        self.metrics, self.stop = Metrics(), Stop()

    def answer(self, function: Function, **request: object) -> Outcome:
        return Answering(function, self.api, self.metrics, self.stop).answer(a_request(**request))


@pytest.fixture
def rig(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr("export_source.answering.Backoff", lambda: Backoff(0.001, 0.01))
    rig = Rig(server)
    yield rig
    rig.api.close()


def rows(_: object) -> Iterator[dict[str, object]]:
    for n in range(3):
        yield {"n": n}


def test_rows_are_uploaded_with_the_key_to_the_encoded_path(server: LocalServer, rig: Rig) -> None:
    assert rig.answer(rows, format="csv") is Outcome.UPLOADED
    [call] = server.calls
    assert (call.method, call.path) == ("POST", f"/app/export/v1/{EXPORT}/urn%3Aapp/{SOURCE}/upload")
    assert call.headers["x-rh-exports-psk"] == KEY
    assert call.headers["content-type"] == "text/csv; charset=utf-8"
    assert call.headers["transfer-encoding"] == "chunked"
    assert call.body == b"n\r\n0\r\n1\r\n2\r\n"
    assert rig.metrics.value(UPLOADED) == len(call.body)


def test_connections_are_kept(server: LocalServer, rig: Rig) -> None:
    for _ in range(3):
        rig.answer(rows)
    pool = rig.api._client._transport._pool  # type: ignore[attr-defined]
    assert len(pool.connections) == 1


def test_5xx_and_broken_connections_are_tried_again_with_the_rows_read_anew(
    server: LocalServer, rig: Rig
) -> None:
    server.answers = [Answer(503), Answer(0, breaks=True), Answer(500), Answer(202)]
    assert rig.answer(rows) is Outcome.UPLOADED
    assert [json.loads(call.body) for call in server.calls] == [[{"n": 0}, {"n": 1}, {"n": 2}]] * 4
    assert rig.metrics.value(RETRIES, reason="503") == 1
    assert rig.metrics.value(RETRIES, reason="connection") == 1


def test_a_platform_that_is_away_is_waited_for(server: LocalServer, rig: Rig) -> None:
    # Nobody listens on the port of a server that has ended.
    with LocalServer() as ended:
        gone = ended.url
    rig.api = InternalApi(gone, "urn:app", ApplicationKey(KEY))

    def stop_after_some() -> None:
        while rig.metrics.value(RETRIES, reason="connection") < 3:
            time.sleep(0.01)
        rig.stop.soft.set()

    threading.Thread(target=stop_after_some).start()
    assert rig.answer(rows) is Outcome.ABANDONED
    rig.api.close()


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (400, Outcome.REFUSED),
        (404, Outcome.GONE),
        (410, Outcome.ANSWERED_BEFORE),
        (413, Outcome.TOO_LARGE),
        (415, Outcome.REFUSED),
    ],
)
def test_4xx_is_final(server: LocalServer, rig: Rig, status: int, outcome: Outcome) -> None:
    server.answers = [Answer(status, b'{"message": "no", "code": 400}')]
    assert rig.answer(rows) is outcome
    assert len(server.calls) == 1
    assert rig.metrics.value(REQUESTS, outcome=outcome.value) == 1


def test_a_key_that_is_being_replaced_loses_no_request(server: LocalServer, rig: Rig) -> None:
    server.answers = [Answer(401), Answer(403), Answer(202)]
    assert rig.answer(rows) is Outcome.UPLOADED


def refuses_at_once(_: object) -> list[dict[str, object]]:
    raise SourceError(403, "you may not see this")


def refuses_on_the_way(_: object) -> Iterator[dict[str, object]]:
    # Enough that an upload is on its way.
    for n in range(100_000):
        yield {"n": n}
    raise SourceError(403, "you may not see this")


@pytest.mark.parametrize("function", [refuses_at_once, refuses_on_the_way])
def test_what_the_function_refuses_is_reported_s0_19(
    server: LocalServer, rig: Rig, function: Callable[..., list[dict[str, object]]]
) -> None:
    server.answers = [Answer(503), Answer(202)]
    assert rig.answer(function) is Outcome.REPORTED
    reports = [call for call in server.calls if call.path.endswith("/error")]
    assert json.loads(reports[-1].body) == {"message": "you may not see this", "error": 403}
    assert not [call for call in server.calls if call.path.endswith("/upload")]


def test_an_unexpected_exception_is_reported_without_its_text(
    server: LocalServer, rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_: object) -> Iterator[dict[str, object]]:
        yield {"n": 1}
        raise OSError("password=hunter2")

    assert rig.answer(fails) is Outcome.REPORTED
    assert json.loads(server.calls[-1].body) == {
        "message": "the application could not produce the data", "error": 500,
    }  # fmt: skip
    # Whoever mends it needs the traceback, once.
    [logged] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert logged.exc_info
    assert "hunter2" in str(logged.exc_info[1])


def test_other_resources_are_refused_with_those_that_there_are(server: LocalServer, rig: Rig) -> None:
    assert rig.answer(resources({"b": rows, "a": rows})) is Outcome.REPORTED
    report = json.loads(server.calls[0].body)
    assert report == {"message": "there is no such resource; there are: a, b", "error": 404}


def test_an_answer_that_is_told_to_end_breaks_off(server: LocalServer, rig: Rig) -> None:
    def endless(_: object) -> Iterator[bytes]:
        while True:
            rig.stop.hard.set()
            yield b"x" * 100_000

    assert rig.answer(endless) is Outcome.ABANDONED
    assert server.calls == []


def test_neither_key_nor_identity_nor_filters_are_logged(
    server: LocalServer, rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.answers = [Answer(503), Answer(400, b"no"), Answer(202)]
    rig.answer(rows, filters={"name": "of-a-customer"})
    rig.answer(refuses_at_once)
    logged = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert "trying again" in logged
    for secret in (KEY, "c2VjcmV0", "of-a-customer"):
        assert secret not in logged


def test_a_function_that_exits_is_reported_as_one_that_fails(server: LocalServer, rig: Rig) -> None:
    assert rig.answer(lambda _: sys.exit("password=hunter2")) is Outcome.REPORTED
    assert json.loads(server.calls[0].body)["error"] == 500


def test_a_message_that_quotes_what_is_no_text_is_reported(server: LocalServer, rig: Rig) -> None:
    def quotes(_: object) -> list[dict[str, object]]:
        raise SourceError(400, "there is no \ud800")

    assert rig.answer(quotes) is Outcome.REPORTED
    assert json.loads(server.calls[0].body)["message"] == "there is no ?"


def test_an_answer_that_fails_to_close_was_given_all_the_same(server: LocalServer, rig: Rig) -> None:
    class Rows:
        def __iter__(self) -> Self:
            return self

        def __next__(self) -> dict[str, object]:
            raise StopIteration

        def close(self) -> None:
            raise OSError

    assert rig.answer(lambda _: Rows()) is Outcome.UPLOADED
    assert len(server.calls) == 1


@pytest.mark.parametrize(("code", "message"), [(0, "no"), (404, "")])
def test_an_error_without_code_or_message_is_refused(code: int, message: str) -> None:
    with pytest.raises(ValueError, match="needs"):
        SourceError(code, message)


@pytest.mark.parametrize(("code", "message"), [("404", "no"), (2**31, "no"), (404, {"no": 1}), (4.5, "no")])
def test_an_error_that_the_platform_would_not_take_is_refused(code: int, message: str) -> None:
    with pytest.raises(TypeError, match="needs"):
        SourceError(code, message)


def test_an_error_that_was_made_without_code_and_message_is_reported(server: LocalServer, rig: Rig) -> None:
    class OwnError(SourceError):
        def __init__(self, who: str) -> None:
            self.who = who

    def refuses(_: object) -> list[dict[str, object]]:
        raise OwnError("me")

    assert rig.answer(refuses) is Outcome.REPORTED
    assert json.loads(server.calls[0].body)["error"] == 500


def test_of_a_long_message_the_beginning_is_reported_s0_19(server: LocalServer, rig: Rig) -> None:
    def refuses(_: object) -> list[dict[str, object]]:
        raise SourceError(400, "ü" * 100_000)

    assert rig.answer(refuses) is Outcome.REPORTED
    message = json.loads(server.calls[0].body)["message"]
    assert set(message) == {"ü"}
    assert 1024 <= len(message.encode()) < 64 * 1024


def test_a_redirect_by_what_stands_before_the_platform_is_waited_for(server: LocalServer, rig: Rig) -> None:
    server.answers = [Answer(302, headers={"location": "https://login.invalid/"}), Answer(304), Answer(202)]
    assert rig.answer(rows) is Outcome.UPLOADED
    assert len(server.calls) == 3


def test_a_reply_that_cannot_be_read_is_asked_for_again(server: LocalServer, rig: Rig) -> None:
    server.answers = [Answer(200, b"no gzip", {"content-encoding": "gzip"}), Answer(202)]
    assert rig.answer(rows) is Outcome.UPLOADED
    assert [call.path.rsplit("/", 1)[1] for call in server.calls] == ["upload", "upload"]


@pytest.mark.parametrize("raised", [KeyboardInterrupt, asyncio.CancelledError, GeneratorExit, StopIteration])
@pytest.mark.parametrize("when", ["called", "read", "closed"])
def test_what_is_raised_is_reported_whatever_it_is(
    server: LocalServer, rig: Rig, raised: type[BaseException], when: str
) -> None:
    class Rows:
        def __iter__(self) -> Self:
            return self

        def __next__(self) -> dict[str, object]:
            raise raised if when == "read" else OSError

        def close(self) -> None:
            raise raised

    def fails(_: object) -> Rows:
        if when == "called":
            raise raised
        return Rows()

    # The end of an iterator is told so.
    whole = when == "read" and raised is StopIteration
    assert rig.answer(fails) is (Outcome.UPLOADED if whole else Outcome.REPORTED)


@pytest.mark.parametrize("own", [lambda: str(1 / 0), lambda: str(int("token"))])
def test_credentials_that_fail_are_asked_again(server: LocalServer, rig: Rig, own: Callable[[], str]) -> None:
    tries: list[object] = [own, own]

    class Own:
        def headers(self, _: object) -> dict[str, str]:
            token = own() if tries and tries.pop() else "x"
            return {"authorization": f"Bearer {token}"}

        def refused(self) -> None:
            pass

    rig.api = InternalApi(server.url, "urn:app", Own())
    assert rig.answer(rows) is Outcome.UPLOADED
    assert rig.metrics.value(RETRIES, reason="credentials") == 2
    rig.api.close()


def test_a_key_file_that_is_empty_for_a_moment_sends_no_request(
    server: LocalServer, rig: Rig, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text("")
    rig.api = InternalApi(server.url, "urn:app", ApplicationKey.from_file(file))

    def fill() -> None:
        while rig.metrics.value(RETRIES, reason="credentials") < 2:
            time.sleep(0.01)
        assert server.calls == []
        file.write_text("new\n")

    filling = threading.Thread(target=fill)
    filling.start()
    assert rig.answer(rows) is Outcome.UPLOADED
    filling.join()
    assert [call.headers["x-rh-exports-psk"] for call in server.calls] == ["new"]
    rig.api.close()


def test_an_upload_is_begun_when_there_is_data(server: LocalServer, rig: Rig) -> None:
    connections: list[int] = []

    def slow() -> Iterator[dict[str, object]]:
        pool = rig.api._client._transport._pool  # type: ignore[attr-defined]
        connections.append(len(pool.connections))
        yield {"n": 1}

    assert rig.answer(lambda _: Table(["n"], slow())) is Outcome.UPLOADED
    assert connections == [0]
