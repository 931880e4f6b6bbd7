"""Stopping: nothing is lost, tasks that do not end in time are given back uncounted, and no thread remains."""

import asyncio
import threading
from typing import Any

import pytest

from fairque.protocol.errors import RedisUnavailable, SchemaMismatch
from fairque.protocol.model.states import TaskState
from fairque.testing.internal import PATIENCE, eventually
from fairque.worker import FairqueError, StopReason, Worker


def nothing() -> None:
    """The shortest task."""


def test_stop_waits_for_the_tasks_that_run(bench: Any, inside: Any, gate: threading.Event) -> None:
    worker = bench.start(inside)
    task_id = bench.push(inside)
    inside.context()
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    eventually(lambda: not worker._phases.takes, what="the begin of the stop")
    assert bench.state(task_id) is TaskState.STARTED
    gate.set()
    stopping.join(PATIENCE)
    assert not stopping.is_alive()
    assert bench.state(task_id) is TaskState.FINISHED
    assert bench.stats().released == 0


def test_a_task_that_does_not_end_in_time_is_given_back_uncounted(bench: Any, inside: Any) -> None:
    worker = bench.start(inside)
    task_id = bench.push(inside, retries=0)
    context = inside.context()
    worker.stop(0.01)
    info = bench.info(task_id)
    assert (info.state, info.attempts, info.failures) == (TaskState.QUEUED, 0, 0)
    assert (context.should_stop, context.stop_reason, context.lease_held) == (True, StopReason.WORKER_STOPS, False)
    assert worker.running == 0
    assert bench.stats().released == 1


def test_a_task_that_was_given_back_runs_elsewhere_and_its_old_attempt_is_ignored(
    bench: Any, inside: Any, gate: threading.Event
) -> None:
    worker = bench.start(inside, name="old")
    task_id = bench.push(inside)
    inside.context()
    worker.stop(0)
    bench.start(inside, name="new")
    assert inside.context().attempt == 1
    gate.set()
    assert bench.result(task_id) == 1
    info = bench.info(task_id)
    assert (info.worker, info.attempts) == ("new", 1)
    assert bench.stats().finished == 1


def test_a_coroutine_that_is_given_back_is_canceled_and_may_clean_up(bench: Any) -> None:
    begun, cleaned = threading.Event(), threading.Event()

    async def waits() -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            cleaned.set()

    worker = bench.start(waits)
    task_id = bench.push(waits)
    assert begun.wait(PATIENCE)
    worker.stop(0)
    assert cleaned.is_set()
    assert bench.state(task_id) is TaskState.QUEUED


def test_a_task_that_was_canceled_is_not_given_back_but_ended(bench: Any, inside: Any) -> None:
    worker = bench.start(inside)
    task_id = bench.push(inside)
    inside.context()
    bench.cancel(task_id)
    worker.stop(0)
    assert bench.state(task_id) is TaskState.CANCELED


def test_stop_without_a_time_waits_for_stop_timeout(bench: Any, inside: Any) -> None:
    worker = bench.start(inside, stop_timeout=0.05)
    task_id = bench.push(inside)
    inside.context()
    worker.stop()
    assert bench.state(task_id) is TaskState.QUEUED


def test_a_stopped_worker_holds_nothing_however_suddenly_it_was_stopped(bench: Any) -> None:
    ids = bench.push_all([bench.task(nothing) for _ in range(1_000)])
    finished = 0

    def progress() -> bool:
        return bool(bench.stats().finished > finished)

    for _ in range(12):
        worker = bench.start(nothing, concurrency=4)
        eventually(progress, what="some work")
        worker.stop(0)
        stats = bench.stats()
        assert stats.running == 0
        finished = stats.finished
    worker = bench.worker(nothing, burst=True)
    worker.start()
    assert worker.wait_idle(PATIENCE)
    worker.stop()
    stats = bench.stats()
    assert (stats.finished, stats.expired, stats.stale) == (len(ids), 0, 0)


def test_an_idle_worker_stops_without_waiting_for_its_wake_up(bench: Any, never_looks: dict[str, float]) -> None:
    worker = bench.start(nothing, **never_looks)
    bench.result(bench.push(nothing))
    eventually(lambda: bench.client.info("clients")["blocked_clients"] >= 1, what="an idle worker")
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    stopping.join(PATIENCE)
    assert not stopping.is_alive()


def test_a_worker_that_was_paused_before_its_start_takes_tasks_once_it_is_resumed(bench: Any) -> None:
    task_id = bench.push(nothing)
    worker = bench.worker(nothing)
    worker.pause()
    worker.start()
    assert worker.wait_idle(PATIENCE)
    assert bench.state(task_id) is TaskState.QUEUED
    worker.resume()
    bench.result(task_id)


def test_a_paused_worker_takes_no_more_tasks_and_ends_those_it_has(
    bench: Any, inside: Any, gate: threading.Event
) -> None:
    worker = bench.start(inside)
    running = bench.push(inside)
    inside.context()
    worker.pause()
    assert not worker.wait_idle(0)
    later = bench.push(inside)
    gate.set()
    assert bench.result(running) == 1
    assert worker.wait_idle(PATIENCE)
    assert worker.running == 0
    # A wait under way may return it: then it is given back at once.
    eventually(lambda: bench.state(later) is TaskState.QUEUED, what="the later task is left to others")


def test_a_paused_worker_passes_a_wake_up_on(bench: Any, never_looks: dict[str, float]) -> None:
    bench.start(nothing, name="awake", **never_looks)
    paused = bench.start(nothing, name="paused", **never_looks)
    blocked = lambda: bench.client.info("clients")["blocked_clients"] >= 2  # noqa: E731 - used twice
    eventually(blocked, what="two idle workers")
    paused.pause()
    # Whichever of the two gets the wake-up of a push, the other one is woken before any fallback.
    for _ in range(4):
        task_id = bench.push(nothing)
        bench.result(task_id)
        assert bench.info(task_id).worker == "awake"


def test_a_worker_that_stops_puts_back_the_wake_up_that_it_may_have_taken(bench: Any) -> None:
    worker = bench.start(nothing)
    worker.pause()
    bench.push(nothing)
    eventually(lambda: bench.client.exists(bench.keys.wake), what="a wake-up that was passed on")
    # As if a wait that the stop interrupted had taken it.
    bench.client.delete(bench.keys.wake)
    worker.stop(0)
    assert bench.client.exists(bench.keys.wake)


def test_stopping_twice_is_harmless(bench: Any) -> None:
    worker = bench.start(nothing)
    worker.stop()
    worker.stop()


def test_stopping_before_the_start_is_harmless(bench: Any) -> None:
    worker = bench.worker(nothing)
    worker.stop()
    worker.start()
    bench.result(bench.push(nothing))


def test_starting_twice_starts_once(bench: Any) -> None:
    worker = bench.worker(nothing)
    worker.start()
    worker.start()
    assert [thread.name for thread in threading.enumerate()].count("fairque-courier") == 1
    bench.result(bench.push(nothing))


def test_a_stopped_worker_cannot_be_started_again(bench: Any) -> None:
    worker = bench.start(nothing)
    worker.stop()
    with pytest.raises(FairqueError, match="create a new Worker"):
        worker.start()


def test_a_worker_whose_server_is_unreachable_does_not_start(no_thread_is_left: None) -> None:  # noqa: ARG001 - it looks afterwards
    worker = Worker.from_url("unix:///nowhere/server.sock")
    with pytest.raises(RedisUnavailable, match="does not answer"):
        worker.start()
    worker.stop()


def test_a_worker_of_a_queue_of_another_version_does_not_start(bench: Any) -> None:
    bench.client.hset(bench.keys.meta, "schema", "99")
    worker = bench.worker(nothing)
    with pytest.raises(SchemaMismatch, match="upgrade fairque-protocol here"):
        worker.start()
    assert bench.client.keys(f"{bench.keys.prefix}*") == [bench.keys.meta]


def test_run_works_in_any_thread_but_handles_no_signals_there(bench: Any) -> None:
    bench.push(nothing)
    worker = bench.worker(nothing, burst=True)
    thread = threading.Thread(target=worker.run)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert bench.stats().finished == 1


def test_stop_reports_a_thread_that_continues(bench: Any, inside: Any) -> None:
    worker = bench.worker(inside, stop_timeout=0.05)
    bench.push(inside)
    thread = threading.Thread(target=worker.run)
    thread.start()
    inside.context()
    worker._control.tell()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert not worker._all_ended


def test_a_paused_worker_takes_tasks_again_after_resume(bench: Any, inside: Any, gate: threading.Event) -> None:
    worker = bench.start(inside)
    worker.pause()
    assert worker.wait_idle(PATIENCE)
    task_id = bench.push(inside)
    worker.resume()
    inside.context()
    # The worker is no longer idle: a stop waits for the task.
    assert not worker.wait_idle(0)
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    eventually(lambda: not worker._phases.takes, what="the begin of the stop")
    gate.set()
    stopping.join(PATIENCE)
    assert bench.state(task_id) is TaskState.FINISHED


def test_a_worker_that_was_stopped_does_not_resume(bench: Any) -> None:
    worker = bench.start(nothing)
    worker.stop()
    worker.resume()
    task_id = bench.push(nothing)
    assert bench.state(task_id) is TaskState.QUEUED
    assert not worker._phases.takes
