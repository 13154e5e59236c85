"""What the tests share."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from export_source import ApplicationKey, Settings, SourceApplication
from export_source.answering import Function
from fault_proxy import FaultProxy
from identity_provider import IdentityProvider
from local_server import LocalServer
from platform_under_test import Account, Platform
from program import Program

# The machine may be busy: how long an example takes says nothing.
hypothesis.settings.register_profile(
    "ours", deadline=None, database=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("ours")

_numbers = itertools.count()


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer() as server:
        yield server


@pytest.fixture(scope="session")
def identity_provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IdentityProvider]:
    with IdentityProvider(tmp_path_factory.mktemp("issuer")) as provider:
        yield provider


@pytest.fixture(scope="session")
def platform(
    tmp_path_factory: pytest.TempPathFactory, identity_provider: IdentityProvider
) -> Iterator[Platform]:
    with Platform(tmp_path_factory.mktemp("platform"), identity_provider.issuer) as platform:
        yield platform


@pytest.fixture
def account(platform: Platform) -> Account:
    """Give an application that no other test uses."""
    return platform.accounts[next(_numbers)]


@pytest.fixture
def proxy(platform: Platform) -> Iterator[FaultProxy]:
    with FaultProxy(platform.internal_url) as proxy:
        yield proxy


Run = Callable[..., SourceApplication]


@pytest.fixture
def run(platform: Platform, account: Account) -> Iterator[Run]:
    """Run applications on threads; all are stopped at the end of the test."""
    running: list[tuple[SourceApplication, threading.Thread]] = []

    def start(function: Function, **settings: object) -> SourceApplication:
        given = {
            "brokers": platform.brokers,
            "internal_url": platform.internal_url,
            "application": account.application,
            "credentials": ApplicationKey(account.key),
            "stop_grace_seconds": 10.0,
        }
        application = SourceApplication(Settings(**(given | settings)), function)  # type: ignore[arg-type]
        thread = threading.Thread(target=application.run, daemon=True)
        thread.start()
        running.append((application, thread))
        return application

    yield start
    for application, _ in running:
        application.stop()
    for _, thread in running:
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def program(platform: Platform, account: Account, tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Run applications as processes; all are killed at the end of the test."""
    running: list[Program] = []

    def start(script: Path, environment: dict[str, str] | None = None) -> Program:
        usual = {
            "BROKERS": platform.brokers,
            "INTERNAL_URL": platform.internal_url,
            "APPLICATION": account.application,
            "KEY": account.key,
        }
        log = tmp_path / f"{script.stem}-{len(running)}.log"
        running.append(Program(script, usual | (environment or {}), log))
        return running[-1]

    yield start
    for each in running:
        each.kill()
