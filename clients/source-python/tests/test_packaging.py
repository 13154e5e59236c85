"""What is installed with pip is what is tested."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import export_source

PROJECT = Path(__file__).parents[1]
# Nothing is fetched: what builds it is installed beside the tests.
OFFLINE = ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "-q"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", *OFFLINE, "-w", str(folder), str(PROJECT)]
    subprocess.run(command, check=True)
    [wheel] = folder.glob("*.whl")
    return wheel


def test_the_wheel_holds_the_package_and_says_that_it_is_typed(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    sources = {f"export_source/{path.name}" for path in (PROJECT / "src/export_source").glob("*.py")}
    assert {name for name in names if name.endswith(".py")} == sources
    assert "export_source/py.typed" in names


def test_the_wheel_pins_its_requirements_to_ranges(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    [name] = [name for name in archive.namelist() if name.endswith("METADATA")]
    metadata = Parser().parsestr(archive.read(name).decode())
    assert metadata["Version"] == export_source.__version__
    assert metadata["Requires-Python"] == ">=3.11"
    requirements = metadata.get_all("Requires-Dist") or []
    assert len(requirements) == 3
    assert all(">=" in each and "<" in each for each in requirements)


def test_what_pip_installs_can_be_used(wheel: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", *OFFLINE, "--target", str(tmp_path), str(wheel)]
    subprocess.run(command, check=True)
    code = "import export_source; print(export_source.__file__)"
    told = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(tmp_path)}, check=True, capture_output=True
    )
    assert str(tmp_path) in told.stdout.decode()
