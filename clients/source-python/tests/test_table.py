from __future__ import annotations

import csv
import datetime
import decimal
import io
import json
import math
import pathlib
import tracemalloc
import uuid
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_source import SourceError, Table
from export_source.body import CHUNK_BYTES, body_of, coalesced
from export_source.table import write_csv, write_json

# Whatever UTF-8 has.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=5,
)


@given(st.lists(st.dictionaries(TEXTS, VALUES)))
def test_json_is_an_array_of_the_rows(rows: list[dict[str, object]]) -> None:
    assert json.loads(b"".join(write_json(rows))) == rows


@given(st.data())
def test_csv_reads_back_as_header_and_cells(data: st.DataObject) -> None:
    columns = data.draw(st.lists(TEXTS, min_size=1, max_size=4, unique=True))
    rows = data.draw(st.lists(st.fixed_dictionaries(dict.fromkeys(columns, TEXTS))))
    written = io.StringIO(b"".join(write_csv(rows, columns)).decode(), newline="")
    read = list(csv.reader(written, strict=True))
    assert read == [columns, *([row[column] for column in columns] for row in rows)]


def test_csv_quotes_what_needs_it_and_ends_lines_as_rfc_4180_says() -> None:
    rows: list[dict[str, object]] = [{"name": 'a,"b"', "size": 1, "of": None}, {"name": "c\rd", "size": 1.5}]
    assert b"".join(write_csv(rows)) == b'name,size,of\r\n"a,""b""",1,\r\n"c\rd",1.5,\r\n'


def test_values_that_json_lacks_become_text() -> None:
    noon = datetime.datetime(2026, 1, 2, 12, tzinfo=datetime.UTC)
    one = uuid.UUID(int=1)
    row: dict[str, object] = {"t": noon, "d": noon.date(), "n": decimal.Decimal("0.10"), "u": one}
    row |= {"p": pathlib.Path("/x"), "s": {7}}
    texts = ["2026-01-02T12:00:00+00:00", "2026-01-02", "0.10", str(one), "/x"]
    assert list(json.loads(b"".join(write_json([row])))[0].values()) == [*texts, [7]]
    assert b"".join(write_csv([row])).decode().splitlines()[1].split(",") == [*texts, "[7]"]


def test_cells_tell_true_from_text_and_hold_json() -> None:
    row = {"yes": True, "list": [1, None], "object": {"a": "ü"}}
    assert b"".join(write_csv([row])).decode().splitlines()[1] == 'true,"[1,null]","{""a"":""ü""}"'


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_json_lacks_is_an_error(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        list(write_json([{"n": value}]))


def test_an_unknown_kind_of_value_is_an_error_that_names_its_kind_only() -> None:
    class Secret:
        def __repr__(self) -> str:
            return "hidden"

    for write in (write_csv, write_json):
        with pytest.raises(TypeError, match="Secret") as error:
            list(write([{"s": Secret()}]))
        assert "hidden" not in str(error.value)


def test_a_row_with_a_column_more_than_the_header_is_an_error() -> None:
    with pytest.raises(ValueError, match="header"):
        list(write_csv([{"a": 1}, {"a": 1, "b": 2}]))


def test_half_a_surrogate_pair_does_not_stop_an_export() -> None:
    assert json.loads(b"".join(write_json([{"name": "a\udcff"}]))) == [{"name": "a?"}]


def test_no_rows_are_an_empty_array_or_only_a_header() -> None:
    def none() -> Iterator[dict[str, object]]:
        yield from ()

    assert b"".join(body_of(none(), "json").chunks) == b"[]\n"
    assert b"".join(body_of(none(), "csv").chunks) == b""
    assert b"".join(body_of(Table(["a", "b"], none()), "csv").chunks) == b"a,b\r\n"


def test_bytes_pass_as_they_are_in_chunks_worth_sending() -> None:
    small = (b"x" for _ in range(CHUNK_BYTES + 1))
    assert [len(chunk) for chunk in body_of(small, "csv").chunks] == [CHUNK_BYTES, 1]
    assert list(body_of(b"whole", "json").chunks) == [b"whole"]
    assert list(body_of([b"", b"a", b"b"], "json").chunks) == [b"ab"]
    # The HTTP library copies what is left of a chunk with each packet.
    large = list(body_of(b"x" * 50 * CHUNK_BYTES, "json").chunks)
    assert [len(chunk) for chunk in large] == [CHUNK_BYTES] * 50


def test_what_comes_slowly_is_sent_soon() -> None:
    times = iter(range(0, 60, 2))
    assert list(coalesced([b"a"] * 7, lambda: next(times))) == [b"aaa", b"aaa", b"a"]


def test_rows_in_an_unknown_format_are_refused() -> None:
    with pytest.raises(SourceError) as refused:
        body_of([{"a": 1}], "pdf")
    assert refused.value.code == 400


@pytest.mark.parametrize("answer", ["text", {"a": 1}, 7, None, [1, 2]])
def test_an_answer_that_is_neither_rows_nor_bytes_is_an_error(answer: object) -> None:
    with pytest.raises(TypeError):
        list(body_of(answer, "json").chunks)  # type: ignore[arg-type]


def test_an_answer_is_closed() -> None:
    ended = []

    def rows() -> Iterator[dict[str, object]]:
        try:
            yield {"a": 1}
            yield {"a": 2}
        finally:
            ended.append(True)

    body = body_of(rows(), "json")
    next(body.chunks)
    body.close()
    assert ended == [True]


def test_memory_does_not_grow_with_the_rows() -> None:
    def rows() -> Iterator[dict[str, object]]:
        for n in range(100_000):
            yield {"n": n, "text": "x" * 100}

    for format in ("csv", "json"):
        tracemalloc.start()
        size = sum(len(chunk) for chunk in body_of(rows(), format).chunks)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert size > 10_000_000
        assert peak < 20 * CHUNK_BYTES, f"{format}: {peak}"
