"""Records that wait for their turn."""

from __future__ import annotations

from collections import deque

from confluent_kafka import Message

MOST_BYTES = 4 * 1024 * 1024
"""How many bytes of records may wait before no more are taken. Several thousand requests: the Kafka client
throws away what it has fetched when a partition is paused, and takes half a second to go on."""

LEAST_BYTES = 1024
"""What a record counts at least: the object around it is no smaller."""


class Waiting:
    """Records in their order."""

    def __init__(self) -> None:
        self.messages: deque[Message] = deque()
        self._bytes = 0

    def push(self, message: Message) -> None:
        """Add the next record."""
        self.messages.append(message)
        self._bytes += _size(message)

    def pop(self) -> Message:
        """Take the first record. There must be one."""
        message = self.messages.popleft()
        self._bytes -= _size(message)
        return message

    def drop(self, topic: str, partition: int) -> None:
        """Forget the records of a partition: whoever has it now reads them."""
        kept = [message for message in self.messages if partition_of(message) != (topic, partition)]
        self.clear()
        for message in kept:
            self.push(message)

    def clear(self) -> None:
        """Forget all."""
        self.messages.clear()
        self._bytes = 0

    def is_full(self, *, was_full: bool) -> bool:
        """Tell whether no more should come: from when there are enough until half of them are gone."""
        return self._bytes >= (MOST_BYTES // 2 if was_full else MOST_BYTES)


def partition_of(message: Message) -> tuple[str, int]:
    """Give the topic and the partition of a record."""
    return message.topic() or "", message.partition() or 0


def _size(message: Message) -> int:
    return max(len(message.value() or b""), LEAST_BYTES)
