"""The executor, without a server: tasks that are asked to stop, that run too long, and that run concurrently."""

import asyncio
import threading
from typing import Any

import pytest

from fairque.testing.internal import PATIENCE, eventually
from fairque.worker import StopReason, TaskTimeout, current_context
from fairque.worker.jobs import Success


def test_a_coroutine_that_takes_too_long_ends_with_a_timeout_error(bench: Any) -> None:
    ending = bench.run(lambda: asyncio.sleep(PATIENCE * 10), timeout=0.05)
    assert isinstance(ending.error, TimeoutError)


def test_a_coroutine_may_clean_up_when_it_takes_too_long(bench: Any, expire: Any) -> None:
    begun, cleaned = threading.Event(), []

    async def careful() -> None:
        try:
            begun.set()
            await asyncio.sleep(PATIENCE * 10)
        finally:
            await asyncio.sleep(0)
            cleaned.append("done")

    assert isinstance(bench.run_too_long(careful, begun, expire).error, TimeoutError)
    assert cleaned == ["done"]


@pytest.mark.parametrize("raises", [False, True])
def test_an_attempt_above_its_timeout_has_one_ending_whatever_it_does_in_the_end(bench: Any, *, raises: bool) -> None:
    ended = threading.Event()

    def heeds() -> None:
        try:
            current_context().wait_stop(PATIENCE)
            if raises:
                raise ValueError
        finally:
            ended.set()

    assert isinstance(bench.run(heeds, timeout=0.05).error, TaskTimeout)
    assert ended.wait(PATIENCE)
    eventually(lambda: all(one.ended for one in bench.executor._abandoned), what="the end of the thread")
    assert bench.endings.empty()
    assert bench.run(lambda: "next").value == "next"


def test_too_many_abandoned_attempts_are_reported(make_bench: Any, gate: threading.Event) -> None:
    bench = make_bench(threads=1, max_abandoned=1)
    for expected in (0, 1):
        assert isinstance(bench.run(gate.wait, PATIENCE, timeout=0.05).error, TaskTimeout)
        assert bench.exhausted.qsize() == expected
    # Tasks that are already here get a thread even beyond the limit.
    assert bench.run(lambda: "next").value == "next"
    gate.set()


def test_a_coroutine_that_is_asked_to_stop_is_canceled(bench: Any) -> None:
    begun = threading.Event()

    async def waits() -> None:
        begun.set()
        await asyncio.sleep(PATIENCE * 10)

    job = bench.submit(waits)
    assert begun.wait(PATIENCE)
    job.request_stop(StopReason.CANCELED)
    assert isinstance(bench.ending().error, asyncio.CancelledError)


def test_a_coroutine_asked_to_stop_before_it_began_is_canceled_too(bench: Any, gate: threading.Event) -> None:
    bench.submit(gate.wait)
    job = bench.submit(lambda: asyncio.sleep(PATIENCE * 10))
    job.request_stop(StopReason.CANCELED)
    gate.set()
    assert bench.ending().value is True
    assert isinstance(bench.ending().error, asyncio.CancelledError)


def test_a_coroutine_that_refuses_to_be_canceled_may_still_give_its_result(bench: Any) -> None:
    begun = threading.Event()

    async def stubborn() -> str:
        begun.set()
        try:
            await asyncio.sleep(PATIENCE * 10)
        except asyncio.CancelledError:
            return "anyway"
        return "too late"

    job = bench.submit(stubborn)
    assert begun.wait(PATIENCE)
    job.request_stop(StopReason.CANCELED)
    assert bench.ending().value == "anyway"


def test_a_function_sees_that_it_should_stop_in_its_context(bench: Any) -> None:
    begun = threading.Event()

    def waits() -> StopReason | None:
        context = current_context()
        begun.set()
        assert context.wait_stop(PATIENCE)
        return context.stop_reason

    job = bench.submit(waits)
    assert begun.wait(PATIENCE)
    job.request_stop(StopReason.CANCELED)
    assert bench.ending().value is StopReason.CANCELED


def test_the_current_context_is_that_of_the_task_in_functions_and_coroutines(wide: Any) -> None:
    def facts() -> list[Any]:
        context = current_context()
        return [context.user_id, context.attempt, context.fence, context.func, 0 < context.seconds_left <= 60]

    async def coroutine() -> list[Any]:
        await asyncio.sleep(0)
        return facts()

    assert wide.run(facts, timeout=60).value == ["ann", 1, 7, "f0", True]
    assert wide.run(coroutine, timeout=60).value == ["ann", 1, 7, "f1", True]


def test_many_coroutines_keep_separate_contexts(wide: Any) -> None:
    async def who(func: str) -> bool:
        await asyncio.sleep(0.001)
        return current_context().func == func

    for number in range(50):
        wide.submit(who, f"f{number}")
    assert [wide.ending().value for _ in range(50)] == [True] * 50


def test_as_many_tasks_run_at_a_time_as_there_are_threads_and_no_more(wide: Any, gate: threading.Event) -> None:
    running = threading.Semaphore(0)

    def task() -> None:
        running.release()
        assert gate.wait(PATIENCE)

    for _ in range(6):
        wide.submit(task)
    for _ in range(4):
        assert running.acquire(timeout=PATIENCE)
    assert not running.acquire(timeout=0.05)
    gate.set()
    assert [type(wide.ending()) for _ in range(6)] == [Success] * 6


def test_stopping_lets_what_was_handed_over_run_and_ends_the_threads(bench: Any) -> None:
    for number in range(3):
        bench.submit(lambda number=number: number)
    bench.executor.stop()
    assert [bench.ending().value for _ in range(3)] == [0, 1, 2]


def test_stopping_cancels_the_coroutines_that_still_run(bench: Any) -> None:
    begun, cleaned = threading.Event(), threading.Event()

    async def waits() -> None:
        try:
            begun.set()
            await asyncio.sleep(PATIENCE * 10)
        finally:
            cleaned.set()

    bench.submit(waits)
    assert begun.wait(PATIENCE)
    bench.executor.stop()
    assert cleaned.wait(PATIENCE)
    eventually(lambda: all(t.name != "fairque-loop" for t in threading.enumerate()), what="the end of the loop")
