"""The checker can fail: it finds each seeded bug, and reports nothing without a bug."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chaos.bugs import BUGS, WORKER_BUGS, Bug, broken_scripts, broken_worker
from chaos.checker import check
from chaos.facts import Facts
from chaos.history import read_history
from chaos.scenarios import SCENARIOS
from chaos.server import Server
from chaos.stage import PLAN
from fairque.testing.internal import PATIENCE, only_thorough

PATH = os.pathsep.join([str(Path(__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])])


class Players:
    """A process that plays scenarios on a server of its own.

    Args:
        folder: Where it writes its errors.
        python: A folder with other modules of the product, which it imports.
    """

    def __init__(self, server: Server, folder: Path, python: Path | None = None) -> None:
        path = os.pathsep.join([*([str(python)] if python else []), PATH])
        self._server = server
        self._errors = folder / "errors"
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "chaos.scenarios"],
                env={**os.environ, "PYTHONPATH": path},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )

    def play(self, folder: Path, *names: str, lua: Path | None = None) -> None:
        """Play scenarios, with the scripts in a folder instead of the real ones if there is one."""
        request = {"folder": str(folder), "port": self._server.port, "names": names, "lua": lua and str(lua)}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == b"0\n", self._errors.read_text()

    def close(self) -> None:
        self._process.communicate(timeout=PATIENCE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"), "none")
    yield server
    server.close()


@pytest.fixture(scope="module")
def players(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Players]:
    with closing(Players(server, tmp_path_factory.mktemp("players"))) as players:
        yield players


def first_of(bugs: Sequence[Bug]) -> list[Any]:
    """The first bug, and the others for a thorough run."""
    return [bugs[0], *only_thorough(*bugs[1:])]


def breaches(folder: Path) -> list[str]:
    return check(Facts().see_all(read_history(folder)), PLAN).breaches


@pytest.fixture(scope="module")
def played(players: Players, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The history of all scenarios with the real scripts."""
    folder = tmp_path_factory.mktemp("played")
    players.play(folder, *SCENARIOS)
    return folder


@pytest.mark.xdist_group("played")
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_without_a_bug_all_rules_hold(scenario: str, played: Path) -> None:
    assert breaches(played / scenario) == []


@pytest.mark.parametrize("bug", first_of(BUGS), ids=lambda bug: bug.name.replace(" ", "-"))
def test_a_seeded_bug_is_found(bug: Bug, players: Players, tmp_path: Path) -> None:
    players.play(tmp_path, bug.scenario, lua=broken_scripts(bug, tmp_path))
    found = breaches(tmp_path / bug.scenario)
    assert bug.rule in {breach.split(" ")[0] for breach in found}, found


@pytest.mark.parametrize("bug", first_of(WORKER_BUGS), ids=lambda bug: bug.name.replace(" ", "-"))
def test_a_bug_seeded_into_the_worker_is_found(bug: Bug, server: Server, tmp_path: Path) -> None:
    with closing(Players(server, tmp_path, broken_worker(bug, tmp_path))) as players:
        players.play(tmp_path, bug.scenario)
    found = breaches(tmp_path / bug.scenario)
    assert bug.rule in {breach.split(" ")[0] for breach in found}, found
