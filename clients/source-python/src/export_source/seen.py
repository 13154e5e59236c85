"""Events that were answered, to pass over copies of them."""

from __future__ import annotations

REMEMBERED = 10_000


class Seen:
    """The ids of the last events. A copy of an older one is answered again, which does no harm."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        """Remember ``limit`` ids."""
        self._ids: dict[str, None] = {}
        self._limit = limit

    def add(self, event_id: str) -> None:
        """Remember an id, and forget the oldest when there are too many."""
        self._ids.pop(event_id, None)
        self._ids[event_id] = None
        if len(self._ids) > self._limit:
            del self._ids[next(iter(self._ids))]

    def __contains__(self, event_id: object) -> bool:
        return event_id in self._ids
