# Generated from _async/schedules.py by scripts/unasync.py. Do not edit: change that module and generate this one.
"""The schedules of a queue: what is enqueued when, and control of it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from attrs import evolve

from fairque.client._sync.handle import TaskHandle
from fairque.client._sync.paging import all_pages
from fairque.client.arguments import MAX_PAGE, page_prefix, page_size, page_start
from fairque.client.link import Link
from fairque.client.pushing import one_push
from fairque.client.schedule_plans import Plan
from fairque.client.schedule_steps import declaring, pausing, reading_upcoming, storing, with_next
from fairque.protocol import clock
from fairque.protocol.calls.schedules import enable, read_schedule, read_scheduler, read_schedules, unschedule
from fairque.protocol.errors import InvalidSchedule
from fairque.protocol.model.ids import new_task_id
from fairque.protocol.model.page import Page
from fairque.protocol.model.schedule_infos import ScheduleInfo, SchedulerStatus
from fairque.protocol.model.schedules import Schedule
from fairque.protocol.model.task import with_fields
from fairque.protocol.service.loading import import_modules

__all__ = ["Schedules"]


class Schedules:
    """The schedules of a queue; ``queue.schedules`` is one, and ``scheduler.schedules`` of a `TaskScheduler`.

    Every method may raise what the methods of `TaskQueue` may.

    Args:
        link: The queue.
        modules: Python modules with task functions. If there are any, they are imported, and a schedule for a function
            that is not in them is refused.
        on_apply: Called with the schedules that `apply` has made those that are declared.
    """

    def __init__(
        self,
        link: Link,
        *,
        modules: Sequence[str] = (),
        on_apply: Callable[[list[Schedule]], None] = lambda _: None,
    ) -> None:
        self._link = link
        self._modules = modules
        self._on_apply = on_apply

    def get(self, schedule_id: str) -> ScheduleInfo:
        """Return what is known of a schedule: its definition, its next run, what it fired and what it missed.

        Raises:
            ScheduleNotFound: There is none of that id.
            InvalidSchedule: It cannot be the id of a schedule. Nothing was sent.
        """
        return with_next(self._link.run(read_schedule(self._link.keys, schedule_id)))

    def list(self, *, after: str | None = None, limit: int = 100, prefix: str = "") -> Page[ScheduleInfo]:
        """Return a page of the schedules, in the order of their ids; it ends before it has more than 4 MiB.

        Its ``problems`` tell of those between them that cannot be read here.

        Args:
            after: ``next`` of the page before; None begins.
            limit: Schedules of the page, 1 to 1,000.
            prefix: How their ids begin.

        Raises:
            InvalidArgument: One of them cannot be used. Nothing was sent.
        """
        call = read_schedules(
            self._link.keys, after=page_start(after), most=page_size(limit), prefix=page_prefix(prefix)
        )
        page = self._link.run(call)
        return evolve(page, rows=tuple(map(with_next, page.rows))).page()

    def iter(self, *, prefix: str = "") -> Iterator[ScheduleInfo]:
        """Give all schedules that can be read, page after page."""
        return all_pages(lambda after: self.list(after=after, limit=MAX_PAGE, prefix=prefix))

    def upcoming(self, limit: int = 10) -> Sequence[ScheduleInfo]:
        """Return the schedules that are due next, the earliest first; 1 to 1,000."""
        return self._link.work(reading_upcoming(self._link.keys, page_size(limit)))

    def add(self, schedule: Schedule) -> ScheduleInfo:
        """Add a schedule and return what is known of it. The very same one again changes nothing.

        One that has no run any more, such as ``at`` a moment that is past, makes room: a new one takes its id while it
        is still known. Its numbers continue, and its tasks have other ids, as their runs are others.

        Raises:
            InvalidSchedule: With all that is wrong with it, or why it has no run from now on; so the very same moment
                is refused once it is past, be it fired or not. Nothing was stored.
            ScheduleConflict: Its id is taken by one with other content. Nothing was stored.
        """
        return self._store(schedule, 0)

    def update(self, schedule: Schedule, *, revision: int | None = None) -> ScheduleInfo:
        """Change a schedule and return what is known of it.

        If its times are unchanged, so is its next run. Otherwise it continues with the first run from now on, and runs
        that were due but not yet fired are counted as missed.

        Args:
            schedule: The new definition; where ``paused`` is None, it stays paused or not.
            revision: Only if it still has this one, as `get` told; None changes it in any case.

        Raises:
            InvalidSchedule: With all that is wrong with it. Nothing was stored.
            ScheduleNotFound: There is none of that id.
            ScheduleConflict: It has another revision. Nothing was stored.
        """
        if revision == 0:
            raise InvalidSchedule([f"schedule {schedule.schedule_id!r}: revision 0 is that of a new one: add it"])
        return self._store(schedule, revision)

    def fire(self, schedule_id: str) -> TaskHandle[Any]:
        """Push the task of a schedule now, beside its runs, and return its handle. It counts as none of them.

        Raises:
            ScheduleNotFound: There is none of that id.
            InvalidSchedule: It cannot be the id of a schedule. Nothing was sent.
            QueueFull: As many tasks wait as its user or the queue may have. Nothing was stored.
        """
        info = self._link.run(read_schedule(self._link.keys, schedule_id))
        task = with_fields(info.schedule.task, task_id=new_task_id(), created_at=clock.now_ms())
        (pushed,) = self._link.run(one_push(self._link.keys, self._link.settings, (task,)))
        return TaskHandle(self._link, pushed.task_id, known=True)

    def pause(self, schedule_id: str) -> bool:
        """Stop firing a schedule, and return whether it was active. Tasks that it already enqueued are kept.

        Its runs that were due and not fired yet are missed, and counted so.

        Raises:
            ScheduleNotFound: There is none of that id.
            InvalidSchedule: It cannot be the id of a schedule. Nothing was sent.
        """
        return self._link.work(pausing(self._link.keys, schedule_id))

    def resume(self, schedule_id: str) -> bool:
        """Fire a schedule again, from its first run after now on, and return whether it was paused.

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

    def apply(self, schedules: Iterable[Schedule], *, prune: bool = False, dry_run: bool = False) -> Plan:
        """Make these schedules those that the queue has of all declared ones, and return what that changed.

        New ones are added and others changed. Declared ones that are not among them any more are named in the answer
        and stay, and those that `add` made are left alone. Doing it again changes nothing.

        A `TaskScheduler` keeps them from then on, while it runs: it applies them again when the server has lost data,
        and is not ready while one of them is missing.

        Args:
            schedules: What a configuration declares.
            prune: Delete declared ones that are not among them.
            dry_run: Change nothing.

        Raises:
            InvalidSchedule: With all that is wrong with any of them. Nothing was stored.
        """
        import_modules(self._modules)
        limit = self._link.settings.queue.message_limit
        declared, done = self._link.work(
            declaring(
                self._link.keys, schedules, modules=self._modules, message_limit=limit, prune=prune, dry_run=dry_run
            )
        )
        if not dry_run:
            self._on_apply(declared)
        return done

    def status(self) -> SchedulerStatus:
        """Return which scheduler leads, how many schedules there are, and how many are overdue."""
        return self._link.run(read_scheduler(self._link.keys))

    def _store(self, one: Schedule, revision: int | None) -> ScheduleInfo:
        import_modules(self._modules)
        limit = self._link.settings.queue.message_limit
        return self._link.work(
            storing(self._link.keys, one, revision=revision, modules=self._modules, message_limit=limit)
        )
