"""Servers for tests: one for the session, and servers that a test can kill."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

import pytest

from fairque.protocol.embedded import EmbeddedServer, resolve_url
from fairque.protocol.embedded.address import answers
from fairque.protocol.embedded.binary import find_server_binary, packaged_server_binary
from fairque.testing.waiting import eventually

__all__ = ["GIVEN_URL", "REDIS_SERVER", "PlainServer", "free_port", "server_for_tests"]

GIVEN_URL = os.environ.get("FAIRQUE_REDIS_URL")
REDIS_SERVER = shutil.which("redis-server", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/bin"]))
# Below the ports for outgoing connections, so that none of those takes a port that was just found.
PORTS = range(20_000, 32_000)
# Seconds in which a started server must answer: more than any machine needs.
STARTS_WITHIN = 300


@contextmanager
def server_for_tests(*choices: Callable[[], AbstractContextManager[str]]) -> Iterator[str]:
    """Run a server for tests while the context is active, or use a given one.

    Args:
        choices: Functions to try after FAIRQUE_REDIS_URL and before an embedded server: each runs a server and
            yields its URL, or raises any error if it cannot.

    Yields:
        Its URL. If no server can be started, the test fails with all reasons.
    """
    with ExitStack() as servers:
        if GIVEN_URL:
            yield resolve_url(GIVEN_URL)
            return
        why_not = ["FAIRQUE_REDIS_URL is not set"]
        for choice in (*choices, _embedded):
            try:
                url = servers.enter_context(choice())
                break
            except Exception as error:  # noqa: BLE001 - whatever a choice raises, the next one is tried
                why_not.append(str(error))
        else:
            reasons = "\n- ".join(why_not)
            pytest.fail(f"no server to test with:\n- {reasons}", pytrace=False)
        yield url


@contextmanager
def _embedded() -> Iterator[str]:
    """Return the URL of an embedded server: the packaged Valkey if installed, because it is the same everywhere."""
    with EmbeddedServer(binary=packaged_server_binary()) as server:
        yield server.url


def free_port(row: int = 1) -> int:
    """Return an unused port of 127.0.0.1 for a server that is about to start.

    Args:
        row: How many consecutive ports must be free; the first is returned.

    Raises:
        AssertionError: No free port was found.
    """
    for _ in range(1_000):
        first = PORTS.start + secrets.randbelow(len(PORTS) - row)
        with ExitStack() as probes, suppress(OSError):
            for port in range(first, first + row):
                probes.enter_context(socket.create_server(("127.0.0.1", port)))
            return first
    raise AssertionError(f"no free port between {PORTS.start} and {PORTS.stop}")


class PlainServer:
    """A server that a test can kill, stop, restart and make a replica, on its own port and on a unix socket.

    It writes its data to an AOF. At the end of its context it is killed and its data deleted.

    Args:
        *options: Further arguments of its command line.
        binary: The program; None: ``find_server_binary()``.

    Attributes:
        url: URL of its unix socket, the same after each start.
        port: Its port on 127.0.0.1, for replicas.
        process: The running server.
    """

    def __init__(self, *options: str, binary: Path | None = None) -> None:
        # Not pytest's tmp_path: the path of a socket must be short.
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
        """Restart after `kill`, with further options; without ``ready`` it may still be loading its data."""
        self.process = self._started(*options, ready=ready)

    def kill(self) -> None:
        """Kill it at once, like a crash."""
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
            eventually(self._answers, STARTS_WITHIN, what="an answer of the server")
        return process

    def _answers(self) -> bool:
        try:
            return answers(self.socket)
        except OSError:
            return False
