# Generated from _async/schedules.py by scripts/unasync.py. Do not edit: change that module and generate this one.
"""The schedules of a queue, read and controlled. Adding one needs a cron evaluator: `fairque.scheduler` has that."""

from collections.abc import Iterator

from fairque.client._sync.paging import all_pages
from fairque.client.arguments import MAX_PAGE, page_size, page_start
from fairque.client.link import Link
from fairque.protocol.calls import enable, read_schedule, read_scheduler, read_schedules, unschedule
from fairque.protocol.model.page import Page
from fairque.protocol.model.schedules import ScheduleInfo, SchedulerStatus

__all__ = ["Schedules"]


class Schedules:
    """The schedules of a queue; ``queue.schedules`` is one. Programs add schedules by `fairque.scheduler`.

    Every method may raise what the methods of `TaskQueue` may.
    """

    def __init__(self, link: Link) -> None:
        self._link = link

    def get(self, schedule_id: str) -> ScheduleInfo:
        """Return what is known of a schedule: its definition, its next time, what it fired and what it missed.

        ``next_at`` is None for a moment after it was resumed, until a scheduler has computed it.

        Raises:
            ScheduleNotFound: There is none of that id.
            InvalidSchedule: It cannot be the id of a schedule. Nothing was sent.
        """
        return self._link.run(read_schedule(self._link.keys, schedule_id))

    def list(self, *, after: str | None = None, limit: int = 100) -> Page[ScheduleInfo]:
        """Return a page of the schedules, in the order of their ids; it ends before it has more than 4 MiB.

        Its ``problems`` tell of those between them that cannot be read here.

        Args:
            after: ``next`` of the page before; None begins.
            limit: Schedules of the page, 1 to 1,000.

        Raises:
            InvalidArgument: One of them cannot be used. Nothing was sent.
        """
        call = read_schedules(self._link.keys, after=page_start(after), most=page_size(limit))
        return (self._link.run(call)).page()

    def iter(self) -> Iterator[ScheduleInfo]:
        """Give all schedules that can be read, page after page."""
        return all_pages(lambda after: self.list(after=after, limit=MAX_PAGE))

    def pause(self, schedule_id: str) -> bool:
        """Stop firing a schedule, and return whether it was active. Tasks that it already enqueued are kept.

        Its times that were due and not fired yet are missed; one is counted, as only `fairque.scheduler`, whose
        `pause_schedule` counts all, can compute the others.

        Raises:
            ScheduleNotFound: There is none of that id.
            InvalidSchedule: It cannot be the id of a schedule. Nothing was sent.
        """
        return self._link.run(enable(self._link.keys, schedule_id, on=False))

    def resume(self, schedule_id: str) -> bool:
        """Fire a schedule again, from its first time after now on, and return whether it did not before.

        Raises:
            ScheduleNotFound: There is none of that id.
            InvalidSchedule: It cannot be the id of a schedule. Nothing was sent.
        """
        return self._link.run(enable(self._link.keys, schedule_id, on=True))

    def delete(self, schedule_id: str) -> bool:
        """Delete a schedule, and return whether there was one. Tasks that it already enqueued are kept.

        Raises:
            InvalidSchedule: It cannot be the id of a schedule. Nothing was sent.
        """
        return self._link.run(unschedule(self._link.keys, schedule_id))

    def status(self) -> SchedulerStatus:
        """Return which scheduler leads, how many schedules there are, and how many are overdue."""
        return self._link.run(read_scheduler(self._link.keys))
