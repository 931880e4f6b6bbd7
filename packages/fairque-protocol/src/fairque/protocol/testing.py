"""pytest plugin with a real server for tests: register it with ``-p fairque.protocol.testing``."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self, TypeVar

import pytest

from fairque.protocol.clock import monotonic
from fairque.protocol.embedded import EmbeddedServer, resolve_url
from fairque.protocol.embedded.address import answers
from fairque.protocol.embedded.binary import find_server_binary, packaged_server_binary
from fairque.protocol.jsonvalue import dumps

__all__ = [
    "PATIENCE",
    "PlainServer",
    "amend_record",
    "eventually",
    "fairque_every_server_url",
    "fairque_queue_name",
    "fairque_server_url",
    "free_port",
]

T = TypeVar("T")

#: Seconds after which a test gives up on what must happen: more than any machine needs, however busy it is.
PATIENCE = 300.0

GIVEN_URL = os.environ.get("FAIRQUE__REDIS__URL")
REDIS_SERVER = shutil.which("redis-server", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/bin"]))
FIRST_CHOICE = "first-choice"
SERVERS = [FIRST_CHOICE, "redis-server"] if REDIS_SERVER and not GIVEN_URL else [FIRST_CHOICE]
# Service and port in integration-tests/docker-compose.yml.
SERVICE = ("valkey", 6379)
# Seconds in which a Docker engine has to answer to count as one.
DOCKER_SECONDS = 5
# Below the ports that systems give to outgoing connections, so that none of them takes a port that was just found.
PORTS = range(20_000, 32_000)


def eventually(predicate: Callable[[], T], *, within: float = PATIENCE, what: str = "") -> T:
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


def free_port(row: int = 1) -> int:
    """Return a port of 127.0.0.1 that nobody uses, for a server that is about to start.

    Args:
        row: How many ports that follow each other must be free; the first is returned.

    Raises:
        AssertionError: There seem to be none.
    """
    for _ in range(1_000):
        first = PORTS.start + secrets.randbelow(len(PORTS) - row)
        with ExitStack() as probes, suppress(OSError):
            for port in range(first, first + row):
                probes.enter_context(socket.create_server(("127.0.0.1", port)))
            return first
    raise AssertionError(f"no free port between {PORTS.start} and {PORTS.stop}")


class PlainServer:
    """A server that a test may kill, stop, start again and make a replica: on a port of its own and on a unix socket.

    It writes its data to an AOF. As a context it is killed and forgotten in the end.

    Args:
        *options: Further words of its command line.
        binary: The program; None takes ``find_server_binary()``.

    Attributes:
        url: Of its unix socket, the same after each start.
        port: Of 127.0.0.1, where replicas find it.
        process: The running server.
    """

    def __init__(self, *options: str, binary: Path | None = None) -> None:
        # Not pytest's: the address of a socket must be short.
        self.folder = Path(tempfile.mkdtemp(prefix="fairque-"))
        self.socket = self.folder / "s"
        self.url = f"unix://{self.socket}"
        self.port = free_port()
        self._command = [
            os.fspath(binary or find_server_binary()),
            *("--port", str(self.port), "--unixsocket", os.fspath(self.socket), "--dir", os.fspath(self.folder)),
            *(
                "--save",
                "",
                "--appendonly",
                "yes",
                "--appendfsync",
                "everysec",
                "--repl-diskless-sync-delay",
                "0",
                *options,
            ),
        ]
        self.process = self._started()

    def start(self, *options: str, ready: bool = True) -> None:
        """Start again after `kill`, with further options; without ``ready`` it may still load its data."""
        self.process = self._started(*options, ready=ready)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _started(self, *options: str, ready: bool = True) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(  # noqa: S603 - our own words
            [*self._command, *options], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        )
        if ready:
            eventually(self._answers, what="an answer of the server")
        return process

    def _answers(self) -> bool:
        try:
            return answers(self.socket)
        except OSError:
            return False


_AMEND = """
local record = cmsgpack.unpack(redis.call("GET", KEYS[1]))
for name, value in pairs(cjson.decode(ARGV[1])) do record[name] = value end
redis.call("SET", KEYS[1], cmsgpack.pack(record))
"""


def amend_record(client: Any, key: str, **fields: str | float | bool) -> None:
    """Change fields of the record of a task or user, to see what the scripts do with it.

    Args:
        client: A client of redis-py.
        key: Of the record.
        fields: New values.
    """
    client.eval(_AMEND, 1, key, dumps(fields))


@pytest.fixture(scope="session")
def fairque_server_url(pytestconfig: pytest.Config) -> Iterator[str]:
    """URL of a real server, the same for the whole session.

    The first of these that there is: the one of FAIRQUE__REDIS__URL, a container of
    integration-tests/docker-compose.yml, the packaged Valkey, a server program on PATH. Without any the tests
    fail; they are never skipped.
    """
    with ExitStack() as servers:
        if GIVEN_URL:
            url = resolve_url(GIVEN_URL)
        else:
            why_not: list[str] = []
            for choice in (_in_docker, _embedded):
                try:
                    url = servers.enter_context(choice(pytestconfig))
                    break
                except Exception as error:  # noqa: BLE001 - pytest-docker raises no narrower one
                    why_not.append(str(error))
            else:
                reasons = "\n- ".join(["FAIRQUE__REDIS__URL is not set", *why_not])
                pytest.fail(f"no server to test with:\n- {reasons}", pytrace=False)
        yield url


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


@contextmanager
def _in_docker(config: pytest.Config) -> Iterator[str]:
    """The URL of a container, or an error if none can be had."""
    docker = shutil.which("docker")
    if docker is None:
        raise FileNotFoundError("there is no docker command")
    for question in (["info"], ["compose", "version"]):
        # Quick to fail where no engine runs, and pytest-docker shows no reason.
        subprocess.run(  # noqa: S603 - fixed words
            [docker, *question], capture_output=True, timeout=DOCKER_SECONDS, check=True
        )
    from pytest_docker import plugin  # noqa: PLC0415 - a tool of our tests that others need not have

    # Not by its fixtures: which plugin's docker_compose_file wins depends on the version of pytest.
    with plugin.get_docker_services(
        docker_compose_command="docker compose",
        docker_compose_file=os.fspath(config.rootpath / "integration-tests" / "docker-compose.yml"),
        docker_compose_project_name=f"fairque-{os.getpid()}",
        docker_setup=plugin.get_setup_command(),
        docker_cleanup=plugin.get_cleanup_command(),
    ) as services:
        yield f"redis://{plugin.get_docker_ip()}:{services.port_for(*SERVICE)}/0"


@contextmanager
def _embedded(_config: pytest.Config) -> Iterator[str]:
    """The URL of an embedded server; the packaged Valkey, if it is there, since it is the same everywhere."""
    with EmbeddedServer(binary=packaged_server_binary()) as server:
        yield server.url
