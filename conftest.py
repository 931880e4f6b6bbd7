"""Shared by all tests: no dependence on the speed of the machine, and the choice of servers."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from fairque.protocol.embedded import EmbeddedServer
from fairque.testing.internal import ask_for_all
from fairque.testing.servers import GIVEN_URL, REDIS_SERVER, server_for_tests

settings.register_profile(
    "fairque",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("fairque")

FIRST_CHOICE = "first-choice"
# Service and port in integration-tests/docker-compose.yml.
SERVICE = ("valkey", 6379)
# Seconds in which a Docker engine must answer to count as available.
DOCKER_SECONDS = 5


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --thorough."""
    parser.addoption(
        "--thorough",
        action="store_true",
        help="run the tests that take long, too, properties with more examples, and the tests of the scripts also on "
        "the redis-server on PATH, unless FAIRQUE_REDIS_URL is set",
    )


def servers(config: pytest.Config) -> list[str]:
    """The kinds of servers on which the tests of the scripts run."""
    every = config.getoption("thorough") and REDIS_SERVER and not GIVEN_URL
    return [FIRST_CHOICE, "redis-server"] if every else [FIRST_CHOICE]


def pytest_configure(config: pytest.Config) -> None:
    """Hear SIGHUP as usual, though `nohup` may have started the tests: programs that they start inherit this."""
    if config.getoption("thorough"):
        ask_for_all()
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_report_header(config: pytest.Config) -> str:
    """Show the kinds of servers under test."""
    how = "all tests" if config.getoption("thorough") else "without those that take long: --thorough runs all"
    return f"scripts run on: {', '.join(servers(config))}; {how}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that take long, unless they are asked for."""
    if config.getoption("thorough"):
        return
    left_out = [item for item in items if item.get_closest_marker("thorough")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("thorough")]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that request every server on each kind, in the same order in all processes of pytest-xdist."""
    if "fairque_every_server_url" in metafunc.fixturenames:
        metafunc.parametrize("fairque_every_server_url", servers(metafunc.config), indirect=True, scope="session")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark a test as parametrized for hypothesis, which then expects several runs of a property."""
    if "fairque_every_server_url" in getattr(item, "fixturenames", ()):
        item.add_marker(pytest.mark.parametrize("fairque_every_server_url", servers(item.config), indirect=True))


@pytest.fixture(scope="session")
def fairque_server_url(pytestconfig: pytest.Config) -> Iterator[str]:
    """The server of the plugin, with a container of docker-compose.yml before the packaged Valkey."""
    with server_for_tests(partial(in_docker, pytestconfig)) as url:
        yield url


@pytest.fixture(scope="session")
def fairque_every_server_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of each kind of server in turn: the first choice, then, with --thorough, the installed redis-server."""
    if request.param == FIRST_CHOICE:
        yield request.getfixturevalue("fairque_server_url")
    else:
        with EmbeddedServer(binary=Path(str(REDIS_SERVER))) as server:
            yield server.url


@contextmanager
def in_docker(config: pytest.Config) -> Iterator[str]:
    """The URL of a container, or an error if none can be started."""
    docker = shutil.which("docker")
    if docker is None:
        raise FileNotFoundError("there is no docker command")
    for question in (["info"], ["compose", "version"]):
        # Fail fast if no engine runs; pytest-docker shows no reason.
        subprocess.run(  # noqa: S603 - fixed words
            [docker, *question], capture_output=True, timeout=DOCKER_SECONDS, check=True
        )
    from pytest_docker import plugin  # noqa: PLC0415 - needed only where Docker runs

    # Not through its fixtures: which plugin's docker_compose_file is used depends on the version of pytest.
    with plugin.get_docker_services(
        docker_compose_command="docker compose",
        docker_compose_file=os.fspath(config.rootpath / "integration-tests" / "docker-compose.yml"),
        docker_compose_project_name=f"fairque-{os.getpid()}",
        docker_setup=plugin.get_setup_command(),
        docker_cleanup=plugin.get_cleanup_command(),
    ) as services:
        yield f"redis://{plugin.get_docker_ip()}:{services.port_for(*SERVICE)}/0"
