"""Servers that restart, are replaced, busy or silent: both runners recover automatically."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import redis
from redis.exceptions import RedisError

from fairque.protocol.clock import monotonic
from fairque.protocol.config import RedisSection
from fairque.protocol.config.address import read_address
from fairque.protocol.errors import RedisUnavailable
from fairque.protocol.model.task import Task
from fairque.protocol.runners import Runner
from fairque.protocol.runners.aio import AsyncRunner
from fairque.protocol.runners.connection import options
from fairque.protocol.wire.keys import QueueKeys
from fairque.testing import PlainServer
from fairque.testing.internal import PATIENCE, calls, eventually

if TYPE_CHECKING:
    from tests.runners.conftest import Send

KEYS = QueueKeys("outages")


def push(task_id: str) -> Any:
    return calls.push(KEYS, [Task(task_id=task_id, user_id="ann")], message_limit=1_000)


@pytest.fixture
def server() -> Iterator[PlainServer]:
    # A write that waits for a slow disk would be lost with the process.
    with PlainServer("--appendfsync", "always") as server:
        yield server


@pytest.fixture
def client(server: PlainServer) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(server.url) as client:
        yield client


class Sender:
    """A runner of either kind that keeps its connections."""

    def __init__(self, kind: str, settings: RedisSection) -> None:
        self._runner = Runner(settings) if kind == "sync" else AsyncRunner(settings)
        self._loop = asyncio.new_event_loop()

    def __call__(self, call: Any) -> Any:
        if isinstance(self._runner, Runner):
            return self._runner.run(call)
        return self._loop.run_until_complete(self._runner.run(call))

    def close(self) -> None:
        if isinstance(self._runner, Runner):
            self._runner.close()
        else:
            self._loop.run_until_complete(self._runner.close())
        self._loop.close()


@pytest.fixture(params=["sync", "async"])
def sender(request: pytest.FixtureRequest) -> Iterator[Any]:
    made: list[Sender] = []

    def make(url: str, **changes: Any) -> Sender:
        made.append(Sender(request.param, RedisSection(url=url, **changes)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_call_continues_with_the_restarted_server(server: PlainServer, sender: Any) -> None:
    send = sender(server.url)
    send(push("t1"))
    server.kill()
    server.start()
    assert send(push("t2"))
    assert send(calls.read_stats(KEYS)).queued == 2


def test_a_call_during_a_restart_waits_for_its_end(server: PlainServer, sender: Any) -> None:
    send = sender(server.url, retries=20)
    send(push("t1"))
    server.kill()
    restart = threading.Timer(0.3, server.start)
    restart.start()
    assert send(push("t2"))
    restart.join()


def test_a_call_to_a_server_that_loads_its_data_waits_for_its_end(server: PlainServer, sender: Any) -> None:
    send = sender(server.url, retries=20)
    for number in range(60):
        send(push(f"t{number}"))
    server.kill()
    # Microseconds for each command that it reads: half a second and more.
    server.start("--key-load-delay", "2000", ready=False)
    eventually(server.socket.exists, what="its socket")
    assert send(calls.read_stats(KEYS)).queued == 60


def test_a_call_finds_the_server_that_replaced_the_old_one(server: PlainServer, sender: Any) -> None:
    """After a failover the address leads to another server, but open connections do not."""
    with PlainServer("--replicaof", f"127.0.0.1 {server.port}") as other:
        address = server.folder / "address"
        address.symlink_to(server.socket)
        send = sender(f"unix://{address}")
        send(push("t1"))
        with redis.Redis.from_url(other.url) as of_other, redis.Redis.from_url(server.url) as of_old:
            eventually(lambda: of_other.info("replication").get("master_link_status") == "up", what="the replica")
            eventually(lambda: of_other.exists(KEYS.meta), what="the data on the replica")
            of_other.replicaof("NO", "ONE")
            of_old.replicaof("127.0.0.1", other.port)
            address.unlink()
            address.symlink_to(other.socket)
            assert send(push("t2"))
            assert of_other.llen(f"{KEYS.prefix}n:ann") == 2


def test_a_replica_is_reported_after_all_attempts(server: PlainServer, client: "redis.Redis", sender: Any) -> None:
    client.replicaof("127.0.0.1", "1")
    with pytest.raises(RedisUnavailable, match=r"read only replica|readonly replica"):
        sender(server.url, retries=1)(push("t1"))


def test_a_call_to_a_server_that_is_busy_with_a_script_is_retried(
    server: PlainServer, client: "redis.Redis", sender: Any
) -> None:
    send = sender(server.url, retries=20)
    send(push("t1"))
    client.config_set("busy-reply-threshold", 10)

    def be_busy() -> None:
        with redis.Redis.from_url(server.url) as other, pytest.raises(RedisError):
            other.eval("while true do end", 0)

    busy = threading.Thread(target=be_busy)
    busy.start()

    def is_busy() -> bool:
        try:
            client.ping()
        except RedisError:
            return True
        return False

    eventually(is_busy)
    end = threading.Timer(0.3, client.script_kill)
    end.start()
    assert send(push("t2"))
    busy.join()
    end.join()


def test_connections_that_an_operator_kills_are_reopened(
    server: PlainServer, client: "redis.Redis", sender: Any
) -> None:
    send = sender(server.url)
    for number in range(10):
        send(push(f"t{number}"))
        client.client_kill_filter(_type="normal", skipme=True)
    assert send(calls.read_stats(KEYS)).queued == 10


@pytest.mark.parametrize("url", ["redis://localhost", "rediss://localhost"])
def test_every_connection_has_timeouts_and_keepalive(url: str) -> None:
    set_up = options(RedisSection(url=url), read_address(url))
    assert (set_up["socket_timeout"], set_up["socket_connect_timeout"], set_up["socket_keepalive"]) == (5.0, 5.0, True)
    assert set(set_up["socket_keepalive_options"].values()) == {30, 10, 3}
    assert set_up.get("ssl_check_hostname") == (True if url.startswith("rediss") else None)


@contextmanager
def standing_still(server: PlainServer) -> Iterator[None]:
    """Suspend the server with its connections open: packets are neither refused nor answered."""
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.process.pid, signal.SIGCONT)


class TestListening:
    """A subscription only waits, so without pings it would not detect a dead server."""

    def test_a_silent_server_is_detected(self, server: PlainServer, client: "redis.Redis") -> None:
        runner = Runner(RedisSection(url=server.url, socket_timeout=0.2, retries=0))
        ready, heard = threading.Event(), list[bytes]()
        subscription = runner.listen("c", heard.append, ready.set)
        with standing_still(server):
            assert not ready.wait(0.8)
        assert ready.wait(PATIENCE)
        client.publish("c", "x")
        eventually(lambda: heard == [b"x"])
        subscription.close()
        runner.close()

    def test_a_silent_server_is_detected_by_the_other_runner_too(
        self, server: PlainServer, client: "redis.Redis"
    ) -> None:
        async def life() -> list[bytes]:
            runner = AsyncRunner(RedisSection(url=server.url, socket_timeout=0.2, retries=0))
            ready, heard = asyncio.Event(), list[bytes]()
            subscription = await runner.listen("c", heard.append, ready.set)
            with standing_still(server), pytest.raises(TimeoutError):
                await asyncio.wait_for(ready.wait(), 0.8)
            await asyncio.wait_for(ready.wait(), 5)
            await asyncio.to_thread(client.publish, "c", "x")
            await asyncio.to_thread(eventually, lambda: heard)
            await subscription.close()
            await runner.close()
            return heard

        assert asyncio.run(life()) == [b"x"]

    def test_a_quiet_channel_is_kept(self, server: PlainServer, client: "redis.Redis") -> None:
        runner = Runner(RedisSection(url=server.url, socket_timeout=0.1))
        ready, heard = threading.Event(), list[bytes]()
        subscription = runner.listen("c", heard.append, ready.set)
        pings = client.info("commandstats").get("cmdstat_ping", {"calls": 0})["calls"]
        eventually(lambda: client.info("commandstats")["cmdstat_ping"]["calls"] >= pings + 4, what="four questions")
        assert not ready.is_set()
        client.publish("c", "x")
        eventually(lambda: heard == [b"x"])
        subscription.close()
        runner.close()


def test_a_server_that_stands_still_costs_a_call_its_time_limit_and_no_more(
    server: PlainServer, send: "Send", pauses: list[float]
) -> None:
    def cost(limit: float) -> float:
        began = monotonic()
        with standing_still(server), pytest.raises(RedisUnavailable):
            send(RedisSection(url=server.url, socket_timeout=limit, retries=1), [push("t")])
        return monotonic() - began - pauses.pop()

    # The least of several: what the machine does beside this only ever adds.
    assert min(cost(0.1) for _ in range(3)) < cost(2.0)
    assert pauses == []
