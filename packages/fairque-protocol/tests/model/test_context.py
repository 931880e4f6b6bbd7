"""The context of a task: its logger, and the one way out for its progress."""

import logging
from typing import Any

import pytest

from fairque.protocol.model.context import TaskContext
from fairque.protocol.model.progress import Progress
from fairque.protocol.model.task import Task


@pytest.fixture
def context() -> TaskContext:
    task: Task[Any] = Task(task_id="t1", user_id="ann")
    return TaskContext(task, attempt=2, fence=7, deadline=0.0)


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
    context.when_progress(told.append)
    context.progress(2, 5, "half")
    assert told == [Progress(2, 5, "half", attempt=2)]


def test_what_is_no_progress_is_refused_in_the_task(context: TaskContext) -> None:
    wrong: Any = "2"
    with pytest.raises(TypeError, match="done of a progress must be a number"):
        context.progress(wrong)
    with pytest.raises(ValueError, match="total of a progress must be a number from 0 on"):
        context.progress(1, -1)
