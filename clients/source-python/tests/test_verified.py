"""What is written with the library passes what every source application is verified with."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from platform_under_test import ROOT, Account, Platform, free_ports
from program import SAMPLE, Program
from test_documents import GUIDE, shown_application


def test_the_sample_is_verified(
    platform: Platform, account: Account, program: Callable[..., Program], tmp_path: Path
) -> None:
    (tmp_path / "key").write_text(account.key)
    listen = f"127.0.0.1:{free_ports(1)[0]}"
    program(SAMPLE, {"INTERNAL_URL": f"http://{listen}"})
    verify(platform, account, listen, tmp_path / "key", "os-release", '{"name": "ID"}')


def test_the_sample_is_verified_when_it_uploads_in_pieces_s0_tus(
    platform: Platform, account: Account, program: Callable[..., Program], tmp_path: Path
) -> None:
    (tmp_path / "key").write_text(account.key)
    listen = f"127.0.0.1:{free_ports(1)[0]}"
    program(SAMPLE, {"INTERNAL_URL": f"http://{listen}", "RESUMABLE": "true"})
    report = verify(platform, account, listen, tmp_path / "key", "os-release", '{"name": "ID"}')
    assert "pass  resumable " in report, report


def test_the_application_that_the_guide_shows_is_verified(
    platform: Platform, account: Account, program: Callable[..., Program], tmp_path: Path
) -> None:
    (tmp_path / "key").write_text(account.key)
    listen = f"127.0.0.1:{free_ports(1)[0]}"
    program(shown_application(GUIDE, tmp_path), {"INTERNAL_URL": f"http://{listen}"})
    verify(platform, account, listen, tmp_path / "key", "exampleResource", '{"below": 10}')


def verify(
    platform: Platform, account: Account, listen: str, key_file: Path, resource: str, filters: str
) -> str:
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    command: list[str | Path] = [target / "debug/exportctl", "verify-source"]
    command += ["--application", account.application, "--resource", resource, "--filters", filters]
    command += ["--brokers", platform.brokers, "--group", account.application]
    command += ["--listen", listen, "--key-file", key_file]
    verified = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert " 0 failed, 0 warnings" in verified.stdout, verified.stdout
    return verified.stdout
