"""The policies that a simulation can compare: the scheduler of fairque, and two of simpler queues."""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Literal, Protocol

from fairque.testing.fairness.records import ModelTask

__all__ = ["Fifo", "Policy", "PolicyName", "RoundRobin"]

PolicyName = Literal["fair", "fifo", "round_robin"]


class Policy(Protocol):
    """A scheduler that a simulation can run, such as `FairModel`."""

    def push(self, now_us: int, tasks: Iterable[ModelTask], /) -> None:
        """Enter tasks."""

    def pop(self, now_us: int, count: int, lease_ms: int, /) -> list[str]:
        """Start up to ``count`` tasks."""

    def beat(self, now_us: int, task_ids: Iterable[str], lease_ms: int, /) -> None:
        """Note that tasks still run."""

    def finish(self, now_us: int, ran_us: Mapping[str, int], /) -> None:
        """Note that tasks ended."""

    def wake_at_us(self) -> int | None:
        """When a pop may find a task although none was pushed or ended."""


class _Blind:
    """A scheduler that considers only the waiting tasks."""

    def beat(self, _now_us: int, _task_ids: Iterable[str], _lease_ms: int, /) -> None:
        """Do nothing."""

    def finish(self, _now_us: int, _ran_us: Mapping[str, int], /) -> None:
        """Do nothing."""

    def wake_at_us(self) -> int | None:
        """Never: time alone changes nothing."""
        return None


class Fifo(_Blind):
    """First come, first served: one list for all users."""

    def __init__(self) -> None:
        self._waiting: deque[str] = deque()

    def push(self, _now_us: int, tasks: Iterable[ModelTask], /) -> None:
        """Append the tasks."""
        self._waiting.extend(task.task_id for task in tasks)

    def pop(self, _now_us: int, count: int, _lease_ms: int, /) -> list[str]:
        """Take the oldest tasks."""
        return [self._waiting.popleft() for _ in range(min(count, len(self._waiting)))]


class RoundRobin(_Blind):
    """One task of each user in turn, however long it runs."""

    def __init__(self) -> None:
        # Users with waiting tasks, in the order of their turns.
        self._waiting: dict[str, deque[str]] = {}

    def push(self, _now_us: int, tasks: Iterable[ModelTask], /) -> None:
        """Append the tasks to their users' lists; a new user's turn is last."""
        for task in tasks:
            self._waiting.setdefault(task.user, deque()).append(task.task_id)

    def pop(self, _now_us: int, count: int, _lease_ms: int, /) -> list[str]:
        """Take a task of each user in turn."""
        taken: list[str] = []
        while self._waiting and len(taken) < count:
            user = next(iter(self._waiting))
            queue = self._waiting.pop(user)
            taken.append(queue.popleft())
            if queue:
                self._waiting[user] = queue
        return taken
