"""Timeouts: the deadline is a failed attempt, and whatever a task does with it, its slot continues."""

import asyncio
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import pytest

from fairque.protocol.model.states import TaskState
from fairque.protocol.model.stopping import StopSignal
from fairque.testing.internal import PATIENCE, eventually
from fairque.worker import (
    Backoff,
    StopReason,
    Task,
    TaskContext,
    TaskHandler,
    TaskTimeout,
    TooManyAbandoned,
    current_context,
)

SOON = Backoff(base=0.01)


def add(a: int, b: int) -> int:
    return a + b


def test_a_function_that_exceeds_its_timeout_is_a_failed_attempt_and_retried(
    bench: Any, inside: Any, gate: threading.Event
) -> None:
    bench.start(inside)
    task_id = bench.push(inside, timeout=0.1, retries=1, backoff=SOON)
    contexts = [inside.context(), inside.context()]
    error = bench.error(task_id)
    assert (error["type"], error["reason"], error["attempts"]) == ("TaskTimeout", "retries", 2)
    assert error["error"].startswith("the attempt took longer than the timeout of 0.1 s: ")
    assert [(one.attempt, one.should_stop, one.stop_reason) for one in contexts] == [
        (1, True, StopReason.TIMEOUT),
        (2, True, StopReason.TIMEOUT),
    ]
    gate.set()
    stats = bench.stats()
    assert (stats.expired, stats.retried, stats.failed) == (0, 1, 1)


def test_the_deadline_counts_for_retries_and_not_for_deliveries(bench: Any, inside: Any) -> None:
    bench.start(inside)
    task_id = bench.push(inside, timeout=0.05, retries=0)
    inside.context()
    bench.error(task_id)
    info = bench.info(task_id)
    assert (info.attempts, bench.stats().expired) == (1, 0)


def test_a_deadline_is_kept_however_long_the_heartbeat_is(bench: Any, inside: Any) -> None:
    bench.start(inside, heartbeat=1_800, lease=3_600)
    bench.error(bench.push(inside, timeout=0.2, retries=0))


def test_only_as_many_deadlines_of_the_same_moment_are_enforced_as_there_are_tasks(
    bench: Any, inside: Any, gate: threading.Event
) -> None:
    bench.start(inside, add, concurrency=4)
    ids = bench.push_all([bench.task(inside, timeout=0.1, retries=0) for _ in range(4)])
    assert [bench.error(task_id)["type"] for task_id in ids] == ["TaskTimeout"] * 4
    # All four slots are free again, while four threads still hang.
    assert [bench.result(bench.push(add, 1, n)) for n in range(8)] == list(range(1, 9))
    gate.set()


def test_the_late_ending_of_a_function_that_exceeded_its_timeout_changes_nothing(
    bench: Any, inside: Any, gate: threading.Event
) -> None:
    worker = bench.start(inside, concurrency=1)
    task_id = bench.push(inside, timeout=0.1, retries=0)
    bench.error(task_id)
    gate.set()
    eventually(lambda: not [one for one in worker._executor._abandoned if not one.ended], what="the late return")
    stats = bench.stats()
    assert (bench.state(task_id), stats.finished, stats.stale) == (TaskState.FAILED, 0, 0)
    eventually(lambda: worker.running == 0, what="a free slot")


def test_a_function_that_ends_just_after_its_deadline_has_failed_anyway(bench: Any) -> None:
    def heeds() -> str:
        current_context().wait_stop(PATIENCE)
        return "late"

    bench.start(heeds)
    error = bench.error(bench.push(heeds, timeout=0.05, retries=0))
    assert error["type"] == "TaskTimeout"


def test_a_thread_that_ends_after_its_deadline_no_longer_counts_as_abandoned(bench: Any) -> None:
    def heeds() -> None:
        current_context().wait_stop(PATIENCE)

    worker = bench.start(heeds, concurrency=1, max_abandoned=1)
    ids = bench.push_all([bench.task(heeds, timeout=0.05, retries=0) for _ in range(6)])
    for task_id in ids:
        bench.error(task_id)
        eventually(lambda: all(one.ended for one in worker._executor._abandoned), what="the end of the thread")
    assert not worker._exhausted


def test_on_failure_is_called_after_a_timeout(bench: Any, gate: threading.Event) -> None:
    heard: SimpleQueue[tuple[BaseException, bool]] = SimpleQueue()

    class Slow(TaskHandler):
        def handle(self, task: Task[Any], ctx: TaskContext) -> None:  # noqa: ARG002 - the signature of the base
            gate.wait(PATIENCE)

        def on_failure(self, task: Task[Any], error: BaseException, ctx: TaskContext, *, final: bool) -> None:  # noqa: ARG002 - as above
            heard.put((error, final))

    bench.start(Slow(), concurrency=1)
    bench.push(None, timeout=0.1, retries=0)
    error, final = heard.get(timeout=PATIENCE)
    assert isinstance(error, TaskTimeout)
    assert (error.seconds, final) == (0.1, True)


def test_a_coroutine_that_exceeds_its_timeout_is_canceled_and_may_clean_up(bench: Any, expire: Any) -> None:
    begun, cleaned = threading.Event(), threading.Event()

    async def waits() -> None:
        try:
            begun.set()
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            cleaned.set()

    worker = bench.start(waits, cancel_timeout=PATIENCE)
    task_id = bench.push(waits, retries=0)
    assert begun.wait(PATIENCE)
    expire(worker._watch)
    error = bench.error(task_id)
    assert (error["type"], cleaned.is_set()) == ("TaskTimeout", True)
    assert "it was canceled" in error["error"]


def test_a_coroutine_whose_timeout_ends_as_it_begins_is_canceled_only_once(
    bench: Any, expire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second cancelation would interrupt the clean-up after the first one."""
    begun, gate, clean, cleaned = threading.Event(), threading.Event(), threading.Event(), threading.Event()
    register = StopSignal.when_given

    def register_late(stop: StopSignal, callback: Callable[[], None]) -> None:
        assert gate.wait(PATIENCE)
        register(stop, callback)
        clean.set()

    async def waits() -> None:
        try:
            begun.set()
            await asyncio.sleep(PATIENCE)
        finally:
            while not clean.is_set():  # noqa: ASYNC110 - the event is set by another thread
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.001)
            cleaned.set()

    monkeypatch.setattr(StopSignal, "when_given", register_late)
    worker = bench.start(waits, cancel_timeout=PATIENCE)
    task_id = bench.push(waits, retries=0)
    assert begun.wait(PATIENCE)
    (job,) = worker._watch._jobs()
    expire(worker._watch)
    eventually(lambda: job.stop.reason, what="the signal to stop")
    gate.set()
    assert bench.error(task_id)["type"] == "TaskTimeout"
    assert cleaned.is_set()


def test_what_a_coroutine_returns_after_its_timeout_is_too_late(bench: Any) -> None:
    async def stubborn() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "late"
        return "never"

    bench.start(stubborn)
    assert bench.error(bench.push(stubborn, timeout=0.05, retries=0))["type"] == "TaskTimeout"


def test_what_a_coroutine_raises_while_it_is_canceled_is_in_the_traceback(bench: Any, expire: Any) -> None:
    begun = threading.Event()

    async def breaks() -> None:
        try:
            begun.set()
            await asyncio.sleep(60)
        finally:
            raise RuntimeError("while cleaning up")

    worker = bench.start(breaks)
    task_id = bench.push(breaks, retries=0)
    assert begun.wait(PATIENCE)
    expire(worker._watch)
    error = bench.error(task_id)
    assert error["type"] == "TaskTimeout"
    assert "RuntimeError: while cleaning up" in error["traceback"]


def test_a_timeout_error_of_the_task_itself_stays_what_it_is(bench: Any) -> None:
    async def impatient() -> None:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)

    bench.start(impatient)
    assert bench.error(bench.push(impatient, retries=0))["type"] == "TimeoutError"


def test_a_coroutine_that_refuses_cancelation_is_left_behind_after_cancel_timeout(
    bench: Any, gate: threading.Event, expire: Any
) -> None:
    begun = threading.Event()

    async def deaf() -> None:
        while not gate.is_set():
            try:
                begun.set()
                await asyncio.sleep(0.02)
            except asyncio.CancelledError:
                continue

    worker = bench.start(deaf, add, concurrency=1, cancel_timeout=0.1)
    task_id = bench.push(deaf, retries=0)
    assert begun.wait(PATIENCE)
    expire(worker._watch)
    error = bench.error(task_id)
    assert error["error"].endswith("it was canceled, but continues, and its result is ignored")
    assert bench.result(bench.push(add, 1, 2)) == 3
    gate.set()


def test_a_coroutine_that_blocks_the_event_loop_does_not_block_the_next_ones(bench: Any, gate: threading.Event) -> None:
    async def blocks() -> None:
        gate.wait(PATIENCE)  # what no coroutine should do

    async def well_behaved() -> str:
        await asyncio.sleep(0)
        return "done"

    bench.start(blocks, well_behaved, concurrency=2, cancel_timeout=0.1)
    assert bench.error(bench.push(blocks, timeout=0.1, retries=0))["type"] == "TaskTimeout"
    assert bench.result(bench.push(well_behaved)) == "done"
    assert not gate.is_set()
    gate.set()


def test_a_coroutine_canceled_before_and_still_there_at_its_deadline_fails_by_it(
    bench: Any, short: dict[str, float], gate: threading.Event, expire: Any
) -> None:
    begun, told = threading.Event(), threading.Event()

    async def deaf() -> None:
        while not gate.is_set():
            try:
                begun.set()
                await asyncio.sleep(0.02)
            except asyncio.CancelledError:
                told.set()

    worker = bench.start(deaf, cancel_timeout=0.1, **short)
    task_id = bench.push(deaf, retries=5)
    assert begun.wait(PATIENCE)
    bench.cancel(task_id)
    assert told.wait(PATIENCE)
    expire(worker._watch)
    reason = bench.reaches(task_id, TaskState.CANCELED)
    assert (reason["type"], reason["reason"]) == ("TaskTimeout", "canceled while it ran")
    gate.set()


def test_a_function_whose_lease_is_lost_holds_its_slot_no_longer_than_its_timeout(
    bench: Any, short: dict[str, float], inside: Any
) -> None:
    worker = bench.start(inside, add, concurrency=1, **short)
    bench.push(inside, timeout=1.5, retries=0)
    inside.context()
    worker._heart.stop()
    eventually(lambda: all(job.lease.lost for job in worker._courier.book.snapshot()), what="a lost lease")
    assert bench.result(bench.push(add, 1, 2)) == 3


def test_a_worker_with_too_many_abandoned_threads_takes_no_more_tasks_and_ends(
    bench: Any, inside: Any, gate: threading.Event
) -> None:
    worker = bench.worker(inside, add, concurrency=2, max_abandoned=1, stop_timeout=5)
    ids = bench.push_all([bench.task(inside, timeout=0.1, retries=0) for _ in range(2)])
    raised: SimpleQueue[BaseException | None] = SimpleQueue()

    def run() -> None:
        try:
            worker.run()
        except TooManyAbandoned as error:
            raised.put(error)
        else:
            raised.put(None)

    thread = threading.Thread(target=run)
    thread.start()
    assert [bench.error(task_id)["type"] for task_id in ids] == ["TaskTimeout"] * 2
    error = raised.get(timeout=PATIENCE)
    assert "more than 1 tasks (worker.max_abandoned) continued after their timeouts" in str(error)
    assert not worker._all_ended
    left = bench.push(add, 1, 2)
    assert bench.state(left) is TaskState.QUEUED
    gate.set()
    thread.join(PATIENCE)


def test_tasks_that_were_taken_before_still_end_when_the_worker_is_about_to_end(
    bench: Any, inside: Any, gate: threading.Event
) -> None:
    begun = threading.Event()

    def other() -> str:
        begun.set()
        gate.wait(PATIENCE)
        return "ended"

    worker = bench.start(inside, other, concurrency=2, max_abandoned=0)
    running = bench.push(other)
    assert begun.wait(PATIENCE)
    bench.error(bench.push(inside, timeout=0.1, retries=0))
    eventually(lambda: not worker._phases.takes, what="a worker that takes no more")
    gate.set()
    assert bench.result(running) == "ended"


def test_short_tasks_do_not_wake_the_watch_one_by_one(bench: Any) -> None:
    worker = bench.start(add, concurrency=1)
    rings: list[float] = []
    ring = worker._executor._alarm.ring

    def noted() -> None:
        rings.append(time.monotonic())
        ring()

    worker._executor._alarm.ring = noted
    for task_id in bench.push_all([bench.task(add, 1, 2, timeout=5) for _ in range(300)]):
        bench.result(task_id)
    assert len(rings) < 100
