from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_source import InvalidEventError
from export_source.request import decode
from requests_for_tests import EXPORT, SOURCE, a_request, example_event


def changed(*path: str, to: Any) -> bytes:
    event = example_event()
    inner = event
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = to
    return json.dumps(event).encode()


ASKED = ("data", "resource_request")


def test_an_event_is_read_as_the_contract_says_s0_2_to_s0_16() -> None:
    request = decode(json.dumps(example_event()).encode())
    assert (request.export_id, request.source_id) == (EXPORT, SOURCE)
    assert (request.application, request.resource, request.format) == ("inventory", "packages", "csv")
    assert (request.org_id, request.filters) == ("3253334042", {"section": "libs"})
    assert request.identity()["user"] == {"username": "jdoe"}
    assert request.event_id == "018cc251-f400-7000-8000-000000000001"


def test_filters_that_are_null_or_absent_are_none_s0_16() -> None:
    assert decode(changed(*ASKED, "filters", to=None)).filters == {}
    event = example_event()
    del event["data"]["resource_request"]["filters"]
    assert decode(json.dumps(event).encode()).filters == {}


def test_members_of_a_later_version_are_passed_over() -> None:
    assert decode(changed("traceparent", to="00-1")).resource == "packages"


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "the event is not an object"),
        (changed("specversion", to="0.3"), "specversion"),
        (changed("id", to=7), "id is missing"),
        (changed("redhatorgid", to=""), "redhatorgid is missing"),
        (changed("data", to={}), "data.resource_request"),
        (changed(*ASKED, "uuid", to="../../admin"), "uuid is not a UUID"),
        (changed(*ASKED, "export_request_uuid", to=None), "export_request_uuid is missing"),
        (changed(*ASKED, "filters", to=["secret"]), "filters is not an object"),
        (changed(*ASKED, "x-rh-identity", to=None), "x-rh-identity is missing"),
    ],
)
def test_what_is_no_request_event_is_refused_by_name_and_not_quoted(record: bytes, said: str) -> None:
    with pytest.raises(InvalidEventError, match=said) as refused:
        decode(record)
    assert "secret" not in str(refused.value)


@given(st.binary() | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(repr).map(str.encode))
def test_any_record_is_decoded_or_refused(record: bytes) -> None:
    with pytest.raises(InvalidEventError):
        decode(record)


def test_the_identity_is_not_in_the_debug_output() -> None:
    assert "c2VjcmV0" not in repr(a_request())


@pytest.mark.parametrize("header", ["%%%", "bm8=", "W10=", "e30="])
def test_an_identity_that_is_none_is_refused(header: str) -> None:
    with pytest.raises(InvalidEventError, match="x-rh-identity"):
        a_request(x_rh_identity=header).identity()
