"""The handle of a pushed pipeline: the states of its tasks, its result, and its cancelation."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Generic, TypeVar, cast

from fairque.client.handle import TaskHandle
from fairque.client.link import AsyncLink, Link, seconds_of
from fairque.client.many import gather
from fairque.client.outcomes import CancelResult, Missing, canceled
from fairque.client.waiting import until
from fairque.protocol.calls import Outcome, cancel
from fairque.protocol.errors import TaskCanceled, TaskFailed, TaskNotFound
from fairque.protocol.model.pipeline import Pipeline
from fairque.protocol.model.states import TaskState
from fairque.protocol.model.task import Task
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.status import Status

__all__ = ["PipelineHandle", "answered", "came_down", "cancelations", "handle_of", "states_of"]

H = TypeVar("H")
R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")


class PipelineHandle(Generic[R_co]):
    """A pipeline of a queue, from outside. `TaskQueue.push` makes it; threads may share it.

    Every method asks the server, so it may also raise `RedisUnavailable`.

    Attributes:
        tasks: The handles of its tasks, by the ids of the tasks. A task whose deduplication key another one holds has
            the handle of that one.
    """

    def __init__(self, link: Link, pipeline: Pipeline[Any], handles: Iterable[TaskHandle[Any]]) -> None:
        self.tasks: Mapping[str, TaskHandle[Any]] = dict(zip(pipeline.tasks, handles, strict=True))
        self._link = link
        self._pipeline = pipeline

    def task(self, task: Task[S] | str) -> TaskHandle[S]:
        """Return the handle of one of its tasks, by the task or its id. Nothing is sent.

        Raises:
            KeyError: It is not in this pipeline.
        """
        return handle_of(self.tasks, task)

    def states(self) -> dict[str, TaskState | None]:
        """Return where each task is in its life, by its id; None for one whose record has expired."""
        return self._states(0)

    def wait(self, timeout: float | timedelta | None = None) -> dict[str, TaskState | None]:
        """Wait until all tasks have ended, woken by the server, and return their states.

        Args:
            timeout: Seconds or a timedelta, after which the states that they have then are returned; None waits for
                ever.

        Raises:
            TypeError: The timeout is no time.
        """
        return self._states(seconds_of(timeout))

    def result(self, timeout: float | timedelta | None = None) -> R_co:
        """Wait for the last task, woken by the server, and return its result; of several last ones a list of theirs.

        Args:
            timeout: Seconds or a timedelta to wait; None waits for ever.

        Raises:
            TaskFailed: A last task ended in an error, or did not run since one before it did: this tells of that.
            TaskCanceled: A last task was canceled, or one before it, of which this tells.
            ResultExpired: The record of one is gone.
            TimeoutError: They have not ended in that time; they go on.
            TypeError: The timeout is no time.
        """
        last = [self.tasks[task_id] for task_id in self._pipeline.last]
        try:
            results = gather(*last, timeout=timeout)
        except TaskCanceled as error:
            self._raise_cause(error)
            raise
        return cast("R_co", results[0] if self._pipeline.single else results)

    def cancel(self, reason: str = "canceled by its producer") -> dict[str, CancelResult]:
        """Cancel each task, the last ones first, so that none is set free by it.

        Args:
            reason: Why, for people.

        Returns:
            The answers by the tasks' ids, without those that have ended so long ago that their records have expired.
        """
        order = self._pipeline.last_first()
        calls = cancelations(self._link, [self.tasks[task_id].task_id for task_id in order], reason)
        return answered(order, self._link.run_all(calls))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.tasks)} tasks, queue={self._link.keys.name!r})"

    def _states(self, seconds: float | None) -> dict[str, TaskState | None]:
        ids = [handle.task_id for handle in self.tasks.values()]
        return states_of(self.tasks, dict(self._link.outcomes(ids, until(seconds))))

    def _raise_cause(self, error: TaskCanceled) -> None:
        """Raise the error of the task that failed or was canceled, if that is why this one was."""
        if not came_down(error):
            return
        states = self.states()
        for task_id in self._pipeline.last:
            if self.tasks[task_id].task_id == error.task_id and (cause := self._pipeline.cause(task_id, states)):
                try:
                    self.tasks[cause].result(0)
                except (TaskFailed, TaskCanceled) as first:
                    raise first from error


def cancelations(link: Link | AsyncLink, task_ids: Iterable[str], reason: str) -> list[Call[CancelResult | None]]:
    """Build the calls that cancel tasks; the answer is None for one whose record has expired."""
    calls = [cancel(link.keys, task_id, reason=reason, result_ttl_ms=link.result_ttl_ms) for task_id in task_ids]
    return [Call(call.script, call.keys, call.args, partial(_answer, call)) for call in calls]


def came_down(error: TaskCanceled) -> bool:
    """Whether a task was canceled since one on which it depends was, or failed: so the script says it."""
    return error.reason.endswith(", on which it depends, did not finish")


def answered(task_ids: Iterable[str], answers: Iterable[CancelResult | None]) -> dict[str, CancelResult]:
    """Return the answers that there are, by the ids."""
    return {task_id: answer for task_id, answer in zip(task_ids, answers, strict=True) if answer is not None}


def _answer(call: Call[tuple[Status, TaskState]], reply: Any) -> CancelResult | None:
    try:
        return canceled(call.decode(reply))
    except TaskNotFound:
        return None


def handle_of(handles: Mapping[str, H], task: Task[Any] | str) -> H:
    """Return the handle of a task.

    Raises:
        KeyError: There is none.
    """
    task_id = task.task_id if isinstance(task, Task) else task
    if task_id not in handles:
        raise KeyError(f"task {task_id} is not in this pipeline")
    return handles[task_id]


def states_of(handles: Mapping[str, Any], outcomes: Mapping[str, Outcome | Missing]) -> dict[str, TaskState | None]:
    """Return the states of tasks by their ids."""
    found = {task_id: outcomes[handle.task_id] for task_id, handle in handles.items()}
    return {task_id: one.state if isinstance(one, Outcome) else None for task_id, one in found.items()}
