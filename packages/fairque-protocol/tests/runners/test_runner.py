"""Runners on a real server: equal answers of both kinds, missing scripts, unsuitable servers."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import DataError, NoScriptError, RedisError, ResponseError

from fairque.protocol.calls.endings import Finished
from fairque.protocol.config import RedisSection
from fairque.protocol.errors import (
    ConfigurationError,
    ProtocolError,
    QueueFull,
    RedisUnavailable,
    ServerUnsuitable,
    TaskNotFound,
)
from fairque.protocol.model.states import TaskState
from fairque.protocol.model.task import Task
from fairque.protocol.runners import Runner
from fairque.protocol.runners.aio import AsyncRunner
from fairque.protocol.runners.failures import Attempts
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.status import Status
from fairque.testing.internal import PATIENCE, calls, eventually, pop_call

if TYPE_CHECKING:
    from tests.runners.conftest import OwnServer, Send

PASSWORD = "hunter2"  # noqa: S105 - to look for it in errors


@pytest.fixture
def keys(fairque_queue_name: str) -> QueueKeys:
    return QueueKeys(fairque_queue_name)


def push(keys: QueueKeys, *task_ids: str, payload: Any = None) -> Call[list[calls.Pushed]]:
    tasks: list[Task[Any]] = [Task(task_id=i, user_id="ann", payload=payload) for i in task_ids]
    return calls.push(keys, tasks, message_limit=1_048_576)


def finish(keys: QueueKeys, granted: calls.Granted) -> Call[list[calls.Ended]]:
    return calls.finish(keys, [Finished(granted.task_id, granted.token, 5_000, b"1")], result_ttl_ms=60_000)


class TestSending:
    def test_a_task_is_pushed_run_and_finished(self, own_server: "OwnServer", send: "Send", keys: QueueKeys) -> None:
        settings = own_server.settings
        (pushed,) = send(settings, [push(keys, "t1")])
        assert [p.task_id for p in pushed] == ["t1"]
        (popped,) = send(settings, [pop_call(keys)])
        ended, outcome = send(settings, [finish(keys, popped.tasks[0]), calls.watch(keys, "t1")])
        assert [e.state for e in ended] == [TaskState.FINISHED]
        assert outcome.blob == b"1"

    def test_an_answer_that_is_an_error_is_raised(self, own_server: "OwnServer", send: "Send", keys: QueueKeys) -> None:
        with pytest.raises(TaskNotFound, match="nobody"):
            send(own_server.settings, [calls.read_task(keys, "nobody")])

    def test_no_calls_have_no_answers(self, own_server: "OwnServer", send: "Send") -> None:
        assert send(own_server.settings, []) == []

    def test_a_script_missing_from_the_server_is_sent_again(
        self, own_server: "OwnServer", send: "Send", keys: QueueKeys
    ) -> None:
        own_server.client.script_flush()
        (pushed,) = send(own_server.settings, [push(keys, "t1")])
        assert len(pushed) == 1

    def test_missing_scripts_are_sent_again_in_one_round_trip(
        self, own_server: "OwnServer", send: "Send", keys: QueueKeys
    ) -> None:
        own_server.client.script_flush()
        pushed, popped, stats = send(own_server.settings, [push(keys, "t1"), pop_call(keys), calls.read_stats(keys)])
        assert len(pushed) == 1
        assert len(popped.tasks) == 1
        assert (stats.pushed, stats.running) == (1, 1)

    def test_a_call_with_an_unknown_script_runs_before_the_following_calls(
        self, own_server: "OwnServer", send: "Send", keys: QueueKeys
    ) -> None:
        own_server.client.script_flush()
        send(own_server.settings, [pop_call(keys)])
        _, popped = send(own_server.settings, [push(keys, "t1"), pop_call(keys)])
        assert len(popped.tasks) == 1


class TestOutOfMemory:
    @pytest.fixture
    def full(self, own_server: "OwnServer") -> Iterator["OwnServer"]:
        """A server that a test makes run out of memory, and that has memory again afterwards."""
        yield own_server
        own_server.client.config_set("maxmemory", 0)

    def test_a_push_fails_cleanly(self, full: "OwnServer", send: "Send", keys: QueueKeys) -> None:
        full.client.config_set("maxmemory", 1)
        with pytest.raises(QueueFull, match="out of memory") as caught:
            send(full.settings, [push(keys, "t1")])
        assert caught.value.retry_after > 0
        assert full.client.keys(f"{keys.prefix}*") == []

    @pytest.mark.parametrize("forgotten", [False, True], ids=["known", "forgotten"])
    def test_the_queue_still_drains(self, full: "OwnServer", send: "Send", keys: QueueKeys, forgotten: Any) -> None:
        settings = full.settings
        send(settings, [push(keys, "t1", "t2", "t3")])
        (popped,) = send(settings, [pop_call(keys)])
        granted = popped.tasks[0]
        full.client.config_set("maxmemory", 1)
        if forgotten:
            full.client.script_flush()
        (statuses,) = send(settings, [calls.beat(keys, [(granted.task_id, granted.token)], lease_ms=30_000)])
        assert statuses == [Status.OK]
        (ended,) = send(settings, [finish(keys, granted)])
        assert ended[0].state is TaskState.FINISHED
        (popped,) = send(settings, [pop_call(keys)])
        second = popped.tasks[0]
        failed = calls.Failed(second.task_id, second.token, 1, "dead", 0, b"{}")
        (ended,) = send(settings, [calls.fail(keys, [failed], result_ttl_ms=1, dead_ttl_ms=1)])
        assert ended[0].state is TaskState.FAILED
        (canceled,) = send(settings, [calls.cancel(keys, "t3", reason="", result_ttl_ms=1)])
        assert canceled[1] is TaskState.CANCELED
        sweep = calls.sweep(keys, guard_ms=0, max_lost_workers=5, result_ttl_ms=1, dead_ttl_ms=1)
        assert send(settings, [sweep])[0] is not None
        (stats,) = send(settings, [calls.read_stats(keys)])
        assert (stats.queued, stats.running) == (0, 0)


class TestRefusals:
    """Errors of the call are distinguished from temporary errors of the server."""

    def test_arguments_that_a_script_refuses_are_a_protocol_error(
        self, own_server: "OwnServer", send: "Send", keys: QueueKeys
    ) -> None:
        with pytest.raises(ProtocolError, match="the time of task t1 is not a number"):
            send(own_server.settings, [calls.finish(keys, [Finished("t1", "1:", -1, b"")], result_ttl_ms=1_000)])

    def test_a_key_of_the_wrong_type_is_a_protocol_error(
        self, own_server: "OwnServer", send: "Send", keys: QueueKeys
    ) -> None:
        own_server.client.set(f"{keys.prefix}running", "no index")
        with pytest.raises(ProtocolError, match="WRONGTYPE"):
            send(own_server.settings, [calls.read_stats(keys)])

    def test_a_server_that_refuses_writes_temporarily_is_unavailable(
        self, own_server: "OwnServer", send: "Send", keys: QueueKeys
    ) -> None:
        own_server.client.config_set("min-replicas-to-write", 1)
        try:
            with pytest.raises(RedisUnavailable, match="has too few replicas in sync: NOREPLICAS"):
                send(own_server.settings, [push(keys, "t1")])
        finally:
            own_server.client.config_set("min-replicas-to-write", 0)

    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            (ResponseError("BUSY Redis is busy running a script."), RedisUnavailable),
            (ResponseError("MISCONF Redis cannot persist to disk script: 5f, on @user_script:1."), RedisUnavailable),
            (NoScriptError("No matching script. Please use EVAL."), RedisUnavailable),
            (ResponseError("unknown command 'EVALSHA'"), ServerUnsuitable),
            (DataError("Invalid input of type: 'object'."), ProtocolError),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_error_answers_of_a_server_are_distinguished(self, error: RedisError, kind: type[Exception]) -> None:
        with pytest.raises(kind):
            Attempts(RedisSection(retries=0)).pause_seconds(error)

    def test_a_script_that_is_missing_again_is_sent_again(self) -> None:
        attempts = Attempts(RedisSection(retries=1))
        assert 0 <= attempts.pause_seconds(NoScriptError("No matching script.")) <= 1
        with pytest.raises(RedisUnavailable):
            attempts.pause_seconds(NoScriptError("No matching script."))


class TestUnsuitableServers:
    def test_a_server_that_may_evict_tasks_is_refused_with_the_fix(
        self, own_server: "OwnServer", send: "Send", keys: QueueKeys
    ) -> None:
        own_server.client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            with pytest.raises(ServerUnsuitable, match="CONFIG SET maxmemory-policy noeviction"):
                send(own_server.settings, [push(keys, "t1")])
            assert own_server.client.keys(f"{keys.prefix}*") == []
            allowed = RedisSection(url=own_server.settings.url, allow_eviction=True)
            assert send(allowed, [push(keys, "t1")])
        finally:
            own_server.client.config_set("maxmemory-policy", "noeviction")

    @pytest.mark.parametrize("retries", [0, 2])
    def test_a_missing_server_is_reported_quickly(
        self, send: "Send", keys: QueueKeys, retries: int, pauses: list[float]
    ) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            url = f"redis://ann:{PASSWORD}@127.0.0.1:{taken.getsockname()[1]}/0"
            with pytest.raises(RedisUnavailable, match="Is it running") as caught:
                send(RedisSection(url=url, retries=retries), [push(keys, "t1")])
        assert len(pauses) == retries
        assert sum(pauses) < 3
        assert PASSWORD not in str(caught.value)
        assert "127.0.0.1" in str(caught.value)

    def test_a_server_that_does_not_answer_is_reported_after_the_timeout(self, send: "Send", keys: QueueKeys) -> None:
        with socket.create_server(("127.0.0.1", 0)) as mute:
            url = f"redis://:{PASSWORD}@127.0.0.1:{mute.getsockname()[1]}/0"
            settings = RedisSection(url=url, retries=0, socket_timeout=0.2, connect_timeout=0.2)
            with pytest.raises(RedisUnavailable) as caught:
                send(settings, [push(keys, "t1")])
        assert PASSWORD not in str(caught.value)

    def test_a_wrong_password_is_reported_and_not_shown(
        self, own_server: "OwnServer", send: "Send", keys: QueueKeys
    ) -> None:
        settings = RedisSection(url=own_server.settings.url.replace("unix://", f"unix://nobody:{PASSWORD}@"))
        with pytest.raises(RedisUnavailable, match="refused the user or password") as caught:
            send(settings, [push(keys, "t1")])
        assert PASSWORD not in str(caught.value)

    def test_a_wrong_password_is_not_retried(self, own_server: "OwnServer", send: "Send", keys: QueueKeys) -> None:
        url = own_server.settings.url.replace("unix://", f"unix://nobody:{PASSWORD}@")
        before = own_server.client.info("stats")["total_connections_received"]
        with pytest.raises(RedisUnavailable):
            send(RedisSection(url=url, retries=3), [push(keys, "t1")])
        assert own_server.client.info("stats")["total_connections_received"] - before == 1

    def test_a_missing_database_is_reported_at_once_with_its_number(
        self, own_server: "OwnServer", send: "Send", keys: QueueKeys
    ) -> None:
        with pytest.raises(ConfigurationError, match="the server has no database number 99"):
            send(RedisSection(url=f"{own_server.settings.url}?db=99"), [push(keys, "t1")])

    def test_a_missing_right_is_named(self, own_server: "OwnServer", send: "Send", keys: QueueKeys) -> None:
        own_server.client.acl_setuser(
            "viewer", enabled=True, passwords=[f"+{PASSWORD}"], commands=["+info", "+hello", "+ping"]
        )
        settings = RedisSection(url=own_server.settings.url.replace("unix://", f"unix://viewer:{PASSWORD}@"))
        with pytest.raises(ServerUnsuitable, match=r"may not do this: .*evalsha") as caught:
            send(settings, [push(keys, "t1")])
        assert PASSWORD not in str(caught.value)


class TestListening:
    def test_the_synchronous_runner_is_notified_of_an_ending(self, own_server: "OwnServer", keys: QueueKeys) -> None:
        heard: list[bytes] = []
        runner = Runner(own_server.settings)
        subscription = runner.listen(keys.done("me"), heard.append, lambda: None)
        runner.run_all([push(keys, "t1"), calls.watch(keys, "t1", "me")])
        runner.run(calls.cancel(keys, "t1", reason="x", result_ttl_ms=1_000))
        assert eventually(lambda: heard, what="the notification of the ending") == [b't1\nCANCELED\n1"x"']
        subscription.close()
        subscription.close()
        runner.close()

    def test_the_asynchronous_runner_is_notified_of_an_ending(self, own_server: "OwnServer", keys: QueueKeys) -> None:
        async def life() -> list[bytes]:
            heard: list[bytes] = []
            told = asyncio.Event()

            def on_message(line: bytes) -> None:
                heard.append(line)
                told.set()

            runner = AsyncRunner(own_server.settings)
            subscription = await runner.listen(keys.done("me"), on_message, lambda: None)
            await runner.run_all([push(keys, "t1"), calls.watch(keys, "t1", "me")])
            await runner.run(calls.cancel(keys, "t1", reason="x", result_ttl_ms=1_000))
            await asyncio.wait_for(told.wait(), 10)
            await subscription.close()
            await subscription.close()
            await runner.close()
            return heard

        assert asyncio.run(life()) == [b't1\nCANCELED\n1"x"']

    def test_a_lost_connection_is_restored_and_reported(self, own_server: "OwnServer", keys: QueueKeys) -> None:
        heard: list[bytes] = []
        ready = threading.Event()
        runner = Runner(own_server.settings)
        subscription = runner.listen(keys.done("me"), heard.append, ready.set)
        assert not ready.is_set()
        own_server.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        assert ready.wait(PATIENCE)
        own_server.client.publish(keys.done("me"), "again")
        assert eventually(lambda: heard, what="it hears again") == [b"again"]
        subscription.close()
        runner.close()

    @pytest.mark.parametrize("error", [MemoryError(), RuntimeError("a test"), OSError(24, "too many open files")])
    def test_a_listener_survives_all_failures_in_it(
        self, own_server: "OwnServer", keys: QueueKeys, error: Exception
    ) -> None:
        heard: list[bytes] = []
        ready = threading.Event()
        broken = [error, error]

        def on_ready() -> None:
            if broken:
                raise broken.pop()
            ready.set()

        def on_message(line: bytes) -> None:
            if line == b"unreadable":
                raise error
            heard.append(line)

        runner = Runner(own_server.settings)
        subscription = runner.listen(keys.done("me"), on_message, on_ready)
        own_server.client.publish(keys.done("me"), "unreadable")
        assert ready.wait(PATIENCE)
        own_server.client.publish(keys.done("me"), "again")
        assert eventually(lambda: heard, what="it hears again") == [b"again"]
        subscription.close()
        runner.close()

    def test_an_asynchronous_listener_survives_all_failures_in_it(
        self, own_server: "OwnServer", keys: QueueKeys
    ) -> None:
        async def life() -> list[bytes]:
            heard: list[bytes] = []
            ready, told = asyncio.Event(), asyncio.Event()
            broken = [MemoryError(), RuntimeError("a test")]

            def on_ready() -> None:
                if broken:
                    raise broken.pop()
                ready.set()

            def on_message(line: bytes) -> None:
                if line == b"unreadable":
                    raise MemoryError
                heard.append(line)
                told.set()

            runner = AsyncRunner(own_server.settings)
            subscription = await runner.listen(keys.done("me"), on_message, on_ready)
            own_server.client.publish(keys.done("me"), "unreadable")
            await asyncio.wait_for(ready.wait(), 60)
            own_server.client.publish(keys.done("me"), "again")
            await asyncio.wait_for(told.wait(), 60)
            await subscription.close()
            await runner.close()
            return heard

        assert asyncio.run(life()) == [b"again"]
