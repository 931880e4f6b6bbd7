"""How tasks of a worker end: with a result, another attempt, or a failure."""

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest

from fairque.protocol.errors import ProtocolError
from fairque.protocol.model.states import TaskState
from fairque.testing.internal import PATIENCE, amend_record, eventually, write_message
from fairque.worker import Backoff, Cancel, Retry, Snooze, Task, TaskContext, TaskHandler, current_context

SOON = Backoff(base=0.01)


def add(a: int, b: int) -> int:
    return a + b


async def add_later(a: int, b: int) -> int:
    await asyncio.sleep(0)
    return a + b


def nothing() -> None:
    """A task that has no result."""


class Counted:
    """A task that does something else in each attempt."""

    def __init__(self, *deeds: Any) -> None:
        self.__name__ = "counted"
        self.__qualname__ = "counted"
        self.deeds = deeds
        self.attempts: list[int] = []

    def __call__(self) -> Any:
        self.attempts.append(current_context().attempt)
        deed = self.deeds[min(len(self.attempts), len(self.deeds)) - 1]
        if isinstance(deed, BaseException):
            raise deed
        return deed


def test_the_results_of_functions_and_coroutines_are_stored(bench: Any) -> None:
    bench.start(add, add_later, nothing)
    ids = [bench.push(add, 1, 2), bench.push(add_later, 3, 4), bench.push(nothing)]
    assert [bench.result(task_id) for task_id in ids] == [3, 7, None]


def test_the_record_says_who_ran_a_task_and_when(bench: Any) -> None:
    worker = bench.start(add, name="w-1")
    task_id = bench.push(add, 1, 2)
    bench.result(task_id)
    info = bench.info(task_id)
    assert (info.worker, info.attempts, info.failures) == ("w-1", 1, 0)
    assert info.pushed_at <= info.started_at <= info.ended_at
    eventually(lambda: worker.running == 0, what="a free slot")


def test_a_custom_handler_gets_the_payload_and_the_context(bench: Any) -> None:
    class Echo(TaskHandler):
        def handle(self, task: Task[Any], ctx: TaskContext) -> Any:
            return [task.payload, ctx.user_id, ctx.task_id, ctx.attempt]

    bench.start(Echo())
    task_id = bench.push(None, payload={"a": [1]}, user="bob")
    assert bench.result(task_id) == [{"a": [1]}, "bob", task_id, 1]


def test_an_async_handler_runs_many_tasks_at_a_time(bench: Any, gate: threading.Event) -> None:
    arrived = threading.Semaphore(0)

    class Async(TaskHandler):
        async def handle(self, task: Task[Any], ctx: TaskContext) -> Any:  # noqa: ARG002 - the signature of the base
            arrived.release()
            await asyncio.to_thread(gate.wait, 5)
            return task.payload

    bench.start(Async(), concurrency=5)
    ids = [bench.push(None, payload=number) for number in range(5)]
    for _ in ids:
        assert arrived.acquire(timeout=PATIENCE)
    gate.set()
    assert [bench.result(task_id) for task_id in ids] == [0, 1, 2, 3, 4]


def test_a_task_that_fails_is_retried_and_may_succeed(bench: Any) -> None:
    task = Counted(ValueError("no"), ValueError("no"), "yes")
    bench.start(task)
    task_id = bench.push(task, backoff=SOON)
    assert bench.result(task_id) == "yes"
    assert task.attempts == [1, 2, 3]
    assert bench.info(task_id).failures == 2


def test_a_task_that_fails_too_often_is_a_dead_letter_with_its_traceback(bench: Any) -> None:
    task = Counted(ValueError("no luck"))
    bench.start(task, name="w-1")
    task_id = bench.push(task, retries=2, backoff=SOON)
    error = bench.error(task_id)
    assert {key: error[key] for key in ("type", "error", "reason", "worker", "attempts")} == {
        "type": "ValueError",
        "error": "no luck",
        "reason": "retries",
        "worker": "w-1",
        "attempts": 3,
    }
    assert error["traceback"].startswith("Traceback")
    assert "ValueError: no luck" in error["traceback"]
    assert task.attempts == [1, 2, 3]
    assert bench.stats().dead == 1


def test_a_task_without_retries_is_tried_once(bench: Any) -> None:
    task = Counted(ValueError("no"))
    bench.start(task)
    bench.error(bench.push(task, retries=0))
    assert task.attempts == [1]


def test_between_two_attempts_a_task_waits_for_its_backoff(bench: Any) -> None:
    task = Counted(ValueError("no"))
    bench.start(task)
    task_id = bench.push(task, backoff=Backoff(base=3_000, longest=3_000))
    eventually(lambda: bench.state(task_id) is TaskState.SCHEDULED, what="a pause")
    assert bench.stats().scheduled == 1
    assert bench.client.zscore(f"{bench.keys.prefix}delayed", task_id) > bench.stats().at_ms


def test_retry_with_a_time_takes_that_instead_of_the_backoff(bench: Any) -> None:
    task = Counted(Retry("not yet", after=0.01), "now")
    bench.start(task)
    task_id = bench.push(task, retries=1, backoff=Backoff(base=3_000))
    assert bench.result(task_id) == "now"
    assert bench.info(task_id).failures == 1


def test_a_retry_counts_for_the_budget(bench: Any) -> None:
    task = Counted(Retry("never", after=0))
    bench.start(task)
    error = bench.error(bench.push(task, retries=2))
    assert (error["type"], error["error"], error["reason"]) == ("Retry", "never", "retries")
    assert task.attempts == [1, 2, 3]


def test_a_snooze_uses_up_no_retry(bench: Any) -> None:
    task = Counted(*[Snooze(0.001)] * 8, "at last")
    bench.start(task)
    task_id = bench.push(task, retries=0)
    assert bench.result(task_id) == "at last"
    assert bench.info(task_id).failures == 0
    # Eight snoozes are more than the five workers that a task may lose.
    assert task.attempts == list(range(1, 10))


def test_cancel_ends_a_task_at_once(bench: Any) -> None:
    task = Counted(Cancel("no use"))
    bench.start(task)
    task_id = bench.push(task, retries=5)
    reason = bench.reaches(task_id, TaskState.CANCELED)
    assert (reason["error"], reason["reason"]) == ("no use", "the task canceled itself")
    assert task.attempts == [1]


class Unfinished(Retry):
    """A subclass that forgot the constructor of its base."""

    def __init__(self) -> None:
        """Without super()."""


def test_a_retry_that_was_never_set_up_is_a_failure_like_any_other(bench: Any) -> None:
    task = Counted(Unfinished(), "after all")
    bench.start(task)
    assert bench.result(bench.push(task, backoff=SOON)) == "after all"


def test_an_invalid_pause_is_an_error_of_the_task_and_the_worker_continues(bench: Any) -> None:
    def snoozes() -> None:
        raise Snooze(float("inf"))

    bench.start(snoozes, add)
    assert bench.error(bench.push(snoozes, retries=0))["type"] == "ValueError"
    assert bench.result(bench.push(add, 1, 2)) == 3


class Unprintable(Exception):
    def __init__(self, second: BaseException) -> None:
        self.second = second

    def __str__(self) -> str:
        raise self.second


class Untraceable(Exception):
    def __getattribute__(self, name: str) -> Any:
        if name == "__cause__":
            raise SystemExit
        return super().__getattribute__(name)


@pytest.mark.parametrize("error", [Unprintable(RuntimeError()), Unprintable(SystemExit()), Untraceable()])
def test_an_error_that_cannot_be_printed_is_a_failure_like_any_other(bench: Any, error: Exception) -> None:
    task = Counted(error)
    bench.start(task, add, concurrency=1)
    found = bench.error(bench.push(task, retries=0))
    assert (found["type"], found["reason"]) == (type(error).__name__, "retries")
    assert bench.result(bench.push(add, 1, 2)) == 3


def test_an_error_of_the_protocol_out_of_a_task_is_a_failure_like_any_other(bench: Any) -> None:
    task = Counted(ProtocolError("the other queue refuses it"), "after all")
    bench.start(task)
    task_id = bench.push(task, retries=1, backoff=SOON)
    assert bench.result(task_id) == "after all"
    assert bench.info(task_id).failures == 1


def test_an_error_of_the_protocol_out_of_a_task_without_retries_is_not_an_unreadable_message(bench: Any) -> None:
    task = Counted(ProtocolError("the other queue refuses it"))
    bench.start(task)
    assert bench.error(bench.push(task, retries=0))["reason"] == "retries"


@pytest.mark.parametrize(
    "error",
    [SystemExit(1), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError()],
    ids=lambda error: type(error).__name__,
)
def test_what_would_end_a_program_ends_only_the_attempt(bench: Any, error: BaseException) -> None:
    task = Counted(error)
    bench.start(task, add, concurrency=1)
    assert bench.error(bench.push(task, retries=1, backoff=SOON))["type"] == type(error).__name__
    assert bench.result(bench.push(add, 1, 2)) == 3


@pytest.mark.parametrize("value", [object(), float("nan"), {1: 2}, "x" * 300_000], ids=lambda v: type(v).__name__)
def test_a_result_that_cannot_be_stored_is_a_failed_attempt(bench: Any, value: Any) -> None:
    task = Counted(value)
    bench.start(task)
    error = bench.error(bench.push(task, retries=1, backoff=SOON))
    assert error["type"] == "InvalidTask"
    assert "the result" in error["error"]
    assert task.attempts == [1, 2]


def test_a_task_of_an_unknown_function_waits_for_a_deployment(bench: Any) -> None:
    bench.start(add)
    task_id = bench.push("ad", 1, 2, retries=0)
    eventually(lambda: bench.state(task_id) is TaskState.SCHEDULED, what="a pause")
    pause_ms = bench.client.zscore(f"{bench.keys.prefix}delayed", task_id) - bench.stats().at_ms
    assert 5_000 < pause_ms <= 10_000
    assert bench.info(task_id).failures == 1


def test_a_task_of_a_function_that_stays_unknown_is_a_dead_letter_with_close_matches(bench: Any) -> None:
    task_id = bench.push("ad", 1, 2, retries=0)
    amend_record(bench.client, f"{bench.keys.prefix}t:{task_id}", fails=5)
    bench.start(add)
    error = bench.error(task_id)
    assert error["reason"] == "unregistered"
    assert "no task function 'ad' is registered here; did you mean 'add'?" in error["error"]


@pytest.mark.parametrize("message", [b"garbage", b"\xff\xfe", b"[]", b'{"v":1}', b'{"v":99}', b""], ids=repr)
def test_an_unreadable_message_is_a_dead_letter_and_the_worker_continues(bench: Any, message: bytes) -> None:
    task_id = bench.push(add, 1, 2)
    write_message(bench.client, bench.keys.prefix, task_id, message)
    bench.start(add, concurrency=1)
    error = bench.error(task_id)
    assert (error["type"], error["reason"]) == ("ProtocolError", "unreadable")
    assert bench.result(bench.push(add, 1, 2)) == 3


def test_a_message_that_is_gone_is_a_dead_letter_and_the_worker_continues(bench: Any) -> None:
    task_id = bench.push(add, 1, 2)
    amend_record(bench.client, f"{bench.keys.prefix}t:{task_id}", fails=1)
    bench.client.delete(f"{bench.keys.prefix}t:{task_id}")
    bench.start(add, concurrency=1)
    assert bench.error(task_id)["reason"] == "unreadable"
    assert bench.result(bench.push(add, 1, 2)) == 3


def test_wrong_arguments_are_a_failed_attempt(bench: Any) -> None:
    bench.start(add)
    error = bench.error(bench.push(add, 1, retries=0))
    assert error["type"] == "TypeError"
    assert "missing 1 required positional argument" in error["error"]


def test_a_coroutine_that_takes_too_long_is_a_failed_attempt(bench: Any) -> None:
    async def waits() -> None:
        await asyncio.sleep(60)

    bench.start(waits)
    error = bench.error(bench.push(waits, timeout=0.05, retries=1, backoff=SOON))
    assert (error["type"], error["attempts"]) == ("TaskTimeout", 2)


def test_a_delayed_task_runs_when_its_time_has_come(bench: Any) -> None:
    bench.start(add)
    task_id = bench.push(add, 1, 2, delay=0.2)
    assert bench.state(task_id) is TaskState.SCHEDULED
    assert bench.result(task_id) == 3
    info = bench.info(task_id)
    assert info.started_at - info.pushed_at >= timedelta(milliseconds=200)


def test_current_context_is_that_of_each_of_many_tasks(bench: Any) -> None:
    def mine(user: str) -> bool:
        return current_context().user_id == user

    async def mine_later(user: str) -> bool:
        await asyncio.sleep(0.001)
        return current_context().user_id == user

    bench.start(mine, mine_later, concurrency=8)
    tasks = [bench.task((mine, mine_later)[n % 2], f"u{n}", user=f"u{n}") for n in range(60)]
    assert all(bench.result(task_id) for task_id in bench.push_all(tasks))
