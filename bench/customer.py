"""A customer of the public API."""

from __future__ import annotations

import base64
import json
import urllib.request

from checks import expect

EXPORTS = "/api/export/v1/exports"
APPLICATION = "exampleApplication"
RESOURCES = ("exampleResource", "anotherExampleResource")
ORG_ID = "3340851"
ACCOUNT = "540155"

# Never by a proxy: it is this machine that is measured.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def identity(username: str) -> str:
    """An x-rh-identity header as a gateway sets it, of usual length."""
    user = {
        "username": username,
        "email": f"{username}@customer.example.org",
        "first_name": "Erika",
        "last_name": "Mustermann",
        "is_active": True,
        "is_org_admin": False,
        "is_internal": False,
        "locale": "en_US",
        "user_id": "51808212",
    }
    identity = {
        "account_number": ACCOUNT,
        "org_id": ORG_ID,
        "internal": {"org_id": ORG_ID, "auth_time": 1400},
        "auth_type": "jwt-auth",
        "type": "User",
        "user": user,
    }
    return base64.b64encode(json.dumps({"identity": identity}).encode()).decode()


def create_body(sources: int) -> dict:
    """A request for an export."""
    wanted = [{"application": APPLICATION, "resource": resource} for resource in RESOURCES[:sources]]
    wanted[0]["filters"] = {"since": "2026-01-01T00:00:00Z", "section": ["libs", "admin"]}
    return {"name": "Nightly inventory", "format": "json", "sources": wanted}


class Customer:
    def __init__(self, public_url: str, username: str):
        self.public_url, self.username = public_url, username
        self.headers = {"x-rh-identity": identity(username)}

    def create(self, sources: int = 1) -> dict:
        return self.call("POST", EXPORTS, 202, create_body(sources))

    def status(self, export_id: str) -> dict:
        return self.call("GET", f"{EXPORTS}/{export_id}/status", 200)

    def list(self, query: str) -> dict:
        return self.call("GET", f"{EXPORTS}?{query}", 200)

    def archive_url(self, export_id: str) -> str:
        return f"{self.public_url}{EXPORTS}/{export_id}"

    def call(self, method: str, path: str, expected: int, body: dict | None = None) -> dict:
        data = json.dumps(body).encode() if body is not None else None
        headers = self.headers | ({"Content-Type": "application/json"} if data else {})
        request = urllib.request.Request(self.public_url + path, data, headers, method=method)
        with OPENER.open(request, timeout=30) as answer:
            expect(answer.status == expected, f"{method} {path} was answered {answer.status}")
            return json.loads(answer.read())
