"""The library against the real platform."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from conftest import Run
from export_source import ApplicationKey, Request, SourceApplication, SourceError
from export_source.metrics import REQUESTS, RETRIES, UPLOADED
from export_source.settings import TOPIC
from fault_proxy import FaultProxy, Mode
from platform_under_test import SMALL, Account, Platform, wait_for
from program import SAMPLE, STEADY, WAITING, Program


def numbers(_: Request) -> Iterator[dict[str, object]]:
    for n in range(10):
        yield {"n": n}


def test_rows_reach_the_customer_in_the_format_that_was_asked_for(
    platform: Platform, account: Account, run: Run
) -> None:
    def disks(request: Request) -> list[dict[str, object]]:
        assert request.identity()["user"]["username"] == "jdoe"
        return [{"org": request.org_id, "filters": request.filters}, {"org": "ü,\n", "filters": None}]

    run(disks)
    exports = {f: platform.create(account, "disks", format=f, filters={"a": 1}) for f in ("json", "csv")}
    for export in exports.values():
        assert platform.ended(export)["status"] == "complete"
    rows = json.loads(platform.files(exports["json"])["disks"])
    assert rows == [{"org": "77", "filters": {"a": 1}}, {"org": "ü,\n", "filters": None}]
    text = io.StringIO(platform.files(exports["csv"])["disks"].decode(), newline="")
    assert list(csv.reader(text)) == [["org", "filters"], ["77", '{"a":1}'], ["ü,\n", ""]]


def test_what_the_function_refuses_the_customer_reads_s0_19(
    platform: Platform, account: Account, run: Run
) -> None:
    def answer(request: Request) -> Iterator[dict[str, object]]:
        yield {"n": 1}
        if request.resource == "disks":
            raise SourceError(403, "you may not see the disks")
        if request.resource == "os-release":
            raise OSError("password=hunter2")

    run(answer)
    status = platform.ended(platform.create(account, "disks", "os-release", "python-packages"))
    assert status["status"] == "partial"
    said = {source["resource"]: (source.get("error"), source.get("message")) for source in status["sources"]}
    assert said == {
        "disks": (403, "you may not see the disks"),
        "os-release": (500, "the application could not produce the data"),
        "python-packages": (None, None),
    }


def test_a_platform_that_is_unavailable_is_waited_for(
    platform: Platform, account: Account, run: Run, proxy: FaultProxy
) -> None:
    proxy.mode = Mode.UNAVAILABLE
    application = run(numbers, internal_url=proxy.url)
    export = platform.create(account, "disks")
    wait_for(lambda: len(proxy.connections) >= 2)
    assert platform.status(export)["status"] == "pending"
    proxy.mode = Mode.PASS
    assert platform.ended(export)["status"] == "complete"
    assert application.metrics.value(RETRIES, reason="503") >= 2


def test_an_upload_that_breaks_off_is_begun_anew(
    platform: Platform, account: Account, run: Run, proxy: FaultProxy
) -> None:
    data = [bytes([n]) * 100_000 for n in range(20)]
    proxy.mode = Mode.CUT
    run(lambda _: data, internal_url=proxy.url)
    export = platform.create(account, "disks")
    wait_for(lambda: len(proxy.connections) >= 2)
    proxy.mode = Mode.PASS
    assert platform.ended(export)["status"] == "complete"
    assert platform.files(export)["disks"] == b"".join(data)


def test_a_key_that_is_wrong_loses_no_request(
    platform: Platform, account: Account, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("wrong")
    application = run(numbers, credentials=ApplicationKey.from_file(tmp_path / "key"))
    export = platform.create(account, "disks")
    wait_for(lambda: application.metrics.value(RETRIES, reason="401"))
    (tmp_path / "key").write_text(account.key)
    assert platform.ended(export)["status"] == "complete"


def test_an_export_that_is_deleted_while_it_is_answered_is_let_go(
    platform: Platform, account: Account, run: Run
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def answer(_: Request) -> Iterator[dict[str, object]]:
        begun.set()
        go_on.wait(60)
        yield {"n": 1}

    application = run(answer)
    export = platform.create(account, "disks")
    assert begun.wait(60)
    platform.delete(export)
    go_on.set()
    wait_for(lambda: application.metrics.value(REQUESTS, outcome="gone"))


def test_no_more_than_agreed_are_answered_at_the_same_time(
    platform: Platform, account: Account, run: Run
) -> None:
    lock, running, most = threading.Lock(), [0], [0]
    full = threading.Event()

    def answer(request: Request) -> Iterator[dict[str, object]]:
        with lock:
            running[0] += 1
            most[0] = max(most)
            most.append(running[0])
            if running[0] == 3:
                full.set()
        full.wait(30)
        yield {"id": request.source_id}
        with lock:
            running[0] -= 1

    run(answer, parallel=3)
    exports = [platform.create(account, "disks", "os-release") for _ in range(6)]
    assert [platform.ended(export)["status"] for export in exports] == ["complete"] * 6
    assert max(most) == 3


def test_a_request_that_is_slow_holds_neither_others_nor_the_place_in_the_group(
    platform: Platform, account: Account, run: Run
) -> None:
    go_on = threading.Event()

    def answer(request: Request) -> Iterator[dict[str, object]]:
        if request.resource == "unanswered":
            go_on.wait(60)
        yield {"n": 1}

    # Kafka takes a consumer for dead that is silent for this long.
    patience = {"max.poll.interval.ms": "6000", "session.timeout.ms": "6000"}
    application = run(answer, parallel=1, kafka=patience)
    slow = platform.create(account, "unanswered")
    wait_for(lambda: application.metrics.value(REQUESTS, outcome="uploaded") == 0 and _running(application))
    threading.Timer(8, go_on.set).start()
    others = [platform.create(account, "disks") for _ in range(3)]
    assert [platform.ended(export)["status"] for export in (slow, *others)] == ["complete"] * 4
    assert application.metrics.value(REQUESTS, outcome="uploaded") == 4


def test_replicas_share_the_requests_and_one_that_stops_hands_them_over(
    platform: Platform, account: Account, run: Run
) -> None:
    answered: list[str] = []

    def answer(request: Request) -> Iterator[dict[str, object]]:
        answered.append(request.source_id)
        yield {"id": request.source_id}

    first = run(answer)
    exports = [platform.create(account, "disks") for _ in range(5)]
    run(answer)
    exports += [platform.create(account, "disks") for _ in range(10)]
    first.stop()
    exports += [platform.create(account, "disks") for _ in range(5)]
    assert [platform.ended(export)["status"] for export in exports] == ["complete"] * 20
    # Orderly handing over repeats nothing.
    assert len(answered) == len(set(answered)) == 20


def test_an_upload_takes_no_more_memory_than_its_chunks(
    platform: Platform, account: Account, program: Callable[..., Program]
) -> None:
    application = program(STEADY)
    platform.ended(platform.create(account, "disks", format="csv", filters={"rows": 10}))
    small = application.peak_memory()
    export = platform.create(account, "disks", format="csv", filters={"rows": 400_000})
    assert platform.ended(export)["status"] == "complete"
    assert len(platform.files(export)["disks"]) > 40_000_000
    assert application.peak_memory() - small < 8_000_000


def test_an_application_that_dies_between_upload_and_commit_answers_again(
    platform: Platform, account: Account, program: Callable[..., Program], proxy: FaultProxy
) -> None:
    proxy.mode = Mode.SWALLOW_ANSWERS
    application = program(STEADY, {"INTERNAL_URL": proxy.url})
    export = platform.create(account, "disks")
    before = platform.ended(export)
    application.kill()
    assert waiting_records(platform, account) > 0

    again = program(STEADY)
    wait_for(lambda: "request uploaded" in again.log())
    assert platform.status(export) == before
    assert again.terminate() == 0
    assert waiting_records(platform, account) == 0


def test_sigterm_lets_the_answer_under_way_end(
    platform: Platform, account: Account, program: Callable[..., Program], tmp_path: Path
) -> None:
    go_on = tmp_path / "go-on"
    application = program(WAITING, {"GO_ON": str(go_on)})
    export = platform.create(account, "disks")
    wait_for(lambda: "rows begin" in application.log())
    application.send_sigterm()
    go_on.touch()
    assert application.wait() == 0
    assert platform.status(export)["status"] == "complete"
    # It is not answered once more.
    assert waiting_records(platform, account) == 0


def test_an_answer_that_takes_too_long_to_stop_comes_again(
    platform: Platform, account: Account, program: Callable[..., Program], tmp_path: Path
) -> None:
    go_on = tmp_path / "go-on"
    application = program(WAITING, {"GO_ON": str(go_on), "STOP_GRACE_SECONDS": "0.2"})
    export = platform.create(account, "disks")
    wait_for(lambda: "rows begin" in application.log())
    assert application.terminate() == 0
    assert "abandoning 1 answers" in application.log()
    assert waiting_records(platform, account) > 0
    go_on.touch()
    program(WAITING, {"GO_ON": str(go_on)})
    assert platform.ended(export)["status"] == "complete"


def test_the_sample_answers_what_it_offers(
    platform: Platform, account: Account, program: Callable[..., Program]
) -> None:
    application = program(SAMPLE)
    offered = ("python-packages", "disks", "os-release")
    export = platform.create(account, *offered, "unanswered")
    status = platform.ended(export)
    assert status["status"] == "partial"
    [refused] = [source for source in status["sources"] if source["status"] == "failed"]
    assert (refused["resource"], refused["error"]) == ("unanswered", 404)
    files = platform.files(export)
    assert set(files) == set(offered)
    assert "pytest" in {row["name"] for row in json.loads(files["python-packages"])}
    assert "/" in {row["mount_point"] for row in json.loads(files["disks"])}

    some = platform.create(account, "python-packages", format="csv", filters={"name": ["pytest", "httpx"]})
    assert platform.ended(some)["status"] == "complete"
    rows = list(csv.DictReader(platform.files(some)["python-packages"].decode().splitlines()))
    assert {row["name"] for row in rows} == {"pytest", "httpx"}
    for filters in ({"colour": "red"}, {"name": {"like": "p%"}}):
        wrong = platform.ended(platform.create(account, "python-packages", filters=filters))
        assert wrong["sources"][0]["error"] == 400
    assert application.terminate() == 0


def test_copies_of_an_event_are_passed_over_as_is_what_is_no_event_s0_3(
    platform: Platform, account: Account, run: Run
) -> None:
    answered: list[str] = []

    def answer(request: Request) -> Iterator[dict[str, object]]:
        answered.append(request.source_id)
        yield {"n": 1}

    application = run(answer)
    first = platform.create(account, "disks")
    platform.ended(first)
    [event] = platform.records(account)
    producer = Producer({"bootstrap.servers": platform.brokers})
    for value in (event.value(), b"no JSON {", b"", event.value()):
        headers: list[tuple[str, str | bytes | None]] = [("application", account.application.encode())]
        producer.produce(TOPIC, value, event.key(), headers=headers)
    assert producer.flush(30) == 0
    wait_for(lambda: application.metrics.value(REQUESTS, outcome="duplicate") == 2)
    assert application.metrics.value(REQUESTS, outcome="invalid") == 2
    assert platform.ended(platform.create(account, "disks"))["status"] == "complete"
    assert len(answered) == 2
    application.stop()
    wait_for(lambda: waiting_records(platform, account) == 0)


def test_data_beyond_the_limit_ends_with_that_reason_s0_48(
    platform: Platform, account: Account, run: Run
) -> None:
    def too_much(_: Request) -> Iterator[bytes]:
        yield from [b"x" * 100_000] * 100

    application = run(too_much)
    status = platform.ended(platform.create(account, SMALL))
    assert status["sources"][0]["error"] == 413
    # Whether the platform's answer still arrives over the connection that it closes is a matter of luck.
    ends = ("too_large", "answered_before")
    wait_for(lambda: sum(application.metrics.value(REQUESTS, outcome=end) for end in ends) == 1)


@pytest.mark.parametrize("size", [0, 10])
def test_bytes_pass_as_they_are(platform: Platform, account: Account, run: Run, size: int) -> None:
    application = run(lambda _: iter([b"<x>"] * size))
    export = platform.create(account, "disks", format="csv")
    assert platform.ended(export)["status"] == "complete"
    assert platform.files(export)["disks"] == b"<x>" * size
    assert application.metrics.value(UPLOADED) == 3 * size


def _running(application: SourceApplication) -> bool:
    return "export_source_running 1" in application.metrics.text()


def waiting_records(platform: Platform, account: Account) -> int:
    """Count the records after the offsets that the application's group has committed."""
    consumer = Consumer({"bootstrap.servers": platform.brokers, "group.id": account.application})
    try:
        partitions = consumer.list_topics(TOPIC, timeout=30).topics[TOPIC].partitions
        places = consumer.committed([TopicPartition(TOPIC, n) for n in partitions], timeout=30)
        ends = [consumer.get_watermark_offsets(place, timeout=30)[1] for place in places]
        return sum(end - max(place.offset, 0) for end, place in zip(ends, places, strict=True))
    finally:
        consumer.close()
