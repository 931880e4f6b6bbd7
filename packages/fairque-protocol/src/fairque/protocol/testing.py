"""pytest plugin with a real server for tests: register it with ``-p fairque.protocol.testing``."""

import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from fairque.protocol.clock import monotonic
from fairque.protocol.embedded import EmbeddedServer, resolve_url
from fairque.protocol.embedded.binary import packaged_server_binary
from fairque.protocol.errors import EmbeddedServerError

__all__ = [
    "ComposeFile",
    "eventually",
    "fairque_every_server_url",
    "fairque_queue_name",
    "fairque_server_url",
    "pytest_configure",
]

T = TypeVar("T")

GIVEN_URL = os.environ.get("FAIRQUE__REDIS__URL")
REDIS_SERVER = shutil.which("redis-server", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/bin"]))
FIRST_CHOICE = "first-choice"
SERVERS = [FIRST_CHOICE, "redis-server"] if REDIS_SERVER and not GIVEN_URL else [FIRST_CHOICE]
# Service and port in integration-tests/docker-compose.yml.
SERVICE = ("valkey", 6379)
# Seconds in which a Docker engine has to answer to count as one.
DOCKER_SECONDS = 5


def eventually(predicate: Callable[[], T], *, within: float = 10.0, what: str = "") -> T:
    """Wait until something holds, looking every 10 ms.

    Args:
        predicate: Gives a truthy value once it holds.
        within: Seconds to wait.
        what: What was expected, for the message.

    Returns:
        The truthy value.

    Raises:
        AssertionError: It did not hold in time.
    """
    deadline = monotonic() + within
    while not (value := predicate()):
        if monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: {what or predicate}")
        time.sleep(0.01)
    return value


@pytest.fixture(scope="session")
def fairque_server_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of a real server, the same for the whole session.

    The first of these that there is: the one of FAIRQUE__REDIS__URL, a container of
    integration-tests/docker-compose.yml, the packaged Valkey, a server program on PATH. Without any the tests
    fail; they are never skipped.
    """
    if GIVEN_URL:
        yield resolve_url(GIVEN_URL)
        return
    why_not = _why_no_docker(request)
    if not why_not:
        try:
            port = request.getfixturevalue("docker_services").port_for(*SERVICE)
        except Exception as error:  # noqa: BLE001 - pytest-docker raises no narrower one
            why_not = f"docker compose failed: {error}"
        else:
            yield f"redis://{request.getfixturevalue('docker_ip')}:{port}/0"
            return
    server = EmbeddedServer(binary=packaged_server_binary())
    try:
        server.start()
    except EmbeddedServerError as error:
        pytest.fail(
            f"no server to test with. FAIRQUE__REDIS__URL is not set; {why_not}; {error}",
            pytrace=False,
        )
    with server:
        yield server.url


@pytest.fixture(scope="session", params=SERVERS)
def fairque_every_server_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of each kind of server in turn: the first choice, then the installed redis-server.

    The second only where redis-server is on PATH and no FAIRQUE__REDIS__URL says what to test with.
    """
    if request.param == FIRST_CHOICE or REDIS_SERVER is None:
        yield request.getfixturevalue("fairque_server_url")
    else:
        with EmbeddedServer(binary=Path(REDIS_SERVER)) as server:
            yield server.url


@pytest.fixture
def fairque_queue_name() -> str:
    """Name of a queue that nobody else uses.

    Its keys stay: the servers started here are thrown away. On a server given by FAIRQUE__REDIS__URL they are
    left over; delete the keys with ``{test-`` in their names when it matters.
    """
    return f"test-{uuid.uuid4().hex}"


class ComposeFile:
    """Tells pytest-docker where the compose file is.

    It is a plugin of its own, registered after pytest-docker, whose default would win otherwise.
    """

    @pytest.fixture(scope="session")
    def docker_compose_file(self, pytestconfig: pytest.Config) -> str:
        """Path of the compose file with the server."""
        return os.fspath(pytestconfig.rootpath / "integration-tests" / "docker-compose.yml")


def pytest_configure(config: pytest.Config) -> None:
    """Register what has to come after the plugins that are installed."""
    config.pluginmanager.register(ComposeFile(), "fairque-compose-file")


def _why_no_docker(request: pytest.FixtureRequest) -> str:
    """Say why no container can be had, in a few words; nothing if one can."""
    compose_file: str = request.getfixturevalue("docker_compose_file")
    if not Path(compose_file).is_file():
        return f"there is no {compose_file} for Docker"
    if not request.config.pluginmanager.hasplugin("docker"):
        return "pytest-docker is not installed"
    docker = shutil.which("docker")
    if docker is None:
        return "there is no docker command"
    for question in (["info"], ["compose", "version"]):
        try:
            done = subprocess.run(  # noqa: S603 - fixed words
                [docker, *question], capture_output=True, timeout=DOCKER_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"docker {' '.join(question)} failed: {error}"
        if done.returncode:
            return f"docker {' '.join(question)} failed: no engine answers, or compose is missing"
    return ""
