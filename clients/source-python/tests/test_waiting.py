from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from confluent_kafka import Message

from export_source.waiting import MOST_BYTES, Waiting


@dataclass
class Record:
    of: int = 0
    size: int = 0

    def topic(self) -> str:
        return "requests"

    def partition(self) -> int:
        return self.of

    def value(self) -> bytes:
        return b"x" * self.size


def message(of: int = 0, size: int = 0) -> Message:
    return cast("Message", Record(of, size))


def test_it_is_full_until_half_of_it_is_gone() -> None:
    waiting = Waiting()
    for _ in range(4):
        assert not waiting.is_full(was_full=False)
        waiting.push(message(size=MOST_BYTES // 4))
    assert waiting.is_full(was_full=False)
    full = []
    while waiting.messages:
        waiting.pop()
        full.append(waiting.is_full(was_full=True))
    assert full == [True, True, False, False]


def test_small_records_fill_it_too() -> None:
    waiting = Waiting()
    count = 0
    while not waiting.is_full(was_full=False):
        waiting.push(message())
        count += 1
    assert 1000 <= count <= 5000


def test_records_of_a_partition_that_went_away_are_forgotten_and_the_others_keep_their_order() -> None:
    waiting = Waiting()
    for of in (1, 2, 0, 1, 2):
        waiting.push(message(of, MOST_BYTES // 5))
    waiting.drop("requests", 1)
    waiting.drop("another", 2)
    assert [each.partition() for each in waiting.messages] == [2, 0, 2]
    for _ in range(3):
        waiting.pop()
    assert not waiting.is_full(was_full=True)
