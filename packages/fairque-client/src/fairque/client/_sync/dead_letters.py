# Generated from _async/dead_letters.py by scripts/unasync.py. Do not edit: change that module and generate this one.
"""``queue.dead_letters``: tasks that ended as FAILED, looked at, made runnable again, or deleted."""

from collections.abc import Iterator
from typing import Unpack

from fairque.client._sync.paging import all_pages
from fairque.client.arguments import MAX_PAGE, page_size
from fairque.client.dead_letter_steps import deleting, deleting_one, getting, listing, retrying
from fairque.client.filters import DeadLetterFilter, chosen
from fairque.client.link import Link
from fairque.protocol.model.dead_letters import DeadLetter
from fairque.protocol.model.page import Page
from fairque.protocol.model.reports import BulkReport

__all__ = ["DeadLetters"]


class DeadLetters:
    """The dead letters of a queue: tasks that ended as FAILED, while they are kept; ``queue.dead_letters`` is one.

    ``queue.task(task_id).retry()`` makes one of them runnable again. Filters are those of `DeadLetterFilter`; all
    have to fit. Methods may raise what those of `TaskQueue` may, and `TypeError` for a filter that does not exist.
    """

    def __init__(self, link: Link) -> None:
        self._link = link

    def get(self, task_id: str) -> DeadLetter:
        """Return a dead letter.

        Raises:
            TaskNotFound: There is no such task, or its record has expired.
            NotFound: It is not a dead letter.
            InvalidTask: It cannot be the id of a task. Nothing was sent.
        """
        return self._link.work(getting(self._link.keys, task_id))

    def list(
        self, *, after: str | None = None, limit: int = 100, **filters: Unpack[DeadLetterFilter]
    ) -> Page[DeadLetter]:
        """Return a page of the dead letters, in the order in which they ended.

        Args:
            after: ``next`` of the page before; None begins.
            limit: Letters to look at, 1 to 1,000. The page has fewer, or none, where filters leave some out, or where
                they are more than 4 MiB together; ``next`` says whether others follow.
            **filters: Which ones; all when there is none.

        Raises:
            InvalidArgument: With all of them that cannot be used. Nothing was sent.
        """
        wanted = chosen(filters, needed=False)
        return self._link.work(listing(self._link.keys, wanted, after, page_size(limit)))

    def iter(self, **filters: Unpack[DeadLetterFilter]) -> Iterator[DeadLetter]:
        """Give these dead letters, page after page.

        Raises:
            InvalidArgument: While iterating: with all filters that cannot be used. Nothing was sent.
        """
        return all_pages(lambda after: self.list(after=after, limit=MAX_PAGE, **filters))

    def retry_all(self, *, dry_run: bool = False, **filters: Unpack[DeadLetterFilter]) -> BulkReport:
        """Make dead letters runnable again, with all their retries.

        They go a hundred in one atomic step, the oldest first. A call that was interrupted is made again: what runs is
        no longer a dead letter. What fails meanwhile, also again, is left alone. Those for which there is no room are
        ``refused`` and stay what they are: as many tasks wait as their user or the queue may have.

        Args:
            dry_run: Only count them.
            **filters: Which ones; at least one.

        Raises:
            InvalidArgument: There is no filter, or one cannot be used. Nothing was sent.
        """
        wanted = chosen(filters, needed=True)
        return self._link.work(retrying(self._link.keys, wanted, self._link.result_ttl_ms, dry_run=dry_run))

    def delete(self, task_id: str) -> bool:
        """Delete a dead letter before its time, and return whether there was one.

        Raises:
            InvalidTask: It cannot be the id of a task. Nothing was sent.
        """
        return self._link.work(deleting_one(self._link.keys, task_id, self._link.result_ttl_ms))

    def delete_all(self, *, dry_run: bool = False, **filters: Unpack[DeadLetterFilter]) -> BulkReport:
        """Delete dead letters before their time.

        They go a hundred in one atomic step, the oldest first. What fails meanwhile is left alone.

        Args:
            dry_run: Only count them.
            **filters: Which ones; at least one.

        Raises:
            InvalidArgument: There is no filter, or one cannot be used. Nothing was sent.
        """
        wanted = chosen(filters, needed=True)
        return self._link.work(deleting(self._link.keys, wanted, self._link.result_ttl_ms, dry_run=dry_run))
