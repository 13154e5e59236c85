"""Answering one request: data, or an error, until the platform has taken it or refused it for good."""

from __future__ import annotations

import contextlib
import enum
import itertools
import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import TypeVar

import httpx

from export_source.ahead import ReadAhead
from export_source.body import Answer, Body, body_of, content_type_of
from export_source.credentials import CredentialsError
from export_source.errors import SourceError, StoppedError
from export_source.internal_api import InternalApi, Reply
from export_source.metrics import REQUESTS, RETRIES, SECONDS, UPLOADED, Metrics
from export_source.request import Request
from export_source.retries import Backoff, is_temporary
from export_source.tus import ResumableUpload, UploadLostError

_log = logging.getLogger(__name__)

T = TypeVar("T")

UNEXPECTED = SourceError(500, "the application could not produce the data")
"""What the customer reads of an exception; its text may hold what is not for them."""

Function = Callable[[Request], Answer]
"""Yours: from a request to rows or bytes."""


class Outcome(enum.Enum):
    """How a request ended."""

    UPLOADED = "uploaded"
    REPORTED = "reported"
    GONE = "gone"
    """The export was deleted or has expired."""
    ANSWERED_BEFORE = "answered_before"
    TOO_LARGE = "too_large"
    REFUSED = "refused"
    """The platform takes neither data nor error: something is wrong that a person must look at."""
    ABANDONED = "abandoned"
    """The application stops; the request comes again."""


class Stop:
    """Tells answers to end: first no new tries, later no further bytes either."""

    def __init__(self) -> None:
        self.soft = threading.Event()
        self.hard = threading.Event()


class _FunctionError(Exception):
    """The function raised."""

    def __init__(self, raised: BaseException) -> None:
        super().__init__()
        # The HTTP library takes the cause off exceptions that pass through it.
        self.raised = raised


class Answering:
    """Answers requests with a function. Used by several threads."""

    def __init__(
        self, function: Function, api: InternalApi, metrics: Metrics, stop: Stop, *, resumable: bool = False
    ) -> None:
        """Answer with ``function``; ``resumable`` uploads in pieces (tus)."""
        self._function = function
        self._api = api
        self._metrics = metrics
        self._stop = stop
        self._resumable = resumable

    def answer(self, request: Request) -> Outcome:
        """Answer, however long the platform is away. Raises nothing."""
        started = time.monotonic()
        outcome = self._answer(request)
        if outcome is not Outcome.ABANDONED:
            self._metrics.add(SECONDS, time.monotonic() - started)
        self._metrics.add(REQUESTS, outcome=outcome.value)
        level = logging.WARNING if outcome in (Outcome.REFUSED, Outcome.TOO_LARGE) else logging.INFO
        _log.log(level, "request %s", outcome.value, extra=_fields(request))
        return outcome

    def _answer(self, request: Request) -> Outcome:
        try:
            reply, taken = self._deliver(request)
        except StoppedError:
            return Outcome.ABANDONED
        if reply.status < 300:
            return taken
        _log.warning(
            "the platform refused the answer with %d: %s", reply.status, reply.text, extra=_fields(request)
        )
        known = {404: Outcome.GONE, 410: Outcome.ANSWERED_BEFORE, 413: Outcome.TOO_LARGE}
        return known.get(reply.status, Outcome.REFUSED)

    def _deliver(self, request: Request) -> tuple[Reply, Outcome]:
        """Give the reply that is final, and the outcome if it is a good one."""
        try:
            return self._until_taken(request, lambda: self._upload(request)), Outcome.UPLOADED
        except SourceError as error:
            refusal = error
        except Exception as error:
            if isinstance(error, StoppedError) or self._stop.hard.is_set():
                raise StoppedError from error
            cause = error.raised if isinstance(error, _FunctionError) else error
            _log.error("the function failed", exc_info=cause, extra=_fields(request))
            refusal = UNEXPECTED
        send = lambda: self._api.report(request, refusal.code, refusal.message)  # noqa: E731
        return self._until_taken(request, send), Outcome.REPORTED

    def _until_taken(self, request: Request, send: Callable[[], Reply]) -> Reply:
        backoff = Backoff()
        while True:
            try:
                reply = send()
            except (httpx.RequestError, CredentialsError, UploadLostError) as error:
                self._pause(request, backoff.wait(), _reason(error))
                continue
            if not is_temporary(reply.status):
                return reply
            self._pause(request, backoff.wait(reply.retry_after), str(reply.status))

    def _upload(self, request: Request) -> Reply:
        """Ask the function, anew for each try: a body that was sent halfway cannot be sent again."""
        content_type = content_type_of(request.format)
        if self._resumable:
            return self._upload_in_pieces(request, content_type)
        with contextlib.closing(self._read(request)) as read:
            chunks = self._counted(read)
            # Before the upload is begun: the platform gives up one in which nothing moves for 30 s.
            first = list(itertools.islice(chunks, 1))
            return self._api.upload(request, content_type, itertools.chain(first, chunks))

    def _upload_in_pieces(self, request: Request, content_type: str) -> Reply:
        pause = lambda seconds, reason: self._pause(request, seconds, reason)  # noqa: E731
        # Pieces are sent while the function is waited for.
        ahead = ReadAhead(lambda: self._read(request))
        try:
            chunks = self._counted(ahead.chunks())
            return ResumableUpload(self._api, request, pause).send(content_type, chunks)
        finally:
            ahead.end()

    def _read(self, request: Request) -> Generator[bytes]:
        """Ask the function, and give its data."""
        body = self._guarded(lambda: body_of(self._function(request), request.format))
        try:
            while (chunk := self._guarded(lambda: next(body.chunks, None))) is not None:
                yield chunk
        finally:
            self._close(request, body)

    def _counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Count what is sent, and end it when the application must end."""
        for chunk in chunks:
            if self._stop.hard.is_set():
                raise StoppedError
            self._metrics.add(UPLOADED, len(chunk))
            yield chunk

    @staticmethod
    def _guarded(call: Callable[[], T]) -> T:
        """Keep what the function raises apart from what a connection does."""
        try:
            return call()
        except SourceError:
            raise
        # Also what is no Exception, as of sys.exit and of cancelled tasks: it would end this thread only,
        # and the request would stay open.
        except BaseException as error:
            raise _FunctionError(error) from error

    @staticmethod
    def _close(request: Request, body: Body) -> None:
        try:
            body.close()
        except BaseException:  # noqa: BLE001
            # The data may have arrived whole.
            _log.exception("the function failed when it was closed", extra=_fields(request))

    def _pause(self, request: Request, seconds: float, reason: str) -> None:
        """Wait before another try; the application's stop ends the wait and the answer."""
        self._metrics.add(RETRIES, reason=reason)
        _log.warning("trying again in %.1f s: %s", seconds, reason, extra=_fields(request))
        if self._stop.soft.wait(seconds):
            raise StoppedError


def _reason(error: Exception) -> str:
    return {CredentialsError: "credentials", UploadLostError: "upload lost"}.get(type(error), "connection")


def _fields(request: Request) -> dict[str, str]:
    """Ids only: filters, identity and data are the customer's."""
    return {
        "export": request.export_id,
        "source": request.source_id,
        "resource": request.resource,
        "event": request.event_id,
    }
