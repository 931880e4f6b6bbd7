"""The checker can fail: it finds each seeded bug, and reports nothing without a bug."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.bugs import BUGS, WORKER_BUGS, Bug, broken_scripts, broken_worker
from chaos.checker import check
from chaos.facts import Facts
from chaos.history import read_history
from chaos.scenarios import SCENARIOS
from chaos.server import Server
from chaos.settings import LUA
from chaos.stage import PLAN

PATH = os.pathsep.join([str(Path(__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"), "none")
    yield server
    server.close()


def play(server: Server, folder: Path, *names: str, lua: Path | None = None, python: Path | None = None) -> None:
    path = os.pathsep.join([*([str(python)] if python else []), PATH])
    done = subprocess.run(
        [sys.executable, "-m", "chaos.scenarios", str(folder), str(server.port), *names],
        env={**os.environ, "PYTHONPATH": path, **({LUA: str(lua)} if lua else {})},
        capture_output=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()


def breaches(folder: Path) -> list[str]:
    return check(Facts().see_all(read_history(folder)), PLAN).breaches


@pytest.fixture(scope="module")
def played(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The history of all scenarios with the real scripts."""
    folder = tmp_path_factory.mktemp("played")
    play(server, folder, *SCENARIOS)
    return folder


@pytest.mark.xdist_group("played")
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_without_a_bug_all_rules_hold(scenario: str, played: Path) -> None:
    assert breaches(played / scenario) == []


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name.replace(" ", "-"))
def test_a_seeded_bug_is_found(bug: Bug, server: Server, tmp_path: Path) -> None:
    play(server, tmp_path, bug.scenario, lua=broken_scripts(bug, tmp_path))
    found = breaches(tmp_path / bug.scenario)
    assert bug.rule in {breach.split(" ")[0] for breach in found}, found


@pytest.mark.parametrize("bug", WORKER_BUGS, ids=lambda bug: bug.name.replace(" ", "-"))
def test_a_bug_seeded_into_the_worker_is_found(bug: Bug, server: Server, tmp_path: Path) -> None:
    play(server, tmp_path, bug.scenario, python=broken_worker(bug, tmp_path))
    found = breaches(tmp_path / bug.scenario)
    assert bug.rule in {breach.split(" ")[0] for breach in found}, found
