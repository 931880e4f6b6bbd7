"""Calls that are sent before their answers are read, and what happens to connections that fail in between."""

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio.connection import AbstractConnection as AsyncConnection
from redis.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError

from fairque.protocol.config import RedisSection
from fairque.protocol.errors import FairqueError, RedisUnavailable, TaskConflict
from fairque.protocol.model.task import Task
from fairque.protocol.runners import Runner, reading
from fairque.protocol.runners._sync import pool
from fairque.protocol.runners.aio import AsyncRunner
from fairque.protocol.runners.connection import CONCURRENT_CALLS
from fairque.protocol.runners.sent import Sent
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.status import Status
from fairque.testing import PlainServer
from fairque.testing.internal import calls, eventually

if TYPE_CHECKING:
    from tests.runners.conftest import OwnServer


@pytest.fixture
def keys(fairque_queue_name: str) -> QueueKeys:
    return QueueKeys(fairque_queue_name)


class Kind:
    """A runner of either kind, whose methods can be called without an await."""

    def __init__(self, kind: str, settings: RedisSection) -> None:
        self.runner: Any = Runner(settings) if kind == "sync" else AsyncRunner(settings)
        self._loop = asyncio.new_event_loop()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.runner, name)

        def call(*args: Any) -> Any:
            result = method(*args)
            return self._loop.run_until_complete(result) if isinstance(result, Coroutine) else result

        return call

    def end(self) -> None:
        self.close()
        self._loop.close()


Make = Callable[..., Kind]


@pytest.fixture(params=["sync", "async"])
def make(request: pytest.FixtureRequest, own_server: "OwnServer") -> Iterator[Make]:
    made: list[Kind] = []

    def make(url: str = own_server.settings.url, **changes: Any) -> Kind:
        made.append(Kind(request.param, RedisSection(url=url, **{"retries": 0, **changes})))
        return made[-1]

    yield make
    for one in made:
        one.end()


def push(keys: QueueKeys, task_id: str, payload: Any = None) -> Any:
    return calls.push(keys, [Task(task_id=task_id, user_id="ann", payload=payload)], message_limit=1_000)


class TestSendingAhead:
    def test_calls_are_run_before_their_answers_are_asked_for(
        self, make: Make, own_server: "OwnServer", keys: QueueKeys
    ) -> None:
        runner = make()
        own_server.client.script_flush()
        sent = runner.send([push(keys, "a"), push(keys, "b")])
        eventually(lambda: own_server.client.llen(f"{keys.prefix}n:ann") == 2, what="both tasks")
        (first,), (second,) = runner.receive(sent)
        assert (first.task_id, first.code, second.task_id) == ("a", Status.OK, "b")

    def test_several_packets_may_be_under_way_each_with_its_own_answer(self, make: Make, keys: QueueKeys) -> None:
        runner = make()
        sent = [runner.send([push(keys, f"t{number}")]) for number in range(3)]
        assert [runner.receive(one)[0][0].task_id for one in reversed(sent)] == ["t2", "t1", "t0"]

    def test_an_error_of_a_call_is_raised_when_its_answer_is_asked_for(self, make: Make, keys: QueueKeys) -> None:
        runner = make()
        runner.run(push(keys, "a"))
        sent = runner.send([push(keys, "a", payload=1)])
        with pytest.raises(TaskConflict):
            runner.receive(sent)

    def test_scripts_that_the_server_lacks_are_sent_again(
        self, make: Make, own_server: "OwnServer", keys: QueueKeys
    ) -> None:
        runner = make()
        runner.run(push(keys, "a"))
        own_server.client.script_flush()
        assert runner.receive(runner.send([push(keys, "b")]))[0][0].code is Status.OK

    def test_calls_whose_answers_are_lost_are_sent_again(
        self, make: Make, own_server: "OwnServer", keys: QueueKeys
    ) -> None:
        runner = make(retries=1)
        sent = runner.send([push(keys, "a")])
        eventually(lambda: own_server.client.exists(f"{keys.prefix}t:a"), what="the task")
        _lose(sent)
        assert runner.receive(sent)[0][0].code is Status.ALREADY

    def test_calls_that_cannot_be_sent_are_sent_when_their_answers_are_asked_for(
        self, make: Make, keys: QueueKeys
    ) -> None:
        with PlainServer() as server:
            runner = make(server.url, retries=1)
            runner.run(push(keys, "a"))
            server.kill()
            sent = runner.send([push(keys, "b")])
            server.start()
            assert runner.receive(sent)[0][0].code is Status.OK

    def test_calls_that_can_never_be_sent_are_an_error(self, make: Make, keys: QueueKeys) -> None:
        with PlainServer() as server:
            runner = make(server.url)
            runner.run(push(keys, "a"))
            server.kill()
            sent = runner.send([push(keys, "b")])
            with pytest.raises(RedisUnavailable, match="Is it running"):
                runner.receive(sent)

    def test_calls_whose_answers_are_not_wanted_leave_room_for_others(self, make: Make, keys: QueueKeys) -> None:
        runner = make()
        for number in range(CONCURRENT_CALLS + 1):
            runner.abandon(runner.send([push(keys, f"t{number}")]))
        assert runner.run(push(keys, "last"))[0].task_id == "last"


def connections(server: "OwnServer", keys: QueueKeys) -> int:
    """How many connections have the name of the queue."""
    return sum(client["name"] == keys.name for client in server.client.client_list())


def _lose(sent: Any) -> None:
    """Close its connection before the answer is read."""
    connection = sent.exchange._connection
    if hasattr(connection, "_sock"):
        connection._sock.shutdown(socket.SHUT_RDWR)
        connection._sock.close()
    else:
        connection._writer.transport.abort()
        connection._reader._buffer.clear()


class TestConnections:
    def test_one_that_was_closed_while_it_was_idle_is_replaced_without_another_attempt(
        self, make: Make, own_server: "OwnServer", keys: QueueKeys
    ) -> None:
        runner = make(retries=0)
        for number in range(3):
            runner.run(push(keys, f"t{number}"))
            own_server.client.client_kill_filter(_type="normal", skipme=True)
        assert runner.run(push(keys, "last"))[0].code is Status.OK

    @pytest.mark.parametrize("number", [1, 2], ids=["a call", "several calls"])
    def test_one_whose_answer_was_not_read_is_not_used_again(
        self, make: Make, keys: QueueKeys, number: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As after a Ctrl-C, or a timeout that a signal raises: the next call would get the answer of this one."""
        runner = make()
        runner.run(push(keys, "a"))
        with monkeypatch.context() as patched:
            # With hiredis redis-py reads, else the runners do.
            for kind, fail in ((AbstractConnection, _fail), (AsyncConnection, _fail_async)):
                patched.setattr(kind, "read_response", fail)
            patched.setattr(reading, "_received", _fail)
            patched.setattr(reading, "_received_async", _fail_async)
            with pytest.raises(Interruption):
                runner.run_all([push(keys, "b")] * number)
        assert runner.run(push(keys, "c"))[0].task_id == "c"

    def test_one_is_used_for_all_calls_of_one_thread(
        self, make: Make, own_server: "OwnServer", keys: QueueKeys
    ) -> None:
        before = own_server.client.info("stats")["total_connections_received"]
        runner = make()
        for number in range(5):
            runner.run(push(keys, f"t{number}"))
            runner.receive(runner.send([push(keys, f"t{number}")]))
        assert own_server.client.info("stats")["total_connections_received"] - before == 1

    def test_all_are_closed_together_but_those_whose_answers_are_still_to_be_read(
        self, make: Make, own_server: "OwnServer", keys: QueueKeys
    ) -> None:
        runner = make(f"{own_server.settings.url}?client_name={keys.name}")
        waiting = [runner.send([push(keys, f"t{number}")]) for number in range(3)]
        for sent in waiting[1:]:
            runner.receive(sent)
        assert connections(own_server, keys) == 3
        runner.close()
        eventually(lambda: connections(own_server, keys) == 1, what="the end of the idle connections")
        assert runner.receive(waiting[0])[0][0].task_id == "t0"
        eventually(lambda: not connections(own_server, keys), what="the end of all connections")

    def test_after_closing_no_call_opens_another_one(
        self, make: Make, own_server: "OwnServer", keys: QueueKeys
    ) -> None:
        runner = make(f"{own_server.settings.url}?client_name={keys.name}")
        runner.run(push(keys, "a"))
        runner.close()
        with pytest.raises(FairqueError, match=r"are closed: close\(\) was called before this call was answered"):
            runner.run(push(keys, "b"))
        eventually(lambda: not connections(own_server, keys), what="the end of all connections")

    def test_a_call_whose_connection_fails_while_the_runner_is_closed_is_not_sent_again(
        self, make: Make, own_server: "OwnServer", keys: QueueKeys
    ) -> None:
        runner = make(f"{own_server.settings.url}?client_name={keys.name}", retries=3)
        runner.run(push(keys, "a"))
        sent = runner.send([push(keys, "b")])
        runner.abandon(sent)
        runner.close()
        lost: Sent[Any] = Sent(sent.packet, None, RedisConnectionError("Connection reset by peer"))
        with pytest.raises(FairqueError, match="it may have taken effect"):
            runner.receive(lost)
        assert not connections(own_server, keys)

    def test_one_whose_use_is_interrupted_between_sending_and_reading_is_closed(
        self, own_server: "OwnServer", keys: QueueKeys, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        runner = Runner(RedisSection(url=f"{own_server.settings.url}?client_name={keys.name}"))
        runner.run(push(keys, "a"))
        with monkeypatch.context() as patched:
            patched.setattr(pool, "read_answers", _fail)
            with pytest.raises(Interruption):
                runner.run(push(keys, "b"))
        eventually(lambda: not connections(own_server, keys), what="the end of the connection")
        runner.close()

    def test_one_that_is_in_use_while_others_are_closed_is_closed_afterwards(
        self, own_server: "OwnServer", keys: QueueKeys, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        runner = Runner(RedisSection(url=f"{own_server.settings.url}?client_name={keys.name}"))
        runner.run(push(keys, "a"))
        reading, closed = threading.Event(), threading.Event()
        send: Any = AbstractConnection.send_packed_command

        def slow(connection: Any, *args: Any, **options: Any) -> Any:
            reading.set()
            closed.wait()
            return send(connection, *args, **options)

        found: list[Any] = []
        with monkeypatch.context() as patched:
            patched.setattr(AbstractConnection, "send_packed_command", slow)
            thread = threading.Thread(target=lambda: found.append(runner.run(push(keys, "b"))))
            thread.start()
            reading.wait()
            runner.close()
            closed.set()
            thread.join()
        assert len(found) == 1
        eventually(lambda: not connections(own_server, keys), what="the end of all connections")


class Interruption(BaseException):
    """Raised in the middle of anything, as KeyboardInterrupt is."""


def _fail(*_: Any, **__: Any) -> None:
    raise Interruption


async def _fail_async(*_: Any, **__: Any) -> None:
    raise Interruption


def test_calls_of_more_threads_than_there_are_connections_wait_for_each_other(
    own_server: "OwnServer", keys: QueueKeys
) -> None:
    runner = Runner(own_server.settings)
    start = threading.Barrier(CONCURRENT_CALLS + 20)
    found: list[str] = []

    def run(number: int) -> None:
        start.wait()
        found.append(runner.run(push(keys, f"t{number}"))[0].task_id)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(start.parties)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted(f"t{number}" for number in range(start.parties))
    runner.close()


LOWERS = """
import resource, socket
from fairque.protocol.runners.stale import is_stale
ours, other = socket.socketpair()
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
print(is_stale(ours))
"""


def test_an_open_connection_can_be_used_after_the_limit_of_open_files_was_lowered() -> None:
    done = subprocess.run([sys.executable, "-c", LOWERS], capture_output=True, text=True, check=False)  # noqa: S603 - ours
    assert (done.stdout, done.stderr) == ("False\n", "")
