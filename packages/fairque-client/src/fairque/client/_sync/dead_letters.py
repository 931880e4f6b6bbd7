# Generated from _async/dead_letters.py by scripts/unasync.py. Do not edit: change that module and generate this one.
"""``queue.dead_letters``: read, retry or delete the tasks that ended as FAILED."""

from collections.abc import Iterator
from typing import Unpack

from fairque.client._sync.paging import all_pages
from fairque.client.arguments import MAX_PAGE, page_size
from fairque.client.dead_letter_steps import delete_letter, delete_letters, get_letter, list_letters, retry_letters
from fairque.client.filters import DeadLetterFilter, select
from fairque.client.link import Link
from fairque.protocol.model.dead_letters import DeadLetter
from fairque.protocol.model.page import Page
from fairque.protocol.model.reports import BulkReport

__all__ = ["DeadLetters"]


class DeadLetters:
    """The dead letters of a queue, as ``queue.dead_letters``: tasks that ended as FAILED and are still kept.

    To retry a single one, use ``queue.task(task_id).retry()``. Filters are those of `DeadLetterFilter`; a dead letter
    must match all of them. Methods raise the errors of `TaskQueue`, and `TypeError` for an unknown filter.
    """

    def __init__(self, link: Link) -> None:
        self._link = link

    def get(self, task_id: str) -> DeadLetter:
        """Return a dead letter.

        Raises:
            TaskNotFound: The task does not exist, or its record has expired.
            NotFound: The task is not a dead letter.
            InvalidTask: `task_id` is not a valid task id. Nothing was sent.
        """
        return self._link.work(get_letter(self._link.keys, task_id))

    def list(
        self, *, after: str | None = None, limit: int = 100, **filters: Unpack[DeadLetterFilter]
    ) -> Page[DeadLetter]:
        """Return a page of the dead letters, in the order in which they ended.

        Args:
            after: ``next`` of the previous page; None for the first page.
            limit: Dead letters to read, 1 to 1,000. The page has fewer, or none, if filters exclude some, or if they
                exceed 4 MiB; ``next`` says whether more follow.
            **filters: Which dead letters; all by default.

        Raises:
            InvalidArgument: With a problem for each invalid argument. Nothing was sent.
        """
        selection = select(filters, required=False)
        return self._link.work(list_letters(self._link.keys, selection, after, page_size(limit)))

    def iter(self, **filters: Unpack[DeadLetterFilter]) -> Iterator[DeadLetter]:
        """Yield the matching dead letters, reading page after page.

        Raises:
            InvalidArgument: While iterating, with a problem for each invalid filter. Nothing was sent.
        """
        return all_pages(lambda after: self.list(after=after, limit=MAX_PAGE, **filters))

    def retry_all(self, *, dry_run: bool = False, **filters: Unpack[DeadLetterFilter]) -> BulkReport:
        """Make dead letters runnable again, with all their retries.

        They are retried in atomic steps of 100, oldest first. An interrupted call can be repeated, since a retried task
        is no longer a dead letter. Tasks that fail (again) during the call are left unchanged. Those that would exceed
        the backlog of their user or of the queue are counted as ``refused`` and left unchanged.

        Args:
            dry_run: Only count them.
            **filters: Which dead letters; at least one filter.

        Raises:
            InvalidArgument: There is no filter, or one is invalid. Nothing was sent.
        """
        selection = select(filters, required=True)
        return self._link.work(retry_letters(self._link.keys, selection, self._link.result_ttl_ms, dry_run=dry_run))

    def delete(self, task_id: str) -> bool:
        """Delete a dead letter before it expires, and return whether it existed.

        Raises:
            InvalidTask: `task_id` is not a valid task id. Nothing was sent.
        """
        return self._link.work(delete_letter(self._link.keys, task_id, self._link.result_ttl_ms))

    def delete_all(self, *, dry_run: bool = False, **filters: Unpack[DeadLetterFilter]) -> BulkReport:
        """Delete dead letters before they expire.

        They are deleted in atomic steps of 100, oldest first. Tasks that fail during the call are kept.

        Args:
            dry_run: Only count them.
            **filters: Which dead letters; at least one filter.

        Raises:
            InvalidArgument: There is no filter, or one is invalid. Nothing was sent.
        """
        selection = select(filters, required=True)
        return self._link.work(delete_letters(self._link.keys, selection, self._link.result_ttl_ms, dry_run=dry_run))
