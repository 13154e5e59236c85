"""Resumable uploads: tus 1.0.0 with creation-defer-length, contract S0-tus.

Data of unknown length goes up in pieces. The piece under way is held in memory, so that a broken
connection costs at most a piece and the function is not asked again.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import logging
import time
from collections.abc import Callable, Iterator

import httpx

from export_source.credentials import CredentialsError
from export_source.internal_api import InternalApi, Reply
from export_source.request import Request
from export_source.retries import Backoff, is_temporary

PIECE_BYTES = 8 * 1024 * 1024

LONGEST_HELD_SECONDS = 15.0
"""Slow data does not wait for a full piece: the platform forgets an upload that is not continued, and shows
the customer how far it is."""

_NOT_IN_PIECES = (httpx.codes.BAD_REQUEST, httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED)

_VERSION = {"tus-resumable": "1.0.0"}
_PIECE = _VERSION | {"content-type": "application/offset+octet-stream"}

_log = logging.getLogger(__name__)

Pause = Callable[[float, str], None]
"""Waits some seconds before another try, for a reason; raises when the application is to stop."""


class UploadLostError(Exception):
    """The platform no longer has what was sent before: the upload must begin anew."""


class ResumableUpload:
    """One upload of one source."""

    def __init__(
        self, api: InternalApi, request: Request, pause: Pause, piece_bytes: int = PIECE_BYTES
    ) -> None:
        """Prepare an upload; nothing is sent yet."""
        self._api = api
        self._request = request
        self._pause = pause
        self._piece_bytes = piece_bytes
        self._path: str | None = None

    def send(self, content_type: str, chunks: Iterator[bytes]) -> Reply:
        """Send all of it.

        Returns the reply that settled it: to the last piece, or the first that refuses for good.

        Raises:
            UploadLostError: when it must begin anew, with chunks from the start.
            Exception: what ``chunks`` or the pause raises; the platform is told that the upload is over.

        """
        try:
            return self._send(content_type, chunks)
        except Exception:
            self._terminate()
            raise

    def _send(self, content_type: str, chunks: Iterator[bytes]) -> Reply:
        pieces = in_pieces(chunks, self._piece_bytes)
        # Before the creation: what fails at once leaves no upload behind.
        first = next(pieces)
        created = self._create(content_type)
        if created.status in _NOT_IN_PIECES or (created.status < 300 and self._path is None):
            # A platform that knows no pieces, takes none of this source, or does not say where. The answer to
            # the data itself tells that from an export that is gone: no request is dropped for want of one.
            rest = (piece for piece, _ in itertools.chain([first], pieces))
            return self._api.upload(self._request, content_type, rest)
        if self._path is None:
            return created
        offset, reply = self._send_piece(0, *first)
        for piece, is_last in pieces:
            if reply.status >= 300:
                break
            offset, reply = self._send_piece(offset, piece, is_last)
        return reply

    def _create(self, content_type: str) -> Reply:
        headers = _VERSION | {"upload-defer-length": "1", "upload-metadata": _metadata(content_type)}
        path = self._api.path(self._request, "uploads")
        reply = self._until_taken(lambda: self._api.send("POST", path, headers=headers))
        location = reply.headers.get("location")
        if reply.status == httpx.codes.CREATED and location is not None:
            # Only the path counts: the key must not go wherever a header says.
            with contextlib.suppress(httpx.InvalidURL):
                self._path = httpx.URL(f"http://platform{path}").join(location).raw_path.decode("ascii")
        return reply

    def _send_piece(self, start: int, piece: bytes, is_last: bool) -> tuple[int, Reply]:
        """Send what the platform does not have of a piece; returns where the next one starts."""
        end, at = start + len(piece), start
        length = {"upload-length": str(end)} if is_last else {}
        backoff = Backoff()
        while True:
            reply = self._try("PATCH", _PIECE | length | {"upload-offset": str(at)}, piece[at - start :])
            if reply is not None and not _is_unsettled(reply.status):
                if not is_last and reply.status in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
                    raise UploadLostError
                return end, reply
            reason = "broken connection" if reply is None else str(reply.status)
            self._pause(backoff.wait(None if reply is None else reply.retry_after), reason)
            before = at
            at, is_settled = self._standing(start, end)
            if at > before:
                # It moves: the next failure is a new one.
                backoff = Backoff()
            if at == end and (is_settled or not is_last):
                return end, Reply(httpx.codes.NO_CONTENT, None, "", httpx.Headers())

    def _standing(self, start: int, end: int) -> tuple[int, bool]:
        """Ask how far the platform has it, and whether that is all of it: then the source is settled."""
        reply = self._until_taken(lambda: self._api.send("HEAD", self._path or "", headers=_VERSION))
        text = reply.headers.get("upload-offset", "")
        offset = int(text) if text.isascii() and text.isdigit() else -1
        if reply.status >= 300 or not start <= offset <= end:
            raise UploadLostError
        return offset, reply.headers.get("upload-length") == text

    def _until_taken(self, call: Callable[[], Reply]) -> Reply:
        backoff = Backoff()
        while True:
            try:
                reply = call()
            except (httpx.RequestError, CredentialsError) as error:
                self._pause(backoff.wait(), type(error).__name__)
                continue
            if not is_temporary(reply.status):
                return reply
            self._pause(backoff.wait(reply.retry_after), str(reply.status))

    def _try(self, method: str, headers: dict[str, str], content: bytes) -> Reply | None:
        try:
            return self._api.send(method, self._path or "", headers=headers, content=content)
        except (httpx.RequestError, CredentialsError) as error:
            _log.debug("a piece did not go through: %s", type(error).__name__)
            return None

    def _terminate(self) -> None:
        if self._path is None:
            return
        # What cannot be ended now expires.
        with contextlib.suppress(httpx.HTTPError, CredentialsError):
            self._api.send("DELETE", self._path, headers=_VERSION)


def _is_unsettled(status: int) -> bool:
    # The upload stands elsewhere than this side thought, the try before still holds it, or the piece was
    # damaged on its way.
    return is_temporary(status) or status in (httpx.codes.CONFLICT, httpx.codes.LOCKED, 460)


def _metadata(content_type: str) -> str:
    return f"filetype {base64.b64encode(content_type.encode()).decode()}"


def in_pieces(
    chunks: Iterator[bytes], piece_bytes: int, clock: Callable[[], float] = time.monotonic
) -> Iterator[tuple[bytes, bool]]:
    """Join chunks to pieces of this size, each with whether it is the last. There is always one.

    Shorter are the last, and those of slow data; empty chunks tell that time passes.
    """
    held, held_since = bytearray(), 0.0
    for chunk in chunks:
        if not held:
            held_since = clock()
        held += chunk
        # One byte more than a piece shows that this piece is not the last.
        while len(held) > piece_bytes:
            yield bytes(held[:piece_bytes]), False
            del held[:piece_bytes]
            held_since = clock()
        if held and clock() - held_since >= LONGEST_HELD_SECONDS:
            yield bytes(held), False
            held.clear()
    yield bytes(held), True
