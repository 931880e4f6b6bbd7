"""Handles: state, results, errors, timeouts, cancelation."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fairque.client import (
    CancelResult,
    CostMode,
    InvalidTask,
    ResultExpired,
    Task,
    TaskCanceled,
    TaskFailed,
    TaskNotFound,
    TaskQueue,
    TaskState,
    task,
)
from fairque.console.verifier import verify
from fairque.testing.internal import PATIENCE, calls


@task
def add(a: int, b: int) -> int:
    return a + b


def test_the_result_of_an_ended_task_is_available_at_once(queue: TaskQueue, worker: Any) -> None:
    handle = queue.push(add.task(1, 2))
    worker.finish(3)
    assert handle.result() == 3
    assert handle.result() == 3


def test_a_result_of_none_is_none(queue: TaskQueue, worker: Any) -> None:
    handle = queue.push(add.task(1, 2))
    worker.finish(raw=b"")
    assert handle.result(timeout=5) is None


def test_the_result_of_a_failed_task_raises_its_stored_error(queue: TaskQueue, worker: Any) -> None:
    handle = queue.push(add.task(1, 2))
    worker.fail({"type": "ZeroDivisionError", "error": "by 0", "traceback": "…", "reason": "retries"})
    with pytest.raises(TaskFailed, match=r"ZeroDivisionError: by 0 \(retries\)"):
        handle.result(timeout=5)
    assert handle.wait() is TaskState.FAILED


def test_a_task_that_canceled_itself_raises_its_reason(queue: TaskQueue, worker: Any) -> None:
    handle = queue.push(add.task(1, 2))
    worker.fail({"type": "Cancel", "error": "no longer needed"}, "cancel")
    with pytest.raises(TaskCanceled, match="no longer needed"):
        handle.result(timeout=5)


def test_a_waiting_task_is_canceled_at_once(queue: TaskQueue) -> None:
    handle = queue.push(add.task(1, 2))
    assert queue.task(handle.task_id).cancel(reason="wrong numbers") is CancelResult.CANCELED
    assert handle.state() is TaskState.CANCELED
    with pytest.raises(TaskCanceled, match="wrong numbers"):
        handle.result(timeout=5)


def test_a_scheduled_task_is_canceled_too(queue: TaskQueue) -> None:
    handle = queue.push(add.options(delay=60).task(1, 2))
    assert handle.cancel() is CancelResult.CANCELED


def test_a_running_task_is_asked_to_stop(queue: TaskQueue, worker: Any) -> None:
    handle = queue.push(add.task(1, 2))
    worker.take()
    assert handle.cancel() is CancelResult.REQUESTED
    info = handle.info()
    assert (info.state, info.cancel_requested) == (TaskState.STARTED, True)


def test_an_ended_task_keeps_its_ending(queue: TaskQueue, worker: Any) -> None:
    handle = queue.push(add.task(1, 2))
    worker.finish(3)
    assert handle.cancel() is CancelResult.ALREADY_ENDED
    assert handle.state() is TaskState.FINISHED


def test_a_handle_follows_its_task(queue: TaskQueue, worker: Any) -> None:
    handle = queue.push(add.task(1, 2))
    assert handle.state() is TaskState.QUEUED
    worker.take()
    info = handle.info()
    assert (info.state, info.attempts, info.worker) == (TaskState.STARTED, 1, "hand")


def test_the_error_of_a_timeout_names_task_state_and_seconds(queue: TaskQueue) -> None:
    handle = queue.push(add.task(1, 2))
    with pytest.raises(TimeoutError, match=rf"task {handle.task_id} is still QUEUED after 0.05 s"):
        handle.result(timeout=0.05)


def test_the_state_in_a_timeout_is_the_one_at_its_end(queue: TaskQueue, worker: Any, in_thread: Any) -> None:
    handle = queue.push(add.task(1, 2))
    waiting = in_thread(lambda: handle.result(timeout=0.5))
    worker.take()
    with pytest.raises(TimeoutError, match=r"is still STARTED after 0\.5 s"):
        waiting.outcome()


def test_a_timeout_may_be_a_timedelta(queue: TaskQueue) -> None:
    handle = queue.push(add.task(1, 2))
    with pytest.raises(TimeoutError, match=r"still QUEUED after 0\.02 s"):
        handle.result(timeout=timedelta(milliseconds=20))
    assert handle.wait(timeout=timedelta(0)) is TaskState.QUEUED


@pytest.mark.parametrize("timeout", ["5", True, float("nan"), [1]])
def test_an_invalid_timeout_is_refused_before_anything_is_sent(queue: TaskQueue, spy: Any, timeout: Any) -> None:
    handle = queue.task("t")
    for wait in (handle.result, handle.wait):
        with pytest.raises(TypeError, match="timeout must be a number of seconds, a timedelta or None, not "):
            wait(timeout)
    assert spy.scripts == []


def test_a_timeout_of_zero_only_checks(queue: TaskQueue, worker: Any, spy: Any) -> None:
    handle = queue.push(add.task(1, 2))
    with pytest.raises(TimeoutError, match=r"is still QUEUED after 0 s.*queue\.task\('.*'\)\.explain\(\)"):
        handle.result(timeout=0)
    worker.finish(3)
    assert handle.result(timeout=0) == 3
    assert spy.scripts == ["push", "watch", "watch"]
    assert queue._link._subscription is None


def test_wait_returns_the_state_that_the_task_has_after_the_timeout(queue: TaskQueue) -> None:
    assert queue.push(add.task(1, 2)).wait(timeout=0.05) is TaskState.QUEUED


def test_getting_a_handle_sends_nothing(queue: TaskQueue, spy: Any) -> None:
    queue.task("whatever")
    assert spy.scripts == []


@pytest.mark.parametrize("task_id", ["", "a\nb", "x" * 129, 7, None])
def test_getting_a_handle_refuses_an_invalid_id(queue: TaskQueue, task_id: Any) -> None:
    with pytest.raises(InvalidTask, match="task_id"):
        queue.task(task_id)


def test_a_handle_is_found_by_task_id(queue: TaskQueue, worker: Any) -> None:
    task_id = queue.push(add.task(1, 2)).task_id
    worker.finish(3)
    assert queue.task(task_id).result(timeout=5) == 3


def test_every_method_of_the_handle_of_an_unknown_task_raises_not_found(queue: TaskQueue) -> None:
    handle = queue.task("unknown")
    for ask in (handle.state, handle.info, handle.result, handle.wait, handle.cancel, lambda: handle.result(timeout=0)):
        with pytest.raises(TaskNotFound, match="task unknown is not known in queue"):
            ask()


def forget(queue: TaskQueue, server: Any, task_id: str) -> None:
    """Delete a record, as the sweep does once it has expired."""
    server.delete(f"{queue._link.keys.prefix}t:{task_id}")


def test_the_result_of_a_pushed_task_without_a_record_has_expired(queue: TaskQueue, worker: Any, server: Any) -> None:
    handle = queue.push(add.task(1, 2))
    worker.finish(3)
    forget(queue, server, handle.task_id)
    for ask in (handle.result, handle.state, handle.cancel):
        with pytest.raises(ResultExpired, match=rf"the record of task {handle.task_id} is gone"):
            ask()


def test_a_task_that_was_known_before_has_expired(queue: TaskQueue, server: Any) -> None:
    handle = queue.task(queue.push(add.task(1, 2)).task_id)
    handle.state()
    forget(queue, server, handle.task_id)
    with pytest.raises(ResultExpired):
        handle.result()


def test_the_handle_of_a_deduplicated_push_returns_the_result_of_the_other_task(queue: TaskQueue, worker: Any) -> None:
    queue.push(add.options(dedup_key="k").task(1, 2))
    handle = queue.push(add.options(dedup_key="k").task(1, 2))
    worker.finish(3)
    assert handle.result(timeout=5) == 3


def test_a_deduplicated_push_whose_other_task_is_gone_has_expired(queue: TaskQueue, worker: Any, server: Any) -> None:
    first = queue.push(add.options(dedup_key="k", dedup_ttl=60).task(1, 2))
    worker.finish(3)
    forget(queue, server, first.task_id)
    with pytest.raises(ResultExpired):
        queue.push(add.options(dedup_key="k", dedup_ttl=60).task(1, 2)).result(timeout=5)


def test_info_counts_what_happened(queue: TaskQueue, worker: Any) -> None:
    queue.push_many([add.task(n, n) for n in range(3)])
    queue.push(add.options(delay=60).task(1, 1))
    worker.finish(0)
    info = queue.info()
    tasks = {state: number for state, number in info.tasks.items() if number}
    assert tasks == {TaskState.QUEUED: 2, TaskState.SCHEDULED: 1}
    assert (info.totals["pushed"], info.totals["finished"], info.kept) == (4, 1, 1)


def test_info_has_the_settings_of_the_queue_and_the_time_of_the_server(queue: TaskQueue, server: Any) -> None:
    queue.set(cost_mode=CostMode.COUNT, backlog=7)
    info = queue.info()
    assert (info.queue, info.cost_mode, info.backlog) == (queue.settings.queue.name, CostMode.COUNT, 7)
    seconds, microseconds = server.time()
    now = datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds)
    assert timedelta(0) <= now - info.read_at < timedelta(seconds=PATIENCE)


def test_the_error_for_decorating_with_queue_task_names_the_decorator(queue: TaskQueue) -> None:
    with pytest.raises(TypeError, match=r"decorate the function with fairque\.client\.task"):

        @queue.task  # type: ignore[call-overload]
        def add_all() -> None: ...


def test_only_a_task_function_types_a_handle(queue: TaskQueue) -> None:
    assert queue.task("t1", add).task_id == "t1"
    with pytest.raises(TypeError, match=r"decorated with fairque\.client\.task, not <function"):
        queue.task("t1", lambda: 1)  # type: ignore[call-overload]


def test_a_handle_shows_task_and_queue(queue: TaskQueue) -> None:
    assert repr(queue.task("t1")) == f"TaskHandle('t1', queue={queue.settings.queue.name!r})"


class TestALostResult:
    """Of a task whose record is there, as after a policy of eviction or a restored part of the data."""

    @pytest.fixture
    def lost(self, queue: TaskQueue, worker: Any, server: Any) -> Any:
        handle = queue.push(Task(func="f"))
        worker.end(worker.take(), result="x" * 5_000)
        server.delete(f"{queue._link.keys.prefix}r:{handle.task_id}")
        return handle

    def test_has_expired_and_is_not_none(self, lost: Any) -> None:
        with pytest.raises(ResultExpired):
            lost.result(timeout=0)

    def test_is_not_given_to_a_task_that_depends_on_it(self, lost: Any, queue: TaskQueue) -> None:
        (found,) = queue._link._runner.run(calls.read_outputs(queue._link.keys, "reader", [lost.task_id]))
        assert (found.state, found.result) == (None, b"")

    def test_is_found_by_verify(self, lost: Any, queue: TaskQueue) -> None:
        report = verify(queue._link._runner, queue._link.keys)
        assert [(one.kind, one.name) for one in report.found] == [("result", lost.task_id)]
