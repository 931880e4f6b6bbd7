"""Processes that use embedded servers: this one and others."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import redis

from fairque.protocol.embedded.binary import packaged_server_binary
from fairque.testing.servers import REDIS_SERVER

BINARIES = [path for path in (packaged_server_binary(), REDIS_SERVER) if path]


@pytest.fixture(params=BINARIES, ids=lambda path: Path(path).name)
def binary(request: pytest.FixtureRequest) -> Path:
    """Each available server program."""
    return Path(request.param)


@pytest.fixture
def connect() -> Iterator[Callable[[str], Any]]:
    """Clients that are closed after the test."""
    with ExitStack() as clients:

        def connect(url: str) -> Any:
            return clients.enter_context(redis.Redis.from_url(url, decode_responses=True, retry=None))

        yield connect


@pytest.fixture
def alive(connect: Callable[[str], Any]) -> Callable[[str], bool]:
    """Returns whether a server answers."""

    def alive(url: str) -> bool:
        try:
            return bool(connect(url).ping())
        except redis.ConnectionError:
            return False

    return alive


@pytest.fixture
def socket_of() -> Callable[[str], Path]:
    """Returns the socket of a URL."""
    return lambda url: Path(unquote(urlsplit(url).path))


STARTER = """
import sys
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any
from fairque.protocol.embedded import EmbeddedServer

binary, *path = map(Path, sys.argv[1:])
with EmbeddedServer(*path, binary=binary) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def user() -> Iterator[Callable[..., Popen[str]]]:
    """Starts processes that end when their stdin is closed; by default they hold the server of (binary, path)."""
    with ExitStack() as users:

        def user(*arguments: str | os.PathLike[str], lines: str = STARTER) -> Popen[str]:
            started = Popen(  # noqa: S603 - our own lines
                [sys.executable, "-c", lines, *arguments], stdin=PIPE, stdout=PIPE, text=True
            )
            users.enter_context(started)
            users.callback(started.kill)
            return started

        yield user


@pytest.fixture
def said() -> Callable[[Popen[str]], str]:
    """Returns the next line that a process prints."""

    def said(process: Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline().strip()

    return said
