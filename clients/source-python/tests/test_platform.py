"""The library against the real platform."""

from __future__ import annotations

import csv
import io
import json
import platform as this_machine

from conftest import Run
from export_source import Request, SourceError, resources
from export_source.metrics import REQUESTS
from fault_proxy import FaultProxy, Mode
from platform_under_test import Account, Platform, wait_for


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
