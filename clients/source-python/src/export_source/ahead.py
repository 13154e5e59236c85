"""Data that is read on a thread of its own, so that whoever sends it can act while it is waited for."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Generator, Iterator

CHUNKS_AHEAD = 16
"""How many chunks wait for whoever is slower than the function."""

LOOK_SECONDS = 1.0


class ReadAhead:
    """Chunks that another thread reads.

    All of the reading is done by that one thread: a database's cursor may be bound to its own.
    """

    def __init__(self, read: Callable[[], Generator[bytes]]) -> None:
        """Begin to read what the generator function gives; an exception of it ends `chunks`."""
        self._read = read
        self._over = threading.Event()
        self._given: queue.Queue[bytes | BaseException | None] = queue.Queue(CHUNKS_AHEAD)
        # A daemon: a function that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="read-ahead", daemon=True)
        self._thread.start()

    def chunks(self) -> Iterator[bytes]:
        """Give what was read. An empty chunk says that nothing came for a second."""
        while True:
            try:
                given = self._given.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                given = b""
            if given is None:
                return
            if isinstance(given, BaseException):
                raise given
            yield given

    def end(self) -> None:
        """Read no further, and wait until the function has noticed: its next try comes after this one."""
        self._over.set()
        with contextlib.suppress(queue.Empty):
            while True:
                self._given.get_nowait()
        # There is room now for the chunk on its way and for the end.
        self._thread.join()

    def _run(self) -> None:
        end: BaseException | None = None
        try:
            with contextlib.closing(self._read()) as chunks:
                for chunk in chunks:
                    if self._over.is_set():
                        break
                    self._given.put(chunk)
        except BaseException as error:  # noqa: BLE001
            end = error
        self._given.put(end)
