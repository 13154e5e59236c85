"""Rows as CSV and JSON, written while they come: memory holds a row and a chunk."""

from __future__ import annotations

import csv
import datetime
import decimal
import enum
import json
import pathlib
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with their columns: a CSV then has its header even when there are no rows."""

    columns: Sequence[str]
    rows: Iterable[Row]


def write_json(rows: Iterable[Row]) -> Iterator[bytes]:
    """Write a JSON array of objects, a row a line.

    Raises:
        ValueError: for a number that JSON does not have: NaN and the infinities.
        TypeError: for a value that is none of JSON's, nor a date, time, decimal, UUID, path, enum or set.

    """
    encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
    start = "[\n"
    for row in rows:
        yield _utf8(start + encoder.encode(row if isinstance(row, dict) else dict(row)))
        start = ",\n"
    yield b"[]\n" if start == "[\n" else b"\n]\n"


def write_csv(rows: Iterable[Row], columns: Sequence[str] | None = None) -> Iterator[bytes]:
    """Write CSV (RFC 4180) with a header, by default of the first row's columns.

    A column that a row does not have is an empty cell, as None is; lists and objects are JSON within a cell.

    Raises:
        ValueError: for a row with a column that is not in the header: data would be lost.

    """
    rows = iter(rows)
    if columns is None:
        first = next(rows, None)
        if first is None:
            return
        columns, rows = list(first), chain([first], rows)
    line: Callable[[Iterable[object]], str] = csv.writer(_Echo(), lineterminator="\r\n").writerow
    known = frozenset(columns)
    yield _utf8(line(columns))
    for row in rows:
        if not known.issuperset(row):
            raise ValueError("a row has columns that the header does not have")
        yield _utf8(line([_cell(row.get(column)) for column in columns]))


class _Echo:
    """Lets the writer hand back each line instead of keeping it."""

    def write(self, line: str) -> str:
        return line


def _cell(value: object) -> object:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case enum.Enum():
            return _cell(value.value)
        case str() | int() | float():
            return value
        case Mapping() | list() | tuple() | Set():
            return json.dumps(_listed(value), ensure_ascii=False, separators=(",", ":"), default=_plain)
        case _:
            return _plain(value)


def _listed(value: object) -> object:
    return value if isinstance(value, dict | list | tuple) else _plain(value)


def _plain(value: object) -> object:
    """Something that JSON has, for a value that it does not."""
    match value:
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        # As text: a float would round.
        case decimal.Decimal() | uuid.UUID() | pathlib.PurePath():
            return str(value)
        case enum.Enum():
            return value.value
        case Mapping():
            return dict(value)
        case Set():
            return list(value)
        case _:
            raise TypeError(f"a value of type {type(value).__name__} cannot be written")


def _utf8(text: str) -> bytes:
    # Half a surrogate pair, as in file names that are not UTF-8, has no UTF-8: it becomes a question mark.
    return text.encode("utf-8", "replace")
