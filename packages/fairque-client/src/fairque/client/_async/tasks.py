"""``queue.tasks``: operations on many tasks of a queue."""

from typing import Unpack

from fairque.client.filters import TaskFilter, user_of
from fairque.client.link import AsyncLink
from fairque.client.user_steps import cancel_tasks_of_user
from fairque.protocol.model.reports import BulkReport

__all__ = ["AsyncTasks"]


class AsyncTasks:
    """The tasks of a queue, as ``queue.tasks``. For a single task, use its handle: ``queue.task(task_id)``.

    Methods may also raise the errors of `AsyncTaskQueue`.
    """

    def __init__(self, link: AsyncLink) -> None:
        self._link = link

    async def cancel_all(
        self, *, reason: str = "canceled by an operator", dry_run: bool = False, **filters: Unpack[TaskFilter]
    ) -> BulkReport:
        """Cancel all waiting and scheduled tasks that match all filters; running tasks continue.

        They are canceled in atomic steps of 1,000, in queue order. Tasks pushed during the call may be missed: if none
        of them may run, pause the user or stop its producers first.

        Args:
            reason: Why, for humans; callers that wait for a task get it in `TaskCanceled`.
            dry_run: Only count them.
            **filters: Which tasks; at least one filter.

        Raises:
            InvalidArgument: There is no filter, or one is invalid. Nothing was sent.
            TypeError: A filter is unknown.
        """
        user_id = user_of(filters)
        link = self._link
        return await link.work(cancel_tasks_of_user(link.keys, user_id, reason, link.result_ttl_ms, dry_run=dry_run))
