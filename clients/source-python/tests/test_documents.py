"""The programs that the documents show do what they say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from platform_under_test import ROOT, Account, Platform
from program import Program

DOCUMENTS = [ROOT / "clients/source-python/README.md", ROOT / "docs/source-applications.md"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_shown_application_answers(
    platform: Platform, account: Account, program: Callable[..., Program], document: Path, tmp_path: Path
) -> None:
    [shown] = re.findall(r"```python\n(.*?)```", document.read_text(), re.DOTALL)
    assert len([line for line in shown.splitlines() if line.strip()]) <= 10
    (tmp_path / "app.py").write_text(shown)
    program(tmp_path / "app.py")
    export = platform.create(account, "exampleResource")
    assert platform.ended(export)["status"] == "complete"
    rows = json.loads(platform.files(export)["exampleResource"])
    assert [row["number"] for row in rows] == list(range(1000))
    refused = platform.ended(platform.create(account, "exampleResource", filters={"colour": "red"}))
    assert (refused["sources"][0]["error"], refused["sources"][0]["message"]) == (400, "there are no colours")
