"""Requests and events to test with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from export_source import Request

EXAMPLE = Path(__file__).parents[3] / "schemas/events/resource-request.example.json"

EXPORT = "018cc251-f400-7000-8000-000000000002"
SOURCE = "018cc251-f400-7000-8000-000000000003"


def example_event() -> dict[str, Any]:
    """Give the example beside the schema of the events."""
    event: dict[str, Any] = json.loads(EXAMPLE.read_bytes())
    return event


def a_request(**changes: Any) -> Request:
    usual = {
        "event_id": "018cc251-f400-7000-8000-000000000001",
        "export_id": EXPORT,
        "source_id": SOURCE,
        "application": "urn:app",
        "resource": "things",
        "format": "json",
        "org_id": "1",
        "x_rh_identity": "c2VjcmV0",
    }
    return Request(**(usual | changes))
