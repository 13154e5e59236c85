"""Consuming from the mock cluster of the Kafka client."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Producer

from export_source import ApplicationKey, Metrics, Request, Settings
from export_source.answering import Outcome, Stop
from export_source.consumption import Consumption
from platform_under_test import wait_for
from requests_for_tests import example_event


class Broker:
    """Lives as long as its producer."""

    def __init__(self) -> None:
        self._owner: Producer | None = Producer({"test.mock.num.brokers": 1})
        [at] = self._owner.list_topics(timeout=30).brokers.values()
        self.address = f"{at.host}:{at.port}"

    def ask(self, count: int) -> list[str]:
        """Send requests; gives their events' ids."""
        producer, ids = Producer({"bootstrap.servers": self.address}), []
        for _ in range(count):
            event = example_event() | {"id": str(uuid.uuid4())}
            application = event["data"]["resource_request"]["application"]
            headers: list[tuple[str, str | bytes | None]] = [("application", application.encode())]
            producer.produce("requests", json.dumps(event), event["id"], headers=headers)
            ids.append(event["id"])
        assert producer.flush(30) == 0
        return ids

    def end(self) -> None:
        self._owner = None


@pytest.fixture
def broker() -> Iterator[Broker]:
    broker = Broker()
    yield broker
    broker.end()


class Consuming:
    def __init__(self, broker: Broker, answer: Callable[[Request], object], **settings: object) -> None:
        given: dict[str, object] = {
            "brokers": broker.address,
            "internal_url": "http://127.0.0.1:1",
            "application": example_event()["data"]["resource_request"]["application"],
            "credentials": ApplicationKey("key"),
            "topic": "requests",
            "kafka": {"session.timeout.ms": "6000"},
        }
        self.answered: list[tuple[float, str]] = []
        self._stop = Stop()
        self._answer = answer
        consumption = Consumption(
            Settings(**(given | settings)),  # type: ignore[arg-type]
            self.answer,
            Metrics(),
            self._stop,
        )
        self._thread = threading.Thread(target=consumption.run)
        self._thread.start()

    def answer(self, request: Request) -> Outcome:
        self._answer(request)
        self.answered.append((time.monotonic(), request.event_id))
        return Outcome.UPLOADED

    def ids(self) -> list[str]:
        return [event_id for _, event_id in self.answered]

    def stop(self) -> float:
        """Stop, and give the seconds that it took."""
        began = time.monotonic()
        self._stop.soft.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        return time.monotonic() - began


def test_the_broker_is_not_waited_for_between_requests(broker: Broker) -> None:
    ids = broker.ask(80)
    consuming = Consuming(broker, lambda _: time.sleep(0.25))
    wait_for(lambda: len(consuming.answered) >= len(ids))
    consuming.stop()
    assert sorted(consuming.ids()) == sorted(ids)
    took = consuming.answered[-1][0] - consuming.answered[0][0]
    # Four at a time would take 5 s.
    assert took < 8


def test_a_stop_while_the_broker_is_away_ends(broker: Broker) -> None:
    [first] = broker.ask(1)
    # As long as by default the Kafka client waits for what it tells a broker.
    consuming = Consuming(broker, lambda _: None, kafka={})
    wait_for(lambda: consuming.ids() == [first])
    broker.end()
    assert consuming.stop() < 10


def test_what_waits_in_a_partition_that_goes_to_another_is_left_to_that(broker: Broker) -> None:
    ids = broker.ask(60)
    one = Consuming(broker, lambda _: time.sleep(0.2), parallel=1)
    wait_for(lambda: one.answered)
    other = Consuming(broker, lambda _: time.sleep(0.2), parallel=1)
    wait_for(lambda: len(one.answered) + len(other.answered) >= len(ids))
    assert other.answered
    one.stop()
    other.stop()
    assert sorted(one.ids() + other.ids()) == sorted(ids)


def test_a_long_stop_does_not_lose_the_group(broker: Broker) -> None:
    [first] = broker.ask(1)
    begun = threading.Event()

    def slow(_: Request) -> None:
        begun.set()
        time.sleep(9)

    # Kafka takes a consumer for dead that is silent for this long.
    patience = {"session.timeout.ms": "6000", "max.poll.interval.ms": "6000"}
    consuming = Consuming(broker, slow, kafka=patience)
    assert begun.wait(60)
    consuming.stop()
    again = Consuming(broker, lambda _: None)
    [second] = broker.ask(1)
    wait_for(lambda: second in again.ids())
    again.stop()
    assert consuming.ids() == [first]
    assert again.ids() == [second]
