"""Coroutines that begin together, straight on the event loop."""

import asyncio
import threading
import time
from typing import Any

import pytest

from fairque.protocol.errors import LeaseLost
from fairque.protocol.model.stopping import StopReason
from fairque.protocol.wire.codec import encode_task
from fairque.testing.internal import PATIENCE
from fairque.worker import Task, current_context
from fairque.worker.jobs import Failure, Job, Success


def jobs_of(bench: Any, *functions: Any) -> list[Job]:
    """Jobs of coroutine functions that have been called before."""
    for function in functions:
        bench.registry.register(function, function.__name__)
        bench.functions._plan(function.__name__)
    return [bench.job(encode_task(Task(func=one.__name__, user_id="ann")).data) for one in functions]


def endings_of(bench: Any, jobs: list[Job]) -> list[Any]:
    """Give the jobs together, and return their endings in the order of the jobs."""
    bench.executor.submit_all(jobs)
    endings = {ending.job: ending for ending in (bench.ending() for _ in jobs)}
    return [endings[job] for job in jobs]


def test_each_has_its_own_context_and_thread_of_the_loop(lane_bench: Any) -> None:
    seen: list[tuple[str, str]] = []

    async def first() -> None:
        await asyncio.sleep(0)
        seen.append((current_context().func or "", threading.current_thread().name))

    async def second() -> None:
        seen.append((current_context().func or "", threading.current_thread().name))

    endings_of(lane_bench, jobs_of(lane_bench, first, second))
    assert sorted(seen) == [("first", "fairque-loop"), ("second", "fairque-loop")]


def test_the_run_time_of_one_does_not_contain_that_of_others_before_it(lane_bench: Any) -> None:
    async def computes() -> None:
        time.sleep(0.2)  # noqa: ASYNC251 - it keeps the loop

    async def nothing() -> None:
        """The shortest."""

    long, short = endings_of(lane_bench, jobs_of(lane_bench, computes, nothing))
    assert short.ran_us < long.ran_us


def test_one_that_raises_before_its_first_wait_ends_alone(lane_bench: Any) -> None:
    async def fails() -> None:
        raise SystemExit(3)

    async def other() -> int:
        return 1

    failed, fine = endings_of(lane_bench, jobs_of(lane_bench, fails, other))
    assert (type(failed), failed.kind, fine.result) == (Failure, SystemExit, b"1")


def test_one_whose_lease_is_lost_before_it_begins_does_not_run(lane_bench: Any) -> None:
    ran: list[int] = []

    async def runs() -> None:
        ran.append(1)

    (job,) = jobs_of(lane_bench, runs)
    job.request_stop(StopReason.LEASE_LOST)
    (ending,) = endings_of(lane_bench, [job])
    assert (ending.kind, ran) == (LeaseLost, [])


@pytest.mark.parametrize("times", [1, 2])
def test_one_that_another_cancels_before_its_first_step_ends_as_canceled(lane_bench: Any, times: Any) -> None:
    ran: list[int] = []

    async def cancels() -> None:
        for _ in range(times):
            for other in asyncio.all_tasks() - {asyncio.current_task()}:
                other.cancel()

    async def runs() -> None:
        ran.append(1)

    fine, canceled = endings_of(lane_bench, jobs_of(lane_bench, cancels, runs))
    assert (type(fine), canceled.kind, ran) == (Success, asyncio.CancelledError, [])


def test_one_whose_coroutine_another_closes_before_its_first_step_fails(lane_bench: Any) -> None:
    ran: list[int] = []

    async def closes() -> None:
        for other in asyncio.all_tasks() - {asyncio.current_task()}:
            other.get_coro().close()

    async def runs() -> None:
        ran.append(1)

    fine, failed = endings_of(lane_bench, jobs_of(lane_bench, closes, runs))
    assert (type(fine), failed.kind, ran) == (Success, RuntimeError, [])


@pytest.mark.parametrize("before", [True, False], ids=["before it begins", "while it waits"])
def test_one_that_is_canceled_ends_as_canceled(lane_bench: Any, before: Any) -> None:
    begun = threading.Event()

    async def waits() -> None:
        begun.set()
        await asyncio.sleep(PATIENCE)

    (job,) = jobs_of(lane_bench, waits)
    if before:
        job.request_stop(StopReason.CANCELED)
    lane_bench.executor.submit_all([job])
    if not before:
        assert begun.wait(PATIENCE)
        job.request_stop(StopReason.CANCELED)
    assert lane_bench.ending().canceled


def test_more_than_one_group_begins(lane_bench: Any) -> None:
    together: list[int] = []

    async def one() -> int:
        together.append(1)
        while len(together) < 5:  # noqa: ASYNC110 - it is the order of the groups that is tested
            await asyncio.sleep(0.001)
        return len(together)

    first, *_ = jobs_of(lane_bench, one)
    others = [lane_bench.job(first.granted.message) for _ in range(4)]
    endings = endings_of(lane_bench, [first, *others])
    assert [type(ending) for ending in endings] == [Success] * 5
