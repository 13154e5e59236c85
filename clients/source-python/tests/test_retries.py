from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_source.retries import Backoff, is_temporary, parse_retry_after


def test_waits_double_up_to_the_longest() -> None:
    backoff = Backoff(1, 8, jitter=lambda: 1.0)
    assert [backoff.wait() for _ in range(6)] == [1, 2, 4, 8, 8, 8]


@given(st.floats(0, 1))
def test_jitter_takes_away_half_at_most(jitter: float) -> None:
    assert 0.5 <= Backoff(1, 8, jitter=lambda: jitter).wait() <= 1


def test_the_server_is_given_the_time_it_asks_for_within_reason() -> None:
    backoff = Backoff(1, 8, jitter=lambda: 1.0)
    assert [backoff.wait(20), backoff.wait(0), backoff.wait(10**9)] == [20, 2, 600]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("7", 7),
        (" 7 ", 7),
        ("-7", None),
        ("soon", None),
        ("\u0667", None),
        ("9" * 5000, 999_999_999),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 40),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Thu, 99 Jan 1970 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, now=lambda: 60.0) == seconds


def test_what_a_repetition_does_not_heal_is_not_repeated() -> None:
    statuses = (202, 302, 400, 401, 403, 404, 408, 410, 413, 415, 429, 500, 503)
    assert [s for s in statuses if is_temporary(s)] == [
        302, 401, 403, 408, 429, 500, 503,
    ]  # fmt: skip
