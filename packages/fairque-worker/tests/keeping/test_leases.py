"""Leases: the heartbeat renews them; a task is notified of a lost lease or a cancelation, and its ending refused."""

import asyncio
import threading
from queue import SimpleQueue
from typing import Any

from fairque.protocol.model.states import TaskState
from fairque.protocol.wire.status import Status
from fairque.testing.internal import PATIENCE, amend_record, eventually
from fairque.worker import Backoff, StopReason, Task, TaskContext, TaskHandler, current_context


def test_the_heartbeat_keeps_a_task_that_runs_longer_than_its_lease(
    bench: Any, short: dict[str, float], gate: threading.Event
) -> None:
    ran: SimpleQueue[str] = SimpleQueue()

    def long() -> None:
        ran.put(current_context().task_id)
        gate.wait(2.2 * short["lease"])

    bench.start(long, **short)
    task_id = bench.push(long)
    ran.get(timeout=PATIENCE)
    bench.start(long, **short)
    assert bench.result(task_id) is None
    assert ran.empty()
    assert (bench.info(task_id).attempts, bench.stats().expired) == (1, 0)


def test_the_task_is_notified_of_a_lost_lease_and_its_late_ending_changes_nothing(
    bench: Any, short: dict[str, float]
) -> None:
    lost: SimpleQueue[tuple[StopReason | None, bool]] = SimpleQueue()
    begun = threading.Event()

    def careful() -> str:
        context = current_context()
        if context.attempt > 1:
            return "second"
        begun.set()
        context.wait_stop(PATIENCE)
        lost.put((context.stop_reason, context.lease_held))
        return "late"

    bench.start(careful, **short)
    task_id = bench.push(careful, retries=0)
    assert begun.wait(PATIENCE)
    amend_record(bench.client, f"{bench.keys.prefix}t:{task_id}", token="1:")  # noqa: S106 - of a lease
    assert lost.get(timeout=PATIENCE) == (StopReason.LEASE_LOST, False)
    # It is no longer renewed, so its lease ends, and the next attempt starts.
    assert bench.result(task_id) == "second"
    stats = bench.stats()
    assert (stats.stale, stats.expired, stats.finished) == (1, 1, 1)


def test_a_coroutine_whose_lease_is_lost_is_canceled(bench: Any, short: dict[str, float]) -> None:
    async def careful() -> int:
        if current_context().attempt == 1:
            await asyncio.sleep(60)
        return current_context().attempt

    bench.start(careful, **short)
    task_id = bench.push(careful, retries=0)
    eventually(lambda: bench.stats().running == 1)
    amend_record(bench.client, f"{bench.keys.prefix}t:{task_id}", token="1:")  # noqa: S106 - of a lease
    assert bench.result(task_id) == 2


def test_a_worker_whose_heart_has_stopped_loses_its_tasks_to_another(
    bench: Any, short: dict[str, float], inside: Any, gate: threading.Event
) -> None:
    silent = bench.start(inside, name="silent", concurrency=1, **short)
    task_id = bench.push(inside, retries=0)
    first = inside.context()
    silent._heart.stop()
    bench.start(inside, name="lively", **short)
    second = inside.context()
    assert (first.attempt, second.attempt) == (1, 2)
    assert second.fence > first.fence
    gate.set()
    assert bench.result(task_id) == 2
    eventually(lambda: bench.stats().stale == 1, what="the refusal of the first ending")
    info = bench.info(task_id)
    assert (info.worker, info.failures) == ("lively", 0)


def test_a_task_whose_lease_is_over_before_it_could_begin_is_left_to_others_and_no_failure(
    bench: Any, short: dict[str, float], gate: threading.Event
) -> None:
    hooked = threading.Event()

    class Slow(TaskHandler):
        def handle(self, task: Task[Any], ctx: TaskContext) -> int:  # noqa: ARG002 - the signature of the base
            return ctx.attempt

        def on_success(self, task: Task[Any], result: Any, ctx: TaskContext) -> None:  # noqa: ARG002 - as above
            hooked.set()
            assert gate.wait(PATIENCE)

    worker = bench.start(Slow(), concurrency=1, **short)
    bench.push(None)
    assert hooked.wait(PATIENCE)
    worker._heart.stop()
    # It gets the slot, but the only thread runs the hook.
    task_id = bench.push(None, retries=0)
    eventually(lambda: any(job.lease.lost for job in worker._courier.book.snapshot()), what="the end of its lease")
    gate.set()
    assert bench.result(task_id) == 2
    assert (bench.info(task_id).failures, bench.stats().expired) == (0, 1)


def test_an_ending_after_the_lease_is_accepted_if_no_other_worker_took_the_task(
    bench: Any, inside: Any, gate: threading.Event
) -> None:
    worker = bench.start(inside)
    worker._heart.stop()
    task_id = bench.push(inside)
    inside.context()
    bench.client.zadd(f"{bench.keys.prefix}running", {task_id: 1})
    gate.set()
    # Either its own pop has reclaimed the task by then, or the token decides: it ends once in any case.
    assert bench.result(task_id) in (1, 2)
    assert bench.stats().finished == 1


def test_a_canceled_task_sees_it_in_its_context(bench: Any, short: dict[str, float], inside: Any) -> None:
    bench.start(inside, **short)
    task_id = bench.push(inside)
    context = inside.context()
    assert not context.should_stop
    assert bench.cancel(task_id) == (Status.REQUESTED, TaskState.STARTED)
    assert context.wait_stop(PATIENCE)
    assert (context.stop_reason, context.lease_held) == (StopReason.CANCELED, True)


def test_a_canceled_task_that_raises_is_canceled_whatever_its_retries(bench: Any, short: dict[str, float]) -> None:
    def stops() -> None:
        if current_context().wait_stop(PATIENCE):
            raise RuntimeError("stopped")

    bench.start(stops, **short)
    task_id = bench.push(stops, retries=9, backoff=Backoff(base=0.01))
    eventually(lambda: bench.stats().running == 1)
    bench.cancel(task_id)
    bench.reaches(task_id, TaskState.CANCELED)
    assert bench.info(task_id).attempts == 1


def test_a_canceled_task_that_returns_anyway_keeps_its_result(bench: Any, inside: Any, gate: threading.Event) -> None:
    bench.start(inside)
    task_id = bench.push(inside)
    inside.context()
    bench.cancel(task_id)
    gate.set()
    assert bench.result(task_id) == 1


def test_a_canceled_coroutine_is_canceled_and_the_task_with_it(bench: Any, short: dict[str, float]) -> None:
    begun, cleaned = threading.Event(), threading.Event()

    async def waits() -> None:
        begun.set()
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            cleaned.set()

    bench.start(waits, **short)
    task_id = bench.push(waits, retries=9)
    assert begun.wait(PATIENCE)
    bench.cancel(task_id)
    reason = bench.reaches(task_id, TaskState.CANCELED)
    assert reason["reason"] == "canceled while it ran"
    assert cleaned.is_set()
    assert bench.info(task_id).attempts == 1


def test_a_function_is_notified_when_its_timeout_is_over(bench: Any, short: dict[str, float], inside: Any) -> None:
    bench.start(inside, **short)
    bench.push(inside, timeout=0.3)
    context = inside.context()
    assert 0 < context.seconds_left <= 0.3
    assert context.wait_stop(PATIENCE)
    assert context.stop_reason == StopReason.TIMEOUT
    assert context.seconds_left < 0
