from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from export_source.offsets import OffsetTracker
from export_source.seen import Seen


@given(st.sets(st.integers(0, 10**9), min_size=1), st.randoms(use_true_random=False))
def test_no_offset_is_committed_before_all_earlier_ones_are_done(
    offsets: set[int], order: random.Random
) -> None:
    tracker, taken, done = OffsetTracker(), sorted(offsets), set()
    for offset in taken:
        tracker.begin(offset)
    committed = -1
    for offset in order.sample(taken, len(taken)):
        done.add(offset)
        committable = tracker.done(offset)
        if committable is not None:
            assert committable > committed
            committed = committable
        assert {each for each in taken if each < committed} <= done
        assert tracker.open_count() == len(taken) - len(done)
    assert committed == taken[-1] + 1


def test_an_offset_that_was_not_taken_commits_nothing() -> None:
    tracker = OffsetTracker()
    assert tracker.done(5) is None
    tracker.begin(5)
    assert tracker.done(5) == 6
    assert tracker.done(5) is None


def test_the_oldest_event_is_forgotten_first() -> None:
    seen = Seen(limit=2)
    for event_id in ("a", "b", "a", "c"):
        seen.add(event_id)
    assert ["a" in seen, "b" in seen, "c" in seen] == [True, False, True]
