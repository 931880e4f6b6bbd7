"""The packages as users get them: built, installed into an empty environment, and tested there."""

import json
import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fairque.protocol.wire.scripts import script, script_names

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("protocol", "client", "worker", "scheduler", "console", "testing")

#: Extras whose libraries are tried, too.
EXTRAS = {"fairque_client": "[yaml,embedded,progress]", "fairque_console": "[schedules]"}

#: One process runs all of them: the wheels are built once.
pytestmark = [pytest.mark.xdist_group("wheels"), pytest.mark.thorough]

_LOOK = """
import json
import fairque.client, fairque.console, fairque.scheduler, fairque.testing, fairque.worker
from fairque.protocol.wire.scripts import script, script_names
print(json.dumps({name: script(name).sha for name in script_names()}))
"""


_PROGRAM = """
from fairque.client import TaskQueue, task
from fairque.client.progress import show_progress

@task
def double(number: int) -> int:
    return 2 * number

@task
async def add(first: int, second: int) -> int:
    return first + second

@task(isolation="process")
def apart(number: int) -> int:
    return number

if __name__ == "__main__":
    with TaskQueue.from_config("config.yaml") as queue:
        two, four = double.task(1), double.task(2)
        handle = queue.push([two, four] >> add.task(two.output, four.output))
        print(handle.result(timeout=300) + queue.push(apart.task(1)).result(timeout=300))
        show_progress(queue.push(double.task(3)))
"""
_CONFIG = """
redis: {url: "embedded://%s/data"}
client: {default_user_id: ann}
worker: {modules: [program]}
schedules:
  often: {every: 3600, task: {func: "program:double", args: [1], user_id: ann}}
fairness: {users: {ann: {cap: 5}}}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist of each package from the tree, and its wheel from that sdist."""
    folder = tmp_path_factory.mktemp("dist")
    for package in PACKAGES:
        build(ROOT / "packages" / f"fairque-{package}", "--outdir", folder)
    return folder


def build(source: Path, *options: str | Path) -> None:
    """Build a package with the hatchling of this environment: twelve environments with their own take minutes."""
    command = [sys.executable, "-m", "build", "--no-isolation", *options, source]
    subprocess.run(command, check=True, capture_output=True)


def oldest() -> list[str]:
    """Return the oldest version that is allowed of each library which the packages depend on."""
    floors: dict[str, str] = {}
    for package in PACKAGES:
        project = tomllib.loads((ROOT / "packages" / f"fairque-{package}" / "pyproject.toml").read_text())["project"]
        extras = [name for names in project.get("optional-dependencies", {}).values() for name in names]
        for requirement in [*project["dependencies"], *extras]:
            floor = re.match(r"([\w-]+)>=([\d.]+)", requirement)
            if floor is not None and not floor[1].startswith("fairque"):
                assert floors.setdefault(floor[1], floor[2]) == floor[2], f"two floors of {floor[1]}"
    return [f"{name}=={floor}" for name, floor in floors.items()]


def installed(folder: Path, built: Path, *pinned: str) -> Path:
    """Install the wheels into a clean virtual environment, and return its Python."""
    venv.create(folder)
    python = folder / "bin" / "python"
    wheels = [f"{wheel}{EXTRAS.get(wheel.name.split('-')[0], '')}" for wheel in sorted(built.glob("*.whl"))]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", *wheels, *pinned],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return python


@contextmanager
def running(command: Path, *words: str, folder: Path) -> Iterator[None]:
    """Run a service while the context lasts, and let it end well."""
    with subprocess.Popen([command, *words], cwd=folder) as service:
        try:
            yield
        finally:
            service.terminate()
    assert service.returncode == 0


@pytest.fixture(scope="module")
def python(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the Python of an environment with the newest versions of all libraries."""
    return installed(tmp_path_factory.mktemp("newest"), built)


@pytest.fixture(scope="module", params=["oldest", "newest"])
def either(request: pytest.FixtureRequest, built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the Python of an environment with the oldest, and one with the newest versions that are allowed."""
    if request.param == "newest":
        found: Path = request.getfixturevalue("python")
        return found
    return installed(tmp_path_factory.mktemp("oldest"), built, *oldest())


def test_the_installed_packages_hold_exactly_the_scripts_of_the_repository(python: Path) -> None:
    found = subprocess.run([python, "-c", _LOOK], check=True, capture_output=True, text=True, cwd=python.parent)

    assert json.loads(found.stdout) == {name: script(name).sha for name in script_names()}


def test_a_wheel_built_from_the_tree_holds_the_scripts_too(tmp_path: Path) -> None:
    build(ROOT / "packages" / "fairque-protocol", "--wheel", "--outdir", tmp_path)

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

    assert answer.stdout == "all settings are valid\n"


def test_all_parts_work_together_with_the_oldest_and_the_newest_libraries(either: Path, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(_PROGRAM)
    (tmp_path / "config.yaml").write_text(_CONFIG % tmp_path)

    def command(*words: str) -> str:
        done = subprocess.run(
            [either.parent / words[0], *words[1:]],
            cwd=tmp_path,
            env={**os.environ, "FAIRQUE_CONFIG": "config.yaml"},
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    with running(either.parent / "fairque-worker", "--config", "config.yaml", folder=tmp_path):
        printed = command("python", "program.py")
        applied = command("fairque", "apply", "config.yaml")
        schedules = command("fairque", "schedules", "list")
        verified = command("fairque", "verify")

    assert printed.splitlines()[0] == "7"
    assert "often" in schedules
    assert "schedule 'often': added" in applied
    assert "user " not in applied  # the worker applied the limits at its start
    assert "0 findings" in verified


def test_every_wheel_carries_licence_and_types(built: Path) -> None:
    for wheel in sorted(built.glob("*.whl")):
        names = zipfile.ZipFile(wheel).namelist()

        assert any(name.endswith("licenses/LICENSE") for name in names), wheel.name
        assert any(name.endswith("/py.typed") for name in names), wheel.name
        assert "fairque/__init__.py" not in names, wheel.name
