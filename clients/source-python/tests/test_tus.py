from __future__ import annotations

import base64
import random
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_source import ApplicationKey, Metrics, SourceError
from export_source.answering import Answering, Function, Outcome, Stop
from export_source.body import CHUNK_BYTES
from export_source.errors import StoppedError
from export_source.internal_api import InternalApi
from export_source.tus import ResumableUpload, UploadLostError, in_pieces
from local_server import Answer, Call, LocalServer
from requests_for_tests import EXPORT, SOURCE, a_request

PIECE = 1000


class TusServer:
    """Keeps one upload, per tus 1.0.0, and fails as it is told."""

    def __init__(self, server: LocalServer) -> None:
        self.kept = bytearray()
        self.length: int | None = None
        self.ended = False
        self.patches: list[int] = []
        self.failures: list[Answer | None] = []
        self.keeps = 0.0
        """How much of a piece counts although it failed."""
        self.location = f"/app/export/v1/{EXPORT}/urn%3Aapp/{SOURCE}/uploads/1"
        server.handle = self.handle

    def handle(self, call: Call) -> Answer:
        assert call.headers["tus-resumable"] == "1.0.0"
        assert call.headers["x-rh-exports-psk"] == "key"
        if call.method == "POST":
            assert call.path == f"/app/export/v1/{EXPORT}/urn%3Aapp/{SOURCE}/uploads"
            assert call.headers["upload-defer-length"] == "1"
            self.filetype = base64.b64decode(call.headers["upload-metadata"].removeprefix("filetype "))
            self.kept, self.length, self.ended = bytearray(), None, False
            return Answer(201, headers={"location": self.location})
        if self.ended:
            return Answer(404)
        assert call.path == f"/app/export/v1/{EXPORT}/urn%3Aapp/{SOURCE}/uploads/1"
        if call.method == "DELETE":
            self.ended = True
            return Answer(204)
        if call.method == "HEAD":
            length = {} if self.length is None else {"upload-length": str(self.length)}
            return Answer(200, headers={"upload-offset": str(len(self.kept))} | length)
        return self.patch(call)

    def patch(self, call: Call) -> Answer:
        assert call.headers["content-type"] == "application/offset+octet-stream"
        offset = int(call.headers["upload-offset"])
        if offset != len(self.kept):
            return Answer(409)
        # One that was settled takes nothing, not even no bytes.
        assert self.length is None
        failure = self.failures.pop(0) if self.failures else None
        kept = int(len(call.body) * (self.keeps if failure else 1))
        self.kept += call.body[:kept]
        if "upload-length" in call.headers and kept == len(call.body):
            self.length = int(call.headers["upload-length"])
        if failure is not None:
            return failure
        self.patches.append(len(call.body))
        return Answer(204, headers={"upload-offset": str(len(self.kept))})


@pytest.fixture
def tus(server: LocalServer) -> TusServer:
    return TusServer(server)


@pytest.fixture
def api(server: LocalServer) -> Iterator[InternalApi]:
    api = InternalApi(server.url, "urn:app", ApplicationKey("key"))
    yield api
    api.close()


def upload(api: InternalApi, data: bytes, chunk: int = 300) -> int:
    chunks = (data[at : at + chunk] for at in range(0, len(data), chunk))
    return ResumableUpload(api, a_request(), lambda *_: None, PIECE).send("text/csv", chunks).status


def some_bytes(count: int) -> bytes:
    return random.Random(count).randbytes(count)


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE])
def test_data_of_unknown_length_goes_up_in_pieces_s0_tus(tus: TusServer, api: InternalApi, size: int) -> None:
    assert upload(api, some_bytes(size)) == 204
    assert tus.kept == some_bytes(size)
    assert tus.length == size
    assert max(tus.patches) <= PIECE
    assert tus.filetype == b"text/csv"


@pytest.mark.parametrize("keeps", [0, 0.5, 1])
@pytest.mark.parametrize("failure", [Answer(503), Answer(423), Answer(460), Answer(0, breaks=True)])
def test_a_piece_that_did_not_arrive_is_sent_from_where_the_platform_has_it(
    tus: TusServer, api: InternalApi, failure: Answer, keeps: float
) -> None:
    tus.failures = [None, failure, failure, None, failure]
    tus.keeps = keeps
    assert upload(api, some_bytes(3500)) == 204
    assert tus.kept == some_bytes(3500)
    assert tus.length == 3500


@pytest.mark.parametrize(("keeps", "longest"), [(0.1, 0.25), (0, 8)])
def test_waits_grow_only_while_nothing_moves(
    tus: TusServer, api: InternalApi, keeps: float, longest: float
) -> None:
    tus.failures, tus.keeps = [Answer(503)] * 6, keeps
    waits: list[float] = []
    pieces = ResumableUpload(api, a_request(), lambda seconds, _: waits.append(seconds), PIECE)
    assert pieces.send("text/csv", iter([some_bytes(PIECE)])).status == 204
    assert len(waits) == 6
    assert longest / 2 <= max(waits) <= longest


def test_an_upload_that_the_platform_lost_begins_anew(tus: TusServer, api: InternalApi) -> None:
    tus.failures = [None, Answer(404)]
    with pytest.raises(UploadLostError):
        upload(api, some_bytes(3500))
    assert upload(api, some_bytes(3500)) == 204


@pytest.mark.parametrize("status", [404, 410, 413])
def test_a_creation_that_is_refused_is_the_answer(server: LocalServer, api: InternalApi, status: int) -> None:
    server.answers = [Answer(status)]
    assert upload(api, b"x") == status


@pytest.mark.parametrize("status", [400, 404, 405])
def test_where_pieces_are_not_taken_the_data_goes_up_in_one_request(
    server: LocalServer, api: InternalApi, status: int
) -> None:
    server.handle = lambda call: Answer(202 if call.path.endswith("/upload") else status)
    assert upload(api, some_bytes(3500)) == 202
    assert server.calls[-1].body == some_bytes(3500)


@pytest.mark.parametrize(
    "created", [Answer(201), Answer(200), Answer(201, headers={"location": "http://host:port/x"})]
)
def test_where_it_is_not_said_how_to_go_on_the_data_goes_up_in_one_request(
    server: LocalServer, api: InternalApi, created: Answer
) -> None:
    server.handle = lambda call: Answer(202) if call.path.endswith("/upload") else created
    assert upload(api, some_bytes(3500)) == 202
    assert server.calls[-1].body == some_bytes(3500)


@pytest.mark.parametrize("status", [404, 410, 413])
def test_what_the_last_piece_is_answered_with_is_the_answer(
    tus: TusServer, api: InternalApi, status: int
) -> None:
    tus.failures = [None, Answer(status)]
    assert upload(api, some_bytes(PIECE + 1)) == status


def test_the_key_goes_nowhere_else_than_to_the_platform(tus: TusServer, api: InternalApi) -> None:
    tus.location = "http://elsewhere.invalid" + tus.location
    assert upload(api, b"x") == 204


def test_an_upload_that_is_given_up_is_ended(tus: TusServer, api: InternalApi) -> None:
    def chunks() -> Iterator[bytes]:
        yield some_bytes(2 * PIECE)
        raise StoppedError

    with pytest.raises(StoppedError):
        ResumableUpload(api, a_request(), lambda *_: None, PIECE).send("text/csv", chunks())
    assert tus.ended


@given(st.lists(st.binary(max_size=50)), st.integers(1, 40))
def test_pieces_are_the_chunks_and_only_the_last_may_be_short(chunks: list[bytes], size: int) -> None:
    pieces = list(in_pieces(iter(chunks), size))
    assert b"".join(piece for piece, _ in pieces) == b"".join(chunks)
    assert [is_last for _, is_last in pieces] == [False] * (len(pieces) - 1) + [True]
    assert all(len(piece) == size for piece, _ in pieces[:-1])
    assert len(pieces[-1][0]) <= size


def test_slow_data_does_not_wait_for_a_full_piece() -> None:
    times = iter(range(0, 1000, 4))
    chunks = [b"a", b"", b"", b"", b"", b"", b"", b"b", b"c"]
    pieces = list(in_pieces(iter(chunks), 100, lambda: next(times)))
    assert pieces[0] == (b"a", False)
    assert b"".join(piece for piece, _ in pieces) == b"abc"
    assert pieces[-1][1]


def answering(api: InternalApi, function: Function, stop: Stop | None = None) -> Answering:
    return Answering(function, api, Metrics(), stop or Stop(), resumable=True)


def test_what_a_slow_function_has_given_is_sent_while_it_is_waited_for(
    tus: TusServer, api: InternalApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export_source.tus.LONGEST_HELD_SECONDS", 0.05)
    monkeypatch.setattr("export_source.ahead.LOOK_SECONDS", 0.01)

    def slow(_: object) -> Iterator[bytes]:
        for n in range(1, 4):
            yield b"x" * CHUNK_BYTES
            end = time.monotonic() + 20
            # Nothing else is given until this has arrived.
            while len(tus.kept) < n * CHUNK_BYTES:
                assert time.monotonic() < end
                time.sleep(0.01)

    assert answering(api, slow).answer(a_request()) is Outcome.UPLOADED
    assert tus.kept == b"x" * 3 * CHUNK_BYTES
    assert tus.length == len(tus.kept)


@pytest.mark.parametrize("refused", [False, True])
def test_a_function_is_called_read_and_closed_on_one_thread(
    server: LocalServer, tus: TusServer, api: InternalApi, refused: bool
) -> None:
    threads: list[object] = []

    def rows(_: object) -> Iterator[bytes]:
        threads.append(threading.current_thread())
        try:
            for _ in range(200):
                yield b"x" * CHUNK_BYTES
        finally:
            threads.append(threading.current_thread())

    if refused:
        server.handle = lambda _: Answer(410)
    outcome = answering(api, rows).answer(a_request())
    assert outcome is (Outcome.ANSWERED_BEFORE if refused else Outcome.UPLOADED)
    assert len(threads) == 2
    assert threads[0] is threads[1]


@pytest.mark.parametrize("raised", [SourceError(403, "no"), OSError("no"), KeyboardInterrupt()])
def test_a_function_that_fails_on_the_way_ends_its_upload(
    server: LocalServer, tus: TusServer, api: InternalApi, raised: BaseException
) -> None:
    def fails(_: object) -> Iterator[bytes]:
        for _ in range(200):
            yield b"x" * CHUNK_BYTES
        raise raised

    uploads = server.handle
    server.handle = lambda call: Answer(202) if call.path.endswith("/error") else uploads(call)
    assert answering(api, fails).answer(a_request()) is Outcome.REPORTED
    assert tus.ended


def test_a_stop_does_not_wait_for_a_function_that_gives_nothing(
    tus: TusServer, api: InternalApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export_source.tus.LONGEST_HELD_SECONDS", 0.05)
    monkeypatch.setattr("export_source.ahead.LOOK_SECONDS", 0.01)
    stop, go_on = Stop(), threading.Event()

    def hangs(_: object) -> Iterator[bytes]:
        yield b"x" * CHUNK_BYTES
        go_on.wait(20)
        yield b"x"

    outcomes: list[Outcome] = []
    answers = answering(api, hangs, stop)
    thread = threading.Thread(target=lambda: outcomes.append(answers.answer(a_request())))
    thread.start()
    while not tus.kept:
        time.sleep(0.01)
    stop.hard.set()
    while not tus.ended:
        time.sleep(0.01)
    assert not go_on.is_set()
    go_on.set()
    thread.join(20)
    assert outcomes == [Outcome.ABANDONED]
