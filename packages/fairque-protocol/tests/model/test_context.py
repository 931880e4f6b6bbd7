"""The context of a task: its fields, its reasons to stop, its logger, and its progress."""

import logging
import threading
from datetime import timedelta
from typing import Any

import pytest

from fairque.protocol.model.context import TaskContext
from fairque.protocol.model.progress import Progress
from fairque.protocol.model.stopping import StopReason, StopSignal
from fairque.protocol.model.task import Task

TASK: Task[Any] = Task(task_id="t1", user_id="ann", func="shop:load")


@pytest.fixture
def context() -> TaskContext:
    return TaskContext(TASK, attempt=2, fence=7, deadline=0.0)


def test_records_of_the_logger_identify_the_task(context: TaskContext, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        context.logger.info("read %d rows", 5, extra={"table": "orders", "attempt": 9})
    (record,) = caplog.records
    told: Any = record
    assert (record.name, record.getMessage()) == ("fairque.task", "read 5 rows")
    assert (told.task_id, told.user_id, told.attempt, told.table) == ("t1", "ann", 2, "orders")
    assert context.logger is context.logger


def test_progress_is_passed_to_the_callback_with_the_attempt(context: TaskContext) -> None:
    told: list[Progress] = []
    context.progress(1)
    context = TaskContext(TASK, attempt=2, fence=7, deadline=0.0, on_progress=told.append)
    context.progress(2, 5, "half")
    assert told == [Progress(2, 5, "half", attempt=2)]


def test_invalid_progress_raises_in_the_task(context: TaskContext) -> None:
    wrong: Any = "2"
    with pytest.raises(TypeError, match="done of a progress must be a number"):
        context.progress(wrong)
    with pytest.raises(ValueError, match="total of a progress must be a number from 0, "):
        context.progress(1, -1)


def test_a_context_has_the_fields_of_its_task(context: TaskContext) -> None:
    assert (context.task_id, context.user_id, context.group_id, context.func) == ("t1", "ann", None, "shop:load")
    assert (context.attempt, context.fence) == (2, 7)
    assert context.seconds_left < 0


def test_a_new_attempt_is_not_asked_to_stop(context: TaskContext) -> None:
    assert (context.should_stop, context.stop_reason, context.lease_held) == (False, None, True)
    assert not context.wait_stop(0)
    assert not context.wait_stop(timedelta())


def test_the_first_reason_to_stop_stays() -> None:
    stop = StopSignal()
    context = TaskContext(TASK, attempt=1, fence=1, deadline=0.0, stop=stop)
    stop.give(StopReason.CANCELED)
    stop.give(StopReason.TIMEOUT)
    assert (context.should_stop, context.stop_reason) == (True, StopReason.CANCELED)
    assert context.wait_stop()


def test_a_task_whose_lease_has_ended_should_stop_without_a_signal() -> None:
    context = TaskContext(TASK, attempt=1, fence=1, deadline=0.0, held=lambda: False)
    assert (context.should_stop, context.stop_reason, context.lease_held) == (True, StopReason.LEASE_LOST, False)
    assert context.wait_stop(0)


def test_a_lost_lease_is_visible_after_a_cancelation_too() -> None:
    stop = StopSignal()
    context = TaskContext(TASK, attempt=1, fence=1, deadline=0.0, stop=stop, held=lambda: False)
    stop.give(StopReason.CANCELED)
    assert (context.stop_reason, context.lease_held) == (StopReason.CANCELED, False)


def test_a_stop_callback_is_called_once_even_if_added_late() -> None:
    early, late, calls = StopSignal(), StopSignal(), list[str]()
    early.when_given(lambda: calls.append("early"))
    early.give(StopReason.TIMEOUT)
    late.give(StopReason.TIMEOUT)
    late.when_given(lambda: calls.append("late"))
    for stop in (early, late):
        stop.give(StopReason.CANCELED)
    assert calls == ["early", "late"]


def test_the_callback_of_an_ended_attempt_is_not_called() -> None:
    stop, calls = StopSignal(), list[str]()
    stop.when_given(lambda: calls.append("before"))
    stop.close()
    stop.give(StopReason.CANCELED)
    stop.when_given(lambda: calls.append("after"))
    assert calls == []


def test_a_signal_that_several_threads_give_calls_back_once_and_ends_a_wait() -> None:
    for _ in range(200):
        stop, calls, start = StopSignal(), list[int](), threading.Barrier(4)

        def give(reason: StopReason, stop: StopSignal = stop, start: threading.Barrier = start) -> None:
            start.wait()
            stop.give(reason)

        def listen(stop: StopSignal = stop, start: threading.Barrier = start, calls: list[int] = calls) -> None:
            start.wait()
            stop.when_given(lambda: calls.append(1))
            stop.wait(None)

        threads = [threading.Thread(target=give, args=[reason]) for reason in (StopReason.TIMEOUT, StopReason.CANCELED)]
        threads.append(threading.Thread(target=listen))
        for thread in threads:
            thread.start()
        start.wait()
        for thread in threads:
            thread.join()
        assert calls == [1]
        assert stop.reason in (StopReason.TIMEOUT, StopReason.CANCELED)
