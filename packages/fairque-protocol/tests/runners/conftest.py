"""Both runners behind one interface, and servers that a test may reconfigure."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import redis
from attrs import frozen
from redis.exceptions import RedisError

from fairque.protocol.config import RedisSection
from fairque.protocol.embedded import EmbeddedServer
from fairque.protocol.embedded.binary import packaged_server_binary
from fairque.protocol.runners import Runner
from fairque.protocol.runners.aio import AsyncRunner
from fairque.protocol.runners.failures import Attempts
from fairque.protocol.wire.call import Call
from fairque.testing.servers import REDIS_SERVER

BINARIES = [path for path in (packaged_server_binary(), REDIS_SERVER) if path]

Send: TypeAlias = Callable[[RedisSection, Sequence[Call[Any]]], list[Any]]


@frozen
class OwnServer:
    """A server for one module of tests, and a client to change its settings."""

    settings: RedisSection
    client: "redis.Redis"


def _send(settings: RedisSection, calls: Sequence[Call[Any]]) -> list[Any]:
    runner = Runner(settings)
    try:
        return [runner.run(calls[0])] if len(calls) == 1 else runner.run_all(calls)
    finally:
        runner.close()


async def _send_async(settings: RedisSection, calls: Sequence[Call[Any]]) -> list[Any]:
    runner = AsyncRunner(settings)
    try:
        return [await runner.run(calls[0])] if len(calls) == 1 else await runner.run_all(calls)
    finally:
        await runner.close()


@pytest.fixture(params=["sync", "async"])
def send(request: pytest.FixtureRequest) -> Send:
    """Send calls with a runner of either kind: a single one, or several in one round trip."""
    if request.param == "sync":
        return _send
    return lambda settings, calls: asyncio.run(_send_async(settings, calls))


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The delays before retries, in seconds, in order."""
    made, pause_seconds = list[float](), Attempts.pause_seconds

    def noted(attempts: Attempts, error: RedisError, found: str = "") -> float:
        made.append(pause_seconds(attempts, error, found))
        return made[-1]

    monkeypatch.setattr(Attempts, "pause_seconds", noted)
    return made


@pytest.fixture(scope="module", params=BINARIES, ids=lambda path: Path(path).name)
def own_server(request: pytest.FixtureRequest) -> Iterator[OwnServer]:
    """A server whose settings tests change and restore."""
    with EmbeddedServer(binary=Path(request.param)) as server, redis.Redis.from_url(server.url) as client:
        yield OwnServer(RedisSection(url=server.url, retries=0), client)
