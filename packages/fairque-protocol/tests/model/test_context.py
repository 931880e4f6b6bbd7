"""The context of a task: what it knows, why it should stop, its logger, and the one way out for its progress."""

import logging
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


def test_the_logger_says_which_task_speaks(context: TaskContext, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        context.logger.info("read %d rows", 5, extra={"table": "orders", "attempt": 9})
    (record,) = caplog.records
    told: Any = record
    assert (record.name, record.getMessage()) == ("fairque.task", "read 5 rows")
    assert (told.task_id, told.user_id, told.attempt, told.table) == ("t1", "ann", 2, "orders")
    assert context.logger is context.logger


def test_progress_leaves_through_the_one_callback_with_the_attempt(context: TaskContext) -> None:
    told: list[Progress] = []
    context.progress(1)
    context = TaskContext(TASK, attempt=2, fence=7, deadline=0.0, on_progress=told.append)
    context.progress(2, 5, "half")
    assert told == [Progress(2, 5, "half", attempt=2)]


def test_what_is_no_progress_is_refused_in_the_task(context: TaskContext) -> None:
    wrong: Any = "2"
    with pytest.raises(TypeError, match="done of a progress must be a number"):
        context.progress(wrong)
    with pytest.raises(ValueError, match="total of a progress must be a number from 0 on"):
        context.progress(1, -1)


def test_a_context_says_whose_task_it_is(context: TaskContext) -> None:
    assert (context.task_id, context.user_id, context.group_id, context.func) == ("t1", "ann", None, "shop:load")
    assert (context.attempt, context.fence) == (2, 7)
    assert context.seconds_left < 0


def test_nothing_asks_a_task_to_stop_at_first(context: TaskContext) -> None:
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


def test_a_task_whose_lease_is_over_should_stop_before_anybody_says_so() -> None:
    context = TaskContext(TASK, attempt=1, fence=1, deadline=0.0, held=lambda: False)
    assert (context.should_stop, context.stop_reason, context.lease_held) == (True, StopReason.LEASE_LOST, False)
    assert context.wait_stop(0)


def test_the_loss_of_a_lease_shows_also_after_a_cancelation() -> None:
    stop = StopSignal()
    context = TaskContext(TASK, attempt=1, fence=1, deadline=0.0, stop=stop, held=lambda: False)
    stop.give(StopReason.CANCELED)
    assert (context.stop_reason, context.lease_held) == (StopReason.CANCELED, False)


def test_a_callback_of_a_stop_is_called_once_even_when_it_comes_late() -> None:
    early, late, calls = StopSignal(), StopSignal(), list[str]()
    early.when_given(lambda: calls.append("early"))
    early.give(StopReason.TIMEOUT)
    late.give(StopReason.TIMEOUT)
    late.when_given(lambda: calls.append("late"))
    for stop in (early, late):
        stop.give(StopReason.CANCELED)
    assert calls == ["early", "late"]


def test_an_attempt_that_has_ended_is_not_called_any_more() -> None:
    stop, calls = StopSignal(), list[str]()
    stop.when_given(lambda: calls.append("before"))
    stop.close()
    stop.give(StopReason.CANCELED)
    stop.when_given(lambda: calls.append("after"))
    assert calls == []
