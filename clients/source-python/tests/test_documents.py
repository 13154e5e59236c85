"""The programs that the documents show do what they say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from platform_under_test import ROOT, Account, Platform
from program import Program

README = ROOT / "clients/source-python/README.md"
GUIDE = ROOT / "docs/source-applications.md"


def shown_application(document: Path, folder: Path) -> Path:
    """Write down the application that a document shows, of all the Python in it."""
    programs = re.findall(r"```python\n(.*?)```", document.read_text(), re.DOTALL)
    [shown] = [program for program in programs if "SourceApplication" in program]
    assert len([line for line in shown.splitlines() if line.strip()]) <= 10
    (folder / "app.py").write_text(shown)
    return folder / "app.py"


@pytest.mark.parametrize("document", [README, GUIDE], ids=lambda path: path.name)
def test_the_shown_application_answers(
    platform: Platform, account: Account, program: Callable[..., Program], document: Path, tmp_path: Path
) -> None:
    program(shown_application(document, tmp_path))
    export = platform.create(account, "exampleResource")
    assert platform.ended(export)["status"] == "complete"
    rows = json.loads(platform.files(export)["exampleResource"])
    assert [row["number"] for row in rows] == list(range(1000))
    some = platform.create(account, "exampleResource", filters={"below": 10})
    assert platform.ended(some)["status"] == "complete"
    assert len(json.loads(platform.files(some)["exampleResource"])) == 10
    refused = platform.ended(platform.create(account, "exampleResource", filters={"since": "2026-01-01"}))
    [source] = refused["sources"]
    assert (source["error"], source["message"]) == (400, "the only filter is: below")
