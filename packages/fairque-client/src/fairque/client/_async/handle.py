"""The handle of a pushed task: its state, its result when there is one, and its cancelation."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from typing import Generic, TypeVar, cast

from fairque.client.link import AsyncLink, seconds_of
from fairque.client.outcomes import Memory, canceled, late, settle
from fairque.client.waiting import until
from fairque.protocol.calls.cancel import cancel
from fairque.protocol.calls.progress import read_progress
from fairque.protocol.calls.read import read_task
from fairque.protocol.calls.watch import Outcome
from fairque.protocol.model.infos import Explanation, TaskInfo
from fairque.protocol.model.progress import Progress
from fairque.protocol.model.reports import RetryReport
from fairque.protocol.model.states import CancelResult, TaskState
from fairque.protocol.wire.call import Call

__all__ = ["AsyncTaskHandle"]

R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")


class AsyncTaskHandle(Generic[R_co]):
    """One task of a queue, from outside. `AsyncTaskQueue.push` and `AsyncTaskQueue.task` make it.

    Threads may share a synchronous handle.

    Methods ask the server, so they may also raise `RedisUnavailable`, `TaskNotFound` when the task is not known, or
    `ResultExpired` when this handle has known it and its record is gone. A result that was once read is kept.

    Attributes:
        task_id: The task. A deduplicated push gives the id of the task that stands for it.
    """

    def __init__(self, link: AsyncLink, task_id: str, *, known: bool) -> None:
        self.task_id = task_id
        self._link = link
        self._memory = Memory(task_id, link.keys.name, known)

    async def info(self) -> TaskInfo:
        """Return what the server knows of the task."""
        return await self._run(read_task(self._link.keys, self.task_id))

    async def state(self) -> TaskState:
        """Return where the task is in its life."""
        info = await self.info()
        return info.state

    async def explain(self) -> Explanation:
        """Return why the task waits; ``print`` shows it as a sentence."""
        from fairque.protocol.calls.users import explain

        standing = await self._run(explain(self._link.keys, self.task_id))
        return standing.explanation()

    async def wait(self, timeout: float | timedelta | None = None) -> TaskState:
        """Wait until the task has ended, woken by the server, and return its state.

        Args:
            timeout: Seconds or a timedelta, after which the state it has then is returned; None waits forever.

        Raises:
            TypeError: If `timeout` is not a number of seconds or a timedelta.
        """
        outcome = await self._outcome(seconds_of(timeout))
        return outcome.state

    async def result(self, timeout: float | timedelta | None = None) -> R_co:
        """Wait until the task has ended, woken by the server, and return its result.

        A wait outlives a lost connection: it continues when the server is back.

        Args:
            timeout: Seconds or a timedelta to wait, 0 only to look; None waits forever.

        Raises:
            TaskFailed: It ended in an error, which this one tells of.
            TaskCanceled: It was canceled.
            TimeoutError: It has not ended in that time; it continues.
            TypeError: If `timeout` is not a number of seconds or a timedelta.
        """
        seconds = seconds_of(timeout)
        outcome = await self._outcome(seconds)
        if seconds is not None and not outcome.state.ended:
            raise late(self.task_id, outcome.state, seconds)
        return cast("R_co", settle(self.task_id, outcome))

    async def progress(self) -> Progress | None:
        """Return how far the task says that it has come; None when it has said nothing, or is not known.

        The last word stays readable as long as the result.
        """
        (found,) = await self._run(read_progress(self._link.keys, [self.task_id]))
        return found

    def watch_progress(self, timeout: float | timedelta | None = None) -> AsyncIterator[Progress]:
        """Give how far the task has come, now and whenever it says so, until it has ended.

        Args:
            timeout: Seconds or a timedelta to wait for its end, from now on; None waits forever.

        Raises:
            TimeoutError: While iterating: it has not ended in that time; it continues.
            TypeError: If `timeout` is not a number of seconds or a timedelta.
        """
        seconds = seconds_of(timeout)
        return self._words(seconds, until(seconds))

    async def cancel(self, *, reason: str = "canceled by its producer") -> CancelResult:
        """End the task if it waits, ask it to stop if it runs; the answer says which.

        Args:
            reason: Why, for people.
        """
        link = self._link
        call = cancel(link.keys, self.task_id, reason=reason, result_ttl_ms=link.result_ttl_ms)
        return canceled(await self._run(call))

    async def retry(self) -> RetryReport:
        """Make a dead letter runnable again, with all its retries; the handle waits again.

        It becomes QUEUED, behind its user's other waiting tasks. A task that is not, or no longer, a dead letter stays
        what it is. Tasks that were canceled because it failed stay canceled.

        Raises:
            QueueFull: As many tasks wait as its user or the queue may have.
        """
        from fairque.client.dead_letter_steps import retrying_one

        link = self._link
        with self._memory.asking():
            return await link.work(retrying_one(link.keys, self.task_id, link.result_ttl_ms))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.task_id!r}, queue={self._link.keys.name!r})"

    async def _outcome(self, timeout: float | None) -> Outcome:
        if self._memory.ended is not None:
            return self._memory.ended
        ((_, outcome),) = [one async for one in self._link.outcomes([self.task_id], until(timeout))]
        return self._memory.learn(outcome)

    async def _words(self, seconds: float | None, until: float) -> AsyncIterator[Progress]:
        async with aclosing(self._link.follow([self.task_id], until, progress=True)) as events:
            async for _, event in events:
                if isinstance(event, Progress):
                    yield event
                elif not (outcome := self._memory.learn(event)).state.ended:
                    raise late(self.task_id, outcome.state, seconds or 0.0)

    async def _run(self, call: Call[T]) -> T:
        with self._memory.asking():
            return await self._link.run(call)
