"""Request events: CloudEvents 1.0 in structured JSON, contract S0-2 to S0-16."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from export_source.errors import InvalidEventError


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a customer asks of one source. Answer with what this customer may see."""

    event_id: str
    """The same in every copy of the event."""
    export_id: str
    """UUID of the export."""
    source_id: str
    """UUID of the source within the export; the platform's API calls it the resource UUID."""
    application: str
    """Who is asked: your application."""
    resource: str
    """Which of the application's resources."""
    format: str
    """``json`` or ``csv``. Rows are written in it; a function that answers with bytes must heed it."""
    org_id: str
    """The customer's organization."""
    filters: Mapping[str, Any] = field(default_factory=dict)
    """As the customer gave them, unchecked; empty when there are none."""
    x_rh_identity: str = field(default="", repr=False)
    """The customer's identity header as it was received: base64 of JSON. Not for logs."""

    def identity(self) -> Mapping[str, Any]:
        """Give the ``identity`` object of the customer's header.

        Raises:
            InvalidEventError: when the header is something else.

        """
        try:
            decoded = json.loads(base64.b64decode(self.x_rh_identity, validate=True))
        except (binascii.Error, ValueError, RecursionError) as error:
            raise InvalidEventError("x-rh-identity is not base64 of JSON") from error
        return _object(_object(decoded, "x-rh-identity").get("identity"), "x-rh-identity.identity")


def decode(record: bytes) -> Request:
    """Read the value of a Kafka record.

    Members that the contract does not name are passed over: a later version of it may have more.

    Raises:
        InvalidEventError: names what is wrong first.

    """
    try:
        event = _object(json.loads(record), "the event")
    except (ValueError, RecursionError) as error:
        raise InvalidEventError("the event is not JSON") from error
    if event.get("specversion") != "1.0":
        raise InvalidEventError("specversion is not 1.0")
    data = _object(event.get("data"), "data")
    asked = _object(data.get("resource_request"), "data.resource_request")
    filters = asked.get("filters")
    return Request(
        event_id=_text(event, "id"),
        export_id=_uuid(asked, "export_request_uuid"),
        source_id=_uuid(asked, "uuid"),
        application=_text(asked, "application"),
        resource=_text(asked, "resource"),
        format=_text(asked, "format"),
        org_id=_text(event, "redhatorgid"),
        filters={} if filters is None else _object(filters, "filters"),
        x_rh_identity=_text(asked, "x-rh-identity"),
    )


def _object(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidEventError(f"{name} is not an object")
    return value


def _text(members: Mapping[str, object], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidEventError(f"{name} is missing or no text")
    return value


def _uuid(members: Mapping[str, object], name: str) -> str:
    try:
        return str(UUID(_text(members, name)))
    except ValueError as error:
        raise InvalidEventError(f"{name} is not a UUID") from error
