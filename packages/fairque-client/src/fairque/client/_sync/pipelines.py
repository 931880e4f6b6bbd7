# Generated from _async/pipelines.py by scripts/unasync.py. Do not edit: change that module and generate this one.
"""The handle of a pushed pipeline: the states of its tasks, its result, and its cancelation."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Generic, TypeVar, cast

from fairque.client._sync.gathering import gather
from fairque.client._sync.handle import TaskHandle
from fairque.client.link import Link, seconds_of
from fairque.client.pipeline_steps import canceling, handle_of, state_of, states_of
from fairque.client.waiting import until
from fairque.protocol.errors import TaskCanceled, TaskFailed
from fairque.protocol.model.pipeline import Pipeline
from fairque.protocol.model.reports import BulkReport
from fairque.protocol.model.states import TaskState
from fairque.protocol.model.task import Task
from fairque.protocol.reasons import CancelCause

__all__ = ["PipelineHandle"]

R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")


class PipelineHandle(Generic[R_co]):
    """A pipeline of a queue, from outside. `TaskQueue.push` makes it. Threads may share a synchronous one.

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

    def state(self) -> TaskState:
        """Return where the pipeline is in its life: the state of its last tasks, and STARTED while a task runs.

        With several last tasks that have not ended it is the state of the one that is nearest to that. Once all have
        ended, one that failed, or that did not run since one before it failed, makes it FAILED, and else one that was
        canceled makes it CANCELED.

        Raises:
            ResultExpired: The records of all its last tasks are gone.
        """
        return state_of(self._link.keys.name, self._pipeline, self.states())

    def states(self) -> dict[str, TaskState | None]:
        """Return where each task is in its life, by its id; None for one whose record has expired."""
        return self._states(0)

    def wait(self, timeout: float | timedelta | None = None) -> TaskState:
        """Wait until all tasks have ended, woken by the server, and return the state of the pipeline.

        Args:
            timeout: Seconds or a timedelta, after which the state that it has then is returned; None waits forever.

        Raises:
            ResultExpired: The records of all its last tasks are gone.
            TypeError: If `timeout` is not a number of seconds or a timedelta.
        """
        return state_of(self._link.keys.name, self._pipeline, self._states(seconds_of(timeout)))

    def result(self, timeout: float | timedelta | None = None) -> R_co:
        """Wait for the last task, woken by the server, and return its result; of several last ones a list of theirs.

        Args:
            timeout: Seconds or a timedelta to wait; None waits forever.

        Raises:
            TaskFailed: A last task ended in an error, or did not run since one before it did: this tells of that.
            TaskCanceled: A last task was canceled, or one before it, of which this tells.
            ResultExpired: The record of one is gone.
            TimeoutError: They have not ended in that time; they continue.
            TypeError: If `timeout` is not a number of seconds or a timedelta.
        """
        last = [self.tasks[task_id] for task_id in self._pipeline.last]
        try:
            results = gather(self._link, last, timeout)
        except TaskCanceled as error:
            self._raise_cause(error)
            raise
        return cast("R_co", results[0] if self._pipeline.single else results)

    def cancel(self, *, reason: str = "canceled by its producer") -> BulkReport:
        """Cancel each task, the last ones first, so that none is set free by it.

        Args:
            reason: Why, for people.

        Returns:
            How many have ended, or were asked to stop; those that had ended before keep that ending.
        """
        link = self._link
        ids = [self.tasks[task_id].task_id for task_id in self._pipeline.last_first()]
        return link.work(canceling(link.keys, ids, reason, link.result_ttl_ms))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.tasks)} tasks, queue={self._link.keys.name!r})"

    def _states(self, seconds: float | None) -> dict[str, TaskState | None]:
        ids = [handle.task_id for handle in self.tasks.values()]
        found = {task_id: outcome for task_id, outcome in self._link.outcomes(ids, until(seconds))}
        return states_of(self.tasks, found)

    def _raise_cause(self, error: TaskCanceled) -> None:
        """Raise the error of the task that failed or was canceled, if that is why this one was."""
        if error.cause is not CancelCause.DEPENDENCY:
            return
        states = self.states()
        for task_id in self._pipeline.last:
            if self.tasks[task_id].task_id == error.task_id and (cause := self._pipeline.cause(task_id, states)):
                try:
                    self.tasks[cause].result(0)
                except (TaskFailed, TaskCanceled) as first:
                    raise first from error
