"""When to try again, and after which wait."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from http import HTTPStatus

FIRST_WAIT_SECONDS = 0.25
LONGEST_WAIT_SECONDS = 30.0

LONGEST_RETRY_AFTER_SECONDS = 600.0
"""A server that asks for more is asked again after this."""

_TEMPORARY = frozenset(
    {
        # A key that is refused is being replaced, or is wrong, which a person mends: the request must still
        # be there when it is.
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)


def is_temporary(status: int) -> bool:
    """Tell whether the same answer may be taken later."""
    # Redirects are of something before the platform, which has none, and are mended there.
    return status >= 500 or 300 <= status < 400 or status in _TEMPORARY


class Backoff:
    """Growing waits: each is twice the one before, up to a longest, with jitter of half of it."""

    def __init__(
        self,
        first: float = FIRST_WAIT_SECONDS,
        longest: float = LONGEST_WAIT_SECONDS,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Begin with a wait of ``first`` seconds; ``jitter`` gives numbers from 0 to 1."""
        self._next = first
        self._longest = longest
        self._jitter = jitter

    def wait(self, retry_after: float | None = None) -> float:
        """Give the seconds to wait now: never fewer than the server asked for."""
        # Many that failed at the same moment must not come back at the same moment.
        wait = self._next * (0.5 + 0.5 * self._jitter())
        self._next = min(self._next * 2, self._longest)
        if retry_after is None:
            return wait
        return max(wait, min(retry_after, LONGEST_RETRY_AFTER_SECONDS))


def parse_retry_after(value: str | None, now: Callable[[], float] = time.time) -> float | None:
    """Read ``Retry-After``, seconds or a date, as seconds from now. None when it is missing or neither."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now())
    except (ValueError, TypeError, OverflowError):
        return None
