"""From what the function returned to the chunks of an upload."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from export_source.errors import SourceError
from export_source.table import Row, Table, write_csv, write_json

Answer = Iterable[Row] | Iterable[bytes] | bytes | Table
"""What a function gives: rows, the finished bytes (in chunks or whole), or rows with their columns."""

CHUNK_BYTES = 64 * 1024

FLUSH_SECONDS = 5.0
"""Less than the platform's patience with a body in which nothing moves, 30 s."""

CONTENT_TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8"}


def content_type_of(format: str) -> str:
    """Give the media type of a format; of one that the library does not know, that of any bytes."""
    return CONTENT_TYPES.get(format, "application/octet-stream")


@dataclass(frozen=True, slots=True)
class Body:
    """An upload that was begun to be read."""

    chunks: Iterator[bytes]
    close: Callable[[], None]
    """Ends what the function returned, so that it can let go of cursors and files."""


def body_of(answer: Answer, format: str) -> Body:
    """Turn an answer into a body in the wanted format.

    The first row is read here, so that what fails at once fails before an upload is begun.

    Raises:
        SourceError: for rows in a format that is neither ``json`` nor ``csv``.
        TypeError: when the answer is none of rows, bytes or a table.
        Exception: what the function raises before its first row.

    """
    if isinstance(answer, Table):
        return _of_rows(answer.rows, format, list(answer.columns), _closer(answer.rows))
    if isinstance(answer, bytes):
        return _of_bytes(iter([answer]), _closer(answer))
    if isinstance(answer, str | Mapping) or not isinstance(answer, Iterable):
        raise TypeError(f"the answer is neither rows nor bytes but {type(answer).__name__}")
    iterator: Iterator[object] = iter(answer)
    first = list(_first(iterator))
    whole = chain(first, iterator)
    if first and isinstance(first[0], bytes | bytearray | memoryview):
        return _of_bytes(whole, _closer(iterator))
    return _of_rows(whole, format, None, _closer(iterator))


def _first(iterator: Iterator[object]) -> Iterator[object]:
    for item in iterator:
        yield item
        return


def _of_rows(
    rows: Iterable[object], format: str, columns: list[str] | None, close: Callable[[], None]
) -> Body:
    checked = _checked(rows)
    if format == "json":
        chunks = write_json(checked)
    elif format == "csv":
        chunks = write_csv(checked, columns)
    else:
        close()
        raise SourceError(400, "this format is not supported; there are: csv, json")
    return Body(coalesced(chunks), close)


def _of_bytes(chunks: Iterable[object], close: Callable[[], None]) -> Body:
    return Body(coalesced(_checked_bytes(chunks)), close)


def _checked(rows: Iterable[object]) -> Iterator[Row]:
    for row in rows:
        if not isinstance(row, Mapping):
            raise TypeError(f"a row is not a dict but {type(row).__name__}")
        yield row


def _checked_bytes(chunks: Iterable[object]) -> Iterator[bytes]:
    for chunk in chunks:
        if not isinstance(chunk, bytes | bytearray | memoryview):
            raise TypeError(f"a chunk is not bytes but {type(chunk).__name__}")
        yield bytes(chunk)


def coalesced(pieces: Iterable[bytes], clock: Callable[[], float] = time.monotonic) -> Iterator[bytes]:
    """Give chunks worth sending: small pieces joined, large ones cut. What is slow is not held for long."""
    chunk, sent_at = bytearray(), clock()
    for piece in pieces:
        for at in range(0, len(piece), CHUNK_BYTES):
            chunk += piece[at : at + CHUNK_BYTES]
            if len(chunk) >= CHUNK_BYTES or clock() - sent_at >= FLUSH_SECONDS:
                yield bytes(chunk)
                chunk, sent_at = bytearray(), clock()
    if chunk:
        yield bytes(chunk)


def _closer(answer: object) -> Callable[[], None]:
    def close() -> None:
        close_answer = getattr(answer, "close", None)
        if callable(close_answer):
            close_answer()

    return close
