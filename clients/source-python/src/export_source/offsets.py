"""Which offset of a partition may be committed while answers come in any order."""

from __future__ import annotations


class OffsetTracker:
    """The records of one partition that were taken and not yet dealt with, in their order.

    Offsets may have gaps (compacted or transactional topics), so it is the order that counts.
    """

    def __init__(self) -> None:
        self._done: dict[int, bool] = {}

    def begin(self, offset: int) -> None:
        """Note a record that was taken. To be called in the order of the partition."""
        self._done[offset] = False

    def done(self, offset: int) -> int | None:
        """Note that a record was dealt with.

        Returns the offset to commit, the one after the last of those that are done without a gap; None
        when an earlier record is still open.
        """
        if offset not in self._done:
            return None
        self._done[offset] = True
        committable = None
        while self._done:
            first = next(iter(self._done))
            if not self._done[first]:
                break
            del self._done[first]
            committable = first + 1
        return committable

    def open_count(self) -> int:
        """Count the records that are not dealt with."""
        return sum(not done for done in self._done.values())
