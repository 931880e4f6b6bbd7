"""The tasks of a queue, many at a time."""

from typing import Unpack

from fairque.client.filters import TaskFilter, user_of
from fairque.client.link import AsyncLink
from fairque.client.user_steps import canceling_user
from fairque.protocol.model.reports import BulkReport

__all__ = ["AsyncTasks"]


class AsyncTasks:
    """The tasks of a queue; ``queue.tasks`` is one. One task has a handle: ``queue.task(task_id)``.

    Every method may raise what the methods of `AsyncTaskQueue` may.
    """

    def __init__(self, link: AsyncLink) -> None:
        self._link = link

    async def cancel_all(
        self, *, reason: str = "canceled by an operator", dry_run: bool = False, **filters: Unpack[TaskFilter]
    ) -> BulkReport:
        """Cancel all tasks that all filters fit and that wait, also for their time; running ones continue.

        They go 1,000 in one atomic step, from the front. What is pushed meanwhile may stay: pause the user first, or
        stop its producers, if nothing of it may run.

        Args:
            reason: Why, for people; who waits for a task gets it in `TaskCanceled`.
            dry_run: Only count them.
            **filters: Which tasks; at least one.

        Raises:
            InvalidArgument: There is no filter, or one cannot be used. Nothing was sent.
            TypeError: There is no such filter.
        """
        user_id = user_of(filters)
        link = self._link
        return await link.work(canceling_user(link.keys, user_id, reason, link.result_ttl_ms, dry_run=dry_run))
