"""Tokens of a real issuer, taken by the real platform."""

from __future__ import annotations

from collections.abc import Iterator

from conftest import Run
from export_source import ClientCredentials, Request
from export_source.metrics import RETRIES
from identity_provider import CLIENT, IdentityProvider
from platform_under_test import Account, Platform, wait_for


def rows(_: Request) -> Iterator[dict[str, object]]:
    yield {"n": 1}


def credentials(provider: IdentityProvider, secret: str) -> ClientCredentials:
    return ClientCredentials(issuer=provider.issuer, client_id=CLIENT, client_secret=secret)


def test_a_token_is_taken_instead_of_a_key_before_and_after_new_keys_of_the_issuer_s0_17b(
    platform: Platform, account: Account, run: Run, identity_provider: IdentityProvider
) -> None:
    run(rows, credentials=credentials(identity_provider, identity_provider.secret))
    assert platform.ended(platform.create(account, "disks"))["status"] == "complete"
    identity_provider.roll_over()
    assert platform.ended(platform.create(account, "disks", "os-release"))["status"] == "complete"


def test_a_client_that_gets_no_token_keeps_the_request_s0_17b(
    platform: Platform, account: Account, run: Run, identity_provider: IdentityProvider
) -> None:
    wrong = run(rows, credentials=credentials(identity_provider, "wrong"), group="shared")
    export = platform.create(account, "disks")
    wait_for(lambda: wrong.metrics.value(RETRIES, reason="credentials"))
    wrong.stop()
    run(rows, credentials=credentials(identity_provider, identity_provider.secret), group="shared")
    assert platform.ended(export)["status"] == "complete"
