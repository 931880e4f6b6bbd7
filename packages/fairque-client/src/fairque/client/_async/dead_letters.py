"""``queue.dead_letters``: tasks that ended as FAILED, made runnable again or forgotten, with and without asyncio."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from fairque.client.dead_letter_steps import Redriven, chosen, deleting, deleting_one, page, redriving, redriving_one
from fairque.client.link import AsyncLink
from fairque.protocol.model.dead_letters import DeadLetterPage
from fairque.protocol.model.states import TaskState

__all__ = ["AsyncDeadLetters"]


class AsyncDeadLetters:
    """The dead letters of a queue: tasks that ended as FAILED, while they are kept; ``queue.dead_letters`` is one.

    Every method may raise what the methods of `AsyncTaskQueue` may.
    """

    def __init__(self, link: AsyncLink) -> None:
        self._link = link

    async def list(self, *, after: str | None = None, most: int = 100) -> DeadLetterPage:
        """Return a page of the dead letters, in the order in which they ended.

        Args:
            after: ``next`` of the page before; None begins.
            most: Letters of the page, 1 to 1,000. It has fewer where they are more than 4 MiB together.

        Raises:
            InvalidArgument: One of them cannot be used. Nothing was sent.
        """
        return await self._link.run(page(self._link.keys, after, most))

    async def redrive(self, task_id: str) -> TaskState:
        """Make a dead letter runnable again, with all its retries and deliveries, and return the task's state now.

        The task becomes QUEUED, behind its user's other waiting tasks. A task that is not (or no longer) a dead letter
        is left unchanged. Tasks that were canceled because it failed stay canceled. Its handles wait again.

        Raises:
            TaskNotFound: There is no such task, or it has been forgotten.
            QueueFull: As many tasks wait as its user or the queue may have.
            InvalidTask: It cannot be the id of a task. Nothing was sent.
        """
        return await self._link.work(redriving_one(self._link.keys, task_id, self._link.result_ttl_ms))

    async def redrive_all(
        self,
        *,
        user_id: str | None = None,
        func: Callable[..., Any] | str | None = None,
        reason: str | None = None,
        ended_after: datetime | None = None,
        ended_before: datetime | None = None,
    ) -> Redriven:
        """Make all dead letters runnable again, or those that all conditions fit, and return how many.

        They go a hundred in one atomic step, the oldest first. A redrive that was interrupted is called again: what
        runs is no longer a dead letter. What fails meanwhile, also again, is left alone.

        Args:
            user_id: Only those of this user.
            func: Only those of this function, or of the function of that name.
            reason: Only those with this reason: ``retries``, ``deliveries``, ``unregistered``, ``input``,
                ``unreadable`` or ``broken``.
            ended_after: Only those that ended then or later.
            ended_before: Only those that ended earlier.

        Raises:
            InvalidArgument: A moment has no time zone. Nothing was sent.
        """
        wanted = chosen(user_id, func, reason, ended_after, ended_before)
        return await self._link.work(redriving(self._link.keys, wanted, self._link.result_ttl_ms))

    async def delete(self, task_id: str) -> bool:
        """Forget a dead letter before its time, and return whether there was one.

        Raises:
            InvalidTask: It cannot be the id of a task. Nothing was sent.
        """
        return await self._link.work(deleting_one(self._link.keys, task_id, self._link.result_ttl_ms))

    async def purge(
        self,
        *,
        user_id: str | None = None,
        func: Callable[..., Any] | str | None = None,
        reason: str | None = None,
        ended_after: datetime | None = None,
        ended_before: datetime | None = None,
    ) -> int:
        """Forget all dead letters, or those that all conditions fit, and return how many.

        They go a hundred in one atomic step, the oldest first. What fails meanwhile is left alone.

        Args:
            user_id: Only those of this user.
            func: Only those of this function, or of the function of that name.
            reason: Only those with this reason: ``retries``, ``deliveries``, ``unregistered``, ``input``,
                ``unreadable`` or ``broken``.
            ended_after: Only those that ended then or later.
            ended_before: Only those that ended earlier.

        Raises:
            InvalidArgument: A moment has no time zone. Nothing was sent.
        """
        wanted = chosen(user_id, func, reason, ended_after, ended_before)
        return await self._link.work(deleting(self._link.keys, wanted, self._link.result_ttl_ms))
