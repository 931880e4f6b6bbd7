"""Pauses that a task computes itself: the queue accepts any value, and the task continues."""

import math
from typing import Any

import pytest

from fairque.protocol.model.states import TaskState
from fairque.worker import Retry, Snooze, current_context


class Limited(Snooze):
    """The limit of another service, until a moment that may have passed when the worker reads it."""

    def __init__(self, after: float) -> None:
        super().__init__(0)
        self.after = after


class Refused(Retry):
    """The same as a failed attempt."""

    def __init__(self, after: float) -> None:
        super().__init__()
        self.after = after


@pytest.mark.parametrize("after", [-3.0, math.nan])
@pytest.mark.parametrize("kind", [Limited, Refused])
def test_a_task_that_waits_for_a_moment_that_is_past_continues(bench: Any, kind: Any, after: float) -> None:
    def limited() -> int:
        if current_context().attempt == 1:
            raise kind(after)
        return current_context().attempt

    bench.start(limited)
    assert bench.result(bench.push(limited)) == 2


@pytest.mark.parametrize("kind", [Limited, Refused])
def test_a_task_that_asks_for_too_long_a_pause_waits_and_no_worker_gives_it_up(bench: Any, kind: Any) -> None:
    def limited() -> None:
        raise kind(math.inf)

    bench.start(limited)
    bench.reaches(bench.push(limited), TaskState.SCHEDULED)
