"""When the server becomes unreachable, returns, or loses its scripts, the worker continues by itself."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from fairque.protocol.embedded import EmbeddedServer
from fairque.testing.internal import PATIENCE, eventually
from fairque.worker import StopReason, TaskContext, current_context


def nothing() -> None:
    """The shortest task."""


def test_scripts_that_the_server_forgot_are_loaded_again(bench: Any) -> None:
    bench.start(nothing)
    bench.push_all([bench.task(nothing) for _ in range(300)])
    for _ in range(20):
        bench.client.script_flush()
    eventually(lambda: bench.stats().finished == 300, what="all tasks")
    assert bench.stats().retried == 0


def test_connections_that_are_cut_are_made_again(bench: Any) -> None:
    ran: SimpleQueue[str] = SimpleQueue()

    def note() -> None:
        ran.put(current_context().task_id)

    bench.start(note)
    ids = bench.push_all([bench.task(note) for _ in range(500)])
    for _ in range(10):
        bench.client.client_kill_filter(_type="normal", skipme=True)
    eventually(lambda: bench.stats().finished == 500, what="all tasks")
    # A claim or an ending whose answer was lost is repeated with the same values, so no task runs twice.
    assert sorted(ran.get_nowait() for _ in range(ran.qsize())) == sorted(ids)
    task_id = bench.push(note)
    bench.result(task_id)


def test_a_worker_continues_when_its_server_returns(
    make_bench: Callable[[str, str], Any],
    tmp_path_factory: pytest.TempPathFactory,
    fairque_queue_name: str,
    gate: threading.Event,
) -> None:
    folder = tmp_path_factory.mktemp("s")
    contexts: SimpleQueue[TaskContext] = SimpleQueue()

    def waits() -> int:
        contexts.put(current_context())
        assert gate.wait(4 * PATIENCE)
        return current_context().attempt

    with EmbeddedServer(Path(folder)) as server:
        url = server.url
        bench = make_bench(url, fairque_queue_name)
        bench.start(waits, nothing, concurrency=2)
        bench.result(bench.push(nothing))
        running = bench.push(waits)
        contexts.get(timeout=PATIENCE)
        waiting = bench.push(nothing, delay=2)
    with EmbeddedServer(Path(folder)) as server:
        assert server.url == url
        # Acknowledged tasks are still there, running ones end, and new ones are taken, without a restart.
        gate.set()
        assert bench.result(running) == 1
        bench.result(waiting)
        bench.result(bench.push(nothing))
        bench.close()


def test_a_worker_whose_server_is_unreachable_is_idle_once_it_takes_no_more_tasks(
    make_bench: Callable[[str, str], Any], fairque_queue_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with EmbeddedServer() as server:
        bench = make_bench(server.url, fairque_queue_name)
        worker = bench.start(nothing)
        bench.result(bench.push(nothing))
    eventually(lambda: "the queue cannot be used now: trying again" in [r.msg for r in caplog.records])
    worker.pause()
    assert worker.wait_idle(PATIENCE)


def test_tasks_are_notified_in_time_that_a_silent_server_may_have_given_them_to_others(
    make_bench: Callable[[str, str], Any], fairque_queue_name: str, short: dict[str, float]
) -> None:
    told: SimpleQueue[str] = SimpleQueue()
    begun = [threading.Event(), threading.Event()]

    def function() -> int:
        begun[0].set()
        if current_context().attempt == 1 and current_context().wait_stop(3 * PATIENCE):
            assert not current_context().lease_held
            told.put("function")
        return current_context().attempt

    async def coroutine() -> int:
        begun[1].set()
        try:
            await asyncio.sleep(3 * PATIENCE if current_context().attempt == 1 else 0)
        except asyncio.CancelledError:
            told.put("coroutine")
            raise
        return current_context().attempt

    with EmbeddedServer() as server:
        bench = make_bench(server.url, fairque_queue_name)
        bench.start(function, coroutine, socket_timeout=2 * PATIENCE, **short)
        ids = bench.push_all([bench.task(function, retries=0), bench.task(coroutine, retries=0)])
        assert all(event.wait(PATIENCE) for event in begun)
        # Every call of the worker now waits for its answer for much longer than the lease, and none fails.
        pid = bench.client.info("server")["process_id"]
        os.kill(pid, signal.SIGSTOP)
        try:
            assert {told.get(timeout=PATIENCE), told.get(timeout=PATIENCE)} == {"function", "coroutine"}
        finally:
            os.kill(pid, signal.SIGCONT)
        # The tasks did not cause the outage, so it uses up no retry.
        assert bench.result(ids[0]) >= 1
        assert bench.result(ids[1]) > 1
        assert [bench.info(task_id).failures for task_id in ids] == [0, 0]
        bench.close()


def test_a_task_is_notified_in_time_that_its_lease_cannot_be_renewed(
    make_bench: Callable[[str, str], Any], fairque_queue_name: str, short: dict[str, float]
) -> None:
    contexts: SimpleQueue[TaskContext] = SimpleQueue()

    def careful() -> None:
        contexts.put(current_context())
        current_context().wait_stop(PATIENCE)

    with EmbeddedServer() as server:
        bench = make_bench(server.url, fairque_queue_name)
        worker = bench.start(careful, **short)
        bench.push(careful)
        context = contexts.get(timeout=PATIENCE)
    assert context.wait_stop(PATIENCE)
    assert (context.stop_reason, context.lease_held) == (StopReason.LEASE_LOST, False)
    worker.stop(0)
