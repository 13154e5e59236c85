"""From Kafka's records to answers, and from answers to committed offsets.

An offset is committed only after its request, and every request before it in the partition, was answered.
So no request is lost; one that was answered shortly before a crash is answered twice, which the platform
welcomes.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from export_source.answering import Outcome, Stop
from export_source.errors import InvalidEventError
from export_source.metrics import REQUESTS, RUNNING, Metrics
from export_source.offsets import OffsetTracker
from export_source.request import Request, decode
from export_source.seen import Seen
from export_source.settings import Settings
from export_source.waiting import Waiting, partition_of

_log = logging.getLogger(__name__)

LOOK_SECONDS = 0.2
"""How often signals, finished answers and Kafka's callbacks are looked at while nothing comes."""

REVOKE_GRACE_SECONDS = 10.0
"""How long a partition that goes to another replica waits for its answers under way."""

ABANDON_SECONDS = 3.0
"""How long answers may take to notice that they are abandoned, before the process ends without them."""

LEAVE_SECONDS = 5.0
"""How long leaving the group may take."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a record was."""

    tracker: OffsetTracker
    """Of the time that the partition was ours then: what is answered later than that is not committed."""
    topic: str
    partition: int
    offset: int


class Consumption:
    """One consumer and the answers under way; only these are on threads other than that of `run`."""

    def __init__(
        self, settings: Settings, answer: Callable[[Request], Outcome], metrics: Metrics, stop: Stop
    ) -> None:
        """Consume as the settings say; ``answer`` is called on threads."""
        self._settings = settings
        self._answer = answer
        self._metrics = metrics
        self._stop = stop
        self._trackers: dict[tuple[str, int], OffsetTracker] = {}
        # By event: where it and its copies were.
        self._running: dict[str, list[_Place]] = {}
        self._finished: queue.SimpleQueue[tuple[str, Outcome]] = queue.SimpleQueue()
        self._waiting = Waiting()
        self._seen = Seen()
        self._paused = False
        self._ends_at: float | None = None
        self._consumer = Consumer(_config(settings), logger=logging.getLogger("export_source.kafka"))

    def run(self) -> None:
        """Consume until the stop, then wait for the answers under way, commit and leave the group.

        Raises:
            KafkaException: for what a new try in this process does not heal.

        """
        try:
            self._consumer.subscribe(
                [self._settings.topic],
                on_assign=self._on_assign,
                on_revoke=self._on_revoke,
                on_lost=self._on_lost,
            )
            while not self._stop.soft.is_set():
                self._step()
            self._drain()
        finally:
            self._leave()

    def _step(self) -> None:
        self._settle_finished()
        has_room = len(self._running) < self._settings.parallel
        if has_room and self._waiting.messages:
            self._take(self._waiting.pop())
            if self._paused and not self._waiting.is_full(was_full=True):
                self._consumer.resume(self._consumer.assignment())
                self._paused = False
            return
        # Kafka must be asked while answers are waited for, too, or it takes this consumer for dead.
        message = self._consumer.poll(LOOK_SECONDS if has_room else 0)
        if message is not None:
            self._hold(message)
        elif not has_room:
            self._settle_one(LOOK_SECONDS)

    def _hold(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            if error.fatal():
                raise KafkaException(error)
            # Such as a topic that does not exist yet; librdkafka goes on trying.
            _log.warning("Kafka: %s", error.str())
            return
        self._waiting.push(message)
        if not self._paused and self._waiting.is_full(was_full=False):
            self._pause()

    def _pause(self) -> None:
        self._consumer.pause(self._consumer.assignment())
        self._paused = True

    def _take(self, message: Message) -> None:
        (topic, partition), offset = partition_of(message), message.offset() or 0
        tracker = self._trackers.get((topic, partition))
        if tracker is None:
            # It came with the news that the partition goes to another.
            return
        place = _Place(tracker, topic, partition, offset)
        tracker.begin(offset)
        request = self._request_of(message)
        if request is None or request.event_id in self._seen:
            if request is not None:
                self._metrics.add(REQUESTS, outcome="duplicate")
            self._settle(place)
        elif (places := self._running.get(request.event_id)) is not None:
            places.append(place)
            self._metrics.add(REQUESTS, outcome="duplicate")
        else:
            self._start(request, place)

    def _request_of(self, message: Message) -> Request | None:
        """Give the request in a record; None when it is not for this application, or is none."""
        if not _is_for(message, self._settings.application):
            return None
        try:
            request = decode(message.value() or b"")
        except InvalidEventError as error:
            self._metrics.add(REQUESTS, outcome="invalid")
            where = {"partition": message.partition(), "offset": message.offset()}
            _log.error("not a request event, passed over: %s", error, extra=where)
            return None
        return request if request.application == self._settings.application else None

    def _start(self, request: Request, place: _Place) -> None:
        self._running[request.event_id] = [place]
        self._metrics.add(RUNNING)

        def work() -> None:
            outcome = Outcome.ABANDONED
            try:
                outcome = self._answer(request)
            finally:
                self._finished.put((request.event_id, outcome))

        # A daemon: a function that hangs must not keep the process from ending.
        threading.Thread(target=work, name=f"answer-{request.source_id}", daemon=True).start()

    def _settle_finished(self) -> None:
        while self._settle_one(0):
            pass

    def _settle_one(self, seconds: float) -> bool:
        """Settle an answer that is finished, waiting this long for one; false when there is none."""
        try:
            event_id, outcome = (
                self._finished.get(timeout=seconds) if seconds else self._finished.get_nowait()
            )
        except queue.Empty:
            return False
        places = self._running.pop(event_id)
        self._metrics.add(RUNNING, -1)
        if outcome is not Outcome.ABANDONED:
            self._seen.add(event_id)
            for place in places:
                self._settle(place)
        return True

    def _settle(self, place: _Place) -> None:
        offset = place.tracker.done(place.offset)
        if offset is None or self._trackers.get((place.topic, place.partition)) is not place.tracker:
            return
        try:
            # Committed from there every second, on a rebalance and at the end.
            self._consumer.store_offsets(offsets=[TopicPartition(place.topic, place.partition, offset)])
        except KafkaException as error:
            # The partition is no longer ours: its new owner answers once more.
            _log.debug("offset not stored: %s", error)

    def _drain(self) -> None:
        """Let answers under way end; after the grace they are abandoned, and their requests come again."""
        self._ends_at = time.monotonic() + self._settings.stop_grace_seconds
        self._waiting.clear()
        self._pause()
        while self._running and (left := self._ends_at - time.monotonic()) > 0:
            # Kafka takes a consumer for dead that is silent for too long, and commits nothing of it.
            self._consumer.poll(0)
            self._settle_one(min(left, LOOK_SECONDS))
        if self._running:
            _log.warning("abandoning %d answers that took too long", len(self._running))
            self._stop.hard.set()
            self._settle_until(ABANDON_SECONDS, lambda: not self._running)

    def _leave(self) -> None:
        """Commit and leave the group. Both wait for a broker, which may be away."""
        leaving = threading.Thread(target=self._consumer.close, name="leave", daemon=True)
        leaving.start()
        leaving.join(LEAVE_SECONDS)
        if leaving.is_alive():
            _log.warning("Kafka is away: what was answered last is asked again")

    def _settle_until(self, seconds: float, is_over: Callable[[], bool]) -> None:
        end = time.monotonic() + seconds
        while not is_over() and (left := end - time.monotonic()) > 0:
            self._settle_one(min(left, LOOK_SECONDS))

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._trackers |= {(at.topic, at.partition): OffsetTracker() for at in partitions}
        consumer.incremental_assign(partitions)
        if self._paused:
            consumer.pause(partitions)
        _log.info("assigned %d partitions", len(partitions))

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        """Let the answers of these partitions end, so that the next owner need not repeat them."""
        leaving = [self._trackers.get((at.topic, at.partition)) for at in partitions]
        grace = REVOKE_GRACE_SECONDS
        if self._ends_at is not None:
            grace = min(grace, self._ends_at - time.monotonic())
        self._settle_until(grace, lambda: not any(t and t.open_count() for t in leaving))
        self._on_lost(_, partitions)

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        for at in partitions:
            self._trackers.pop((at.topic, at.partition), None)
            self._waiting.drop(at.topic, at.partition)
        _log.info("let go of %d partitions", len(partitions))


def _is_for(message: Message, application: str) -> bool:
    """Tell by the header, so that the others' records need not be decoded."""
    headers = message.headers() or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    return any(name == "application" and value == application.encode() for name, value in pairs)


def _config(settings: Settings) -> dict[str, str | int | bool]:
    config: dict[str, str | int | bool] = {
        "bootstrap.servers": settings.brokers,
        "group.id": settings.group,
        "client.id": settings.application,
        "auto.offset.reset": "earliest",
        # Offsets are stored once answered, and committed from there.
        "enable.auto.offset.store": False,
        "enable.auto.commit": True,
        "auto.commit.interval.ms": 1000,
        "allow.auto.create.topics": False,
        # A replica that comes or goes does not interrupt the others.
        "partition.assignment.strategy": "cooperative-sticky",
    }
    return config | dict(settings.kafka)
