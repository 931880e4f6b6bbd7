"""The handle of a pushed task: its state, result and cancelation."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from typing import Generic, TypeVar, cast

from fairque.client.link import AsyncLink, seconds_of
from fairque.client.outcomes import Memory, canceled, late, settle
from fairque.client.waiting import deadline_after
from fairque.protocol.calls.cancel import cancel
from fairque.protocol.calls.progress import read_progress
from fairque.protocol.calls.read import read_task
from fairque.protocol.calls.watch import Outcome
from fairque.protocol.locks import import_lock
from fairque.protocol.model.infos import Explanation, TaskInfo
from fairque.protocol.model.progress import Progress
from fairque.protocol.model.reports import RetryReport
from fairque.protocol.model.states import CancelResult, TaskState
from fairque.protocol.wire.call import Call

__all__ = ["AsyncTaskHandle"]

R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")


class AsyncTaskHandle(Generic[R_co]):
    """A handle to one task of a queue, returned by `AsyncTaskQueue.push` and `AsyncTaskQueue.task`.

    Threads may share a synchronous handle.

    Methods contact the server, so they may also raise `RedisUnavailable`, `TaskNotFound` if the queue does not know the
    task, or `ResultExpired` if this handle has seen the task and its record is gone. A result is cached once read.

    Attributes:
        task_id: The id of the task. After a deduplicated push it is that of the task which holds the key.
    """

    def __init__(self, link: AsyncLink, task_id: str, *, known: bool) -> None:
        self.task_id = task_id
        self._link = link
        self._memory = Memory(task_id, link.keys.name, known)

    async def info(self) -> TaskInfo:
        """Return what the server knows about the task."""
        return await self._run(read_task(self._link.keys, self.task_id))

    async def state(self) -> TaskState:
        """Return the current state of the task."""
        info = await self.info()
        return info.state

    async def explain(self) -> Explanation:
        """Return why the task waits; ``print`` shows it as a sentence."""
        with import_lock:
            from fairque.protocol.calls.users import explain

        standing = await self._run(explain(self._link.keys, self.task_id))
        return standing.explanation()

    async def wait(self, timeout: float | timedelta | None = None) -> TaskState:
        """Wait until the task has ended, without polling, and return its state.

        Args:
            timeout: Seconds or a timedelta, after which its current state is returned; None waits forever.

        Raises:
            TypeError: If `timeout` is not a number of seconds or a timedelta.
        """
        outcome = await self._outcome(seconds_of(timeout))
        return outcome.state

    async def result(self, timeout: float | timedelta | None = None) -> R_co:
        """Wait until the task has ended, without polling, and return its result.

        The wait survives a lost connection, and continues once the server is reachable again.

        Args:
            timeout: Seconds or a timedelta to wait; 0 only checks, None waits forever.

        Raises:
            TaskFailed: The task failed; the exception has its error.
            TaskCanceled: The task was canceled.
            TimeoutError: The task has not ended in time; it continues.
            TypeError: If `timeout` is not a number of seconds or a timedelta.
        """
        seconds = seconds_of(timeout)
        outcome = await self._outcome(seconds)
        if seconds is not None and not outcome.state.ended:
            raise late(self.task_id, outcome.state, seconds)
        return cast("R_co", settle(self.task_id, outcome))

    async def progress(self) -> Progress | None:
        """Return the last progress that the task reported; None if it reported none, or is unknown.

        It is kept as long as the result.
        """
        (progress,) = await self._run(read_progress(self._link.keys, [self.task_id]))
        return progress

    def watch_progress(self, timeout: float | timedelta | None = None) -> AsyncIterator[Progress]:
        """Yield the progress of the task, now and at each report, until it has ended.

        Args:
            timeout: Seconds or a timedelta from now within which the task must end; None waits forever.

        Raises:
            TimeoutError: While iterating, if the task has not ended in time; it continues.
            TypeError: If `timeout` is not a number of seconds or a timedelta.
        """
        seconds = seconds_of(timeout)
        return self._follow_progress(seconds, deadline_after(seconds))

    async def cancel(self, *, reason: str = "canceled by its producer") -> CancelResult:
        """Cancel the task if it waits, or ask it to stop if it runs; the result says which.

        Args:
            reason: Why, for humans.
        """
        link = self._link
        call = cancel(link.keys, self.task_id, reason=reason, result_ttl_ms=link.result_ttl_ms)
        return canceled(await self._run(call))

    async def retry(self) -> RetryReport:
        """Make a dead letter runnable again, with all its retries; this handle can wait for it again.

        The task becomes QUEUED, behind its user's other waiting tasks. A task that is not (or no longer) a dead letter
        is left unchanged. Tasks that were canceled because it failed stay canceled.

        Raises:
            QueueFull: The backlog of its user or of the queue is full.
        """
        with import_lock:
            from fairque.client.dead_letter_steps import retry_letter

        link = self._link
        with self._memory.asking():
            return await link.work(retry_letter(link.keys, self.task_id, link.result_ttl_ms))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.task_id!r}, queue={self._link.keys.name!r})"

    async def _outcome(self, timeout: float | None) -> Outcome:
        if self._memory.ended is not None:
            return self._memory.ended
        ((_, outcome),) = [pair async for pair in self._link.outcomes([self.task_id], deadline_after(timeout))]
        return self._memory.learn(outcome)

    async def _follow_progress(self, seconds: float | None, until: float) -> AsyncIterator[Progress]:
        async with aclosing(self._link.follow([self.task_id], until, progress=True)) as events:
            async for _, event in events:
                if isinstance(event, Progress):
                    yield event
                elif not (outcome := self._memory.learn(event)).state.ended:
                    raise late(self.task_id, outcome.state, seconds or 0.0)

    async def _run(self, call: Call[T]) -> T:
        with self._memory.asking():
            return await self._link.run(call)
