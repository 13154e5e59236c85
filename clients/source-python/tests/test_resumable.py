"""Uploads in pieces against the real platform."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from conftest import Run
from export_source import Request, SourceError
from export_source.metrics import REQUESTS, RETRIES
from fault_proxy import FaultProxy, Mode
from platform_under_test import SMALL, Account, Platform, wait_for

CHUNK = 100_000


@pytest.mark.parametrize("chunks", [0, 1, 200])
def test_data_goes_up_in_pieces_s0_tus(platform: Platform, account: Account, run: Run, chunks: int) -> None:
    data = [random.Random(n).randbytes(CHUNK) for n in range(chunks)]
    application = run(lambda _: iter(data), resumable=True)
    export = platform.create(account, "disks")
    assert platform.ended(export)["status"] == "complete"
    assert platform.files(export)["disks"] == b"".join(data) if chunks else b"[]\n"
    wait_for(lambda: application.metrics.value(REQUESTS, outcome="uploaded"))


def test_an_upload_goes_on_after_each_broken_connection_and_the_function_is_asked_once_s0_tus(
    platform: Platform, account: Account, run: Run, proxy: FaultProxy
) -> None:
    asked = []
    data = [random.Random(n).randbytes(CHUNK) for n in range(20)]

    def answer(request: Request) -> Iterator[bytes]:
        asked.append(request.source_id)
        yield from data

    # From the first byte to the last.
    proxy.mode = Mode.CUT
    application = run(answer, resumable=True, internal_url=proxy.url)
    export = platform.create(account, "disks")
    assert platform.ended(export)["status"] == "complete"
    assert platform.files(export)["disks"] == b"".join(data)
    assert len(asked) == 1
    assert application.metrics.value(RETRIES, reason="broken connection") >= 2


def test_a_refusal_on_the_way_is_reported_s0_tus(platform: Platform, account: Account, run: Run) -> None:
    def answer(_: Request) -> Iterator[bytes]:
        yield from [b"x" * CHUNK] * 100
        raise SourceError(403, "you may not see the rest")

    run(answer, resumable=True)
    status = platform.ended(platform.create(account, "disks"))
    [source] = status["sources"]
    assert (source["error"], source["message"]) == (403, "you may not see the rest")


def test_data_beyond_the_limit_ends_with_that_reason_s0_tus(
    platform: Platform, account: Account, run: Run
) -> None:
    application = run(lambda _: [b"x" * CHUNK] * 100, resumable=True)
    status = platform.ended(platform.create(account, SMALL))
    assert status["sources"][0]["error"] == 413
    ends = ("too_large", "answered_before")
    wait_for(lambda: sum(application.metrics.value(REQUESTS, outcome=end) for end in ends) == 1)


def test_csv_that_is_changed_for_spreadsheets_goes_up_in_pieces_too_s0_tus(
    platform: Platform, account: Account, run: Run
) -> None:
    rows = b"=1+1\n" * 4_000_000
    run(lambda _: iter([rows]), resumable=True)
    export = platform.create(account, "disks", format="csv", csv={"formula_guard": True})
    assert platform.ended(export)["status"] == "complete"
    assert platform.files(export)["disks"] == rows.replace(b"=", b"'=")
