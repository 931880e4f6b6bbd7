"""The packages as users get them: built, installed into an empty environment, and tested there."""

import json
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from fairque.protocol.wire.scripts import script, script_names

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("protocol", "client", "worker", "scheduler", "console", "testing")

#: One process runs all of them: the wheels are built once.
pytestmark = pytest.mark.xdist_group("wheels")

_LOOK = """
import json
import fairque.client, fairque.console, fairque.scheduler, fairque.testing, fairque.worker
from fairque.protocol.wire.scripts import script, script_names
print(json.dumps({name: script(name).sha for name in script_names()}))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist of each package from the tree, and its wheel from that sdist."""
    folder = tmp_path_factory.mktemp("dist")
    for package in PACKAGES:
        source = ROOT / "packages" / f"fairque-{package}"
        subprocess.run([sys.executable, "-m", "build", "--outdir", folder, source], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def python(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheels into a clean virtual environment."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    wheels = sorted(built.glob("*.whl"))
    subprocess.run([python, "-m", "pip", "install", "--quiet", *wheels], check=True, capture_output=True)
    return python


def test_the_installed_packages_hold_exactly_the_scripts_of_the_repository(python: Path) -> None:
    found = subprocess.run([python, "-c", _LOOK], check=True, capture_output=True, text=True, cwd=python.parent)

    assert json.loads(found.stdout) == {name: script(name).sha for name in script_names()}


def test_a_wheel_built_from_the_tree_holds_the_scripts_too(tmp_path: Path) -> None:
    source = ROOT / "packages" / "fairque-protocol"
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, source], check=True)

    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()

    assert {f"fairque/protocol/lua/{name}.lua" for name in script_names()} <= set(names)


def test_the_worker_command_answers_where_it_was_installed(python: Path) -> None:
    answer = subprocess.run([python.parent / "fairque-worker", "--help"], check=True, capture_output=True, text=True)

    assert "--concurrency" in answer.stdout


def test_the_scheduler_command_answers_where_it_was_installed(python: Path) -> None:
    answer = subprocess.run([python.parent / "fairque-scheduler", "--help"], check=True, capture_output=True, text=True)

    assert "healthcheck" in answer.stdout


def test_the_command_of_operators_answers_where_it_was_installed(python: Path) -> None:
    command = str(python.parent / "fairque")

    answer = subprocess.run([command, "config", "check"], check=True, capture_output=True, text=True)

    assert answer.stdout == "all settings can be used\n"


def test_every_wheel_carries_licence_and_types(built: Path) -> None:
    for wheel in sorted(built.glob("*.whl")):
        names = zipfile.ZipFile(wheel).namelist()

        assert any(name.endswith("licenses/LICENSE") for name in names), wheel.name
        assert any(name.endswith("/py.typed") for name in names), wheel.name
        assert "fairque/__init__.py" not in names, wheel.name
