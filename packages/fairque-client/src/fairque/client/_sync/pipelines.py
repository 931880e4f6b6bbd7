# Generated from _async/pipelines.py by scripts/unasync.py. Do not edit: change that module and generate this one.
"""The handle of a pushed pipeline: the states of its tasks, its result and cancelation."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Generic, TypeVar, cast

from fairque.client._sync.gathering import gather
from fairque.client._sync.handle import TaskHandle
from fairque.client.link import Link, seconds_of
from fairque.client.pipeline_steps import cancel_tasks, handle_of, state_of, states_of
from fairque.client.waiting import deadline_after
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
    """A handle to a pipeline of a queue, returned by `TaskQueue.push`. Threads may share a synchronous one.

    Methods contact the server, so they may also raise `RedisUnavailable`.

    Attributes:
        tasks: The handles of its tasks, by task id. A task whose deduplication key is held by another task has the
            handle of that one.
    """

    def __init__(self, link: Link, pipeline: Pipeline[Any], handles: Iterable[TaskHandle[Any]]) -> None:
        self.tasks: Mapping[str, TaskHandle[Any]] = dict(zip(pipeline.tasks, handles, strict=True))
        self._link = link
        self._pipeline = pipeline

    def task(self, task: Task[S] | str) -> TaskHandle[S]:
        """Return the handle of one of its tasks, given the task or its id, without contacting the server.

        Raises:
            KeyError: The task is not in this pipeline.
        """
        return handle_of(self.tasks, task)

    def state(self) -> TaskState:
        """Return the state of the pipeline: STARTED while any task runs, otherwise the state of its last tasks.

        Of several last tasks that have not ended, the one nearest to its end counts. Once all have ended, the pipeline
        is FAILED if one of them failed, or did not run because an earlier task failed; otherwise CANCELED if one of
        them was canceled.

        Raises:
            ResultExpired: The records of all its last tasks have expired.
        """
        return state_of(self._link.keys.name, self._pipeline, self.states())

    def states(self) -> dict[str, TaskState | None]:
        """Return the state of each task by its id; None if its record has expired."""
        return self._states(0)

    def wait(self, timeout: float | timedelta | None = None) -> TaskState:
        """Wait until all tasks have ended, without polling, and return the state of the pipeline.

        Args:
            timeout: Seconds or a timedelta, after which its current state is returned; None waits forever.

        Raises:
            ResultExpired: The records of all its last tasks have expired.
            TypeError: If `timeout` is not a number of seconds or a timedelta.
        """
        return state_of(self._link.keys.name, self._pipeline, self._states(seconds_of(timeout)))

    def result(self, timeout: float | timedelta | None = None) -> R_co:
        """Wait for the last task, without polling, and return its result; if there are several, a list of results.

        Args:
            timeout: Seconds or a timedelta to wait; None waits forever.

        Raises:
            TaskFailed: A last task failed, or did not run because an earlier task failed; the exception is about the
                task that failed.
            TaskCanceled: A last task or an earlier one was canceled; the exception is about the one canceled first.
            ResultExpired: The record of a last task has expired.
            TimeoutError: The last tasks have not ended in time; they continue.
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
        """Cancel all tasks, the last ones first, so that cancel_tasks one does not make another runnable.

        Args:
            reason: Why, for humans.

        Returns:
            How many were canceled or asked to stop; tasks that had already ended are left unchanged.
        """
        link = self._link
        ids = [self.tasks[task_id].task_id for task_id in self._pipeline.last_first()]
        return link.work(cancel_tasks(link.keys, ids, reason, link.result_ttl_ms))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.tasks)} tasks, queue={self._link.keys.name!r})"

    def _states(self, seconds: float | None) -> dict[str, TaskState | None]:
        ids = [handle.task_id for handle in self.tasks.values()]
        outcomes = {task_id: outcome for task_id, outcome in self._link.outcomes(ids, deadline_after(seconds))}
        return states_of(self.tasks, outcomes)

    def _raise_cause(self, error: TaskCanceled) -> None:
        """If the task was canceled because of an earlier one, raise the error of that one."""
        if error.cause is not CancelCause.DEPENDENCY:
            return
        states = self.states()
        for task_id in self._pipeline.last:
            if self.tasks[task_id].task_id == error.task_id and (cause := self._pipeline.cause(task_id, states)):
                try:
                    self.tasks[cause].result(0)
                except (TaskFailed, TaskCanceled) as first:
                    raise first from error
