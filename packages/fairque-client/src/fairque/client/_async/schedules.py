"""``queue.schedules``: read, add, change, pause and delete the schedules of a queue."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any

from attrs import evolve

from fairque.client._async.handle import AsyncTaskHandle
from fairque.client._async.paging import all_pages
from fairque.client.arguments import MAX_PAGE, page_prefix, page_size, page_start
from fairque.client.link import AsyncLink
from fairque.client.pushing import one_batch
from fairque.client.schedule_plans import Plan
from fairque.client.schedule_steps import apply_declared, pause_schedule, read_upcoming, store_schedule, with_next
from fairque.protocol import clock
from fairque.protocol.calls.schedules import enable, read_schedule, read_scheduler, read_schedules, unschedule
from fairque.protocol.errors import InvalidSchedule
from fairque.protocol.model.ids import new_task_id
from fairque.protocol.model.page import Page
from fairque.protocol.model.schedule_infos import ScheduleInfo, SchedulerStatus
from fairque.protocol.model.schedules import Schedule
from fairque.protocol.model.task import with_fields
from fairque.protocol.service.loading import import_modules

__all__ = ["AsyncSchedules"]


class AsyncSchedules:
    """The schedules of a queue, as ``queue.schedules``, or ``scheduler.schedules`` of a `TaskScheduler`.

    Methods may also raise the errors of `AsyncTaskQueue`.

    Args:
        link: The link of the queue.
        modules: Python modules with task functions. If given, they are imported, and a schedule of a function that is
            not in them is refused.
        on_apply: Called with the declared schedules after `apply`.
    """

    def __init__(
        self,
        link: AsyncLink,
        *,
        modules: Sequence[str] = (),
        on_apply: Callable[[list[Schedule]], None] = lambda _: None,
    ) -> None:
        self._link = link
        self._modules = modules
        self._on_apply = on_apply

    async def get(self, schedule_id: str) -> ScheduleInfo:
        """Return a schedule: its definition, its next run, and its fired and missed runs.

        Raises:
            ScheduleNotFound: There is no schedule with that id.
            InvalidSchedule: `schedule_id` is not a valid schedule id. Nothing was sent.
        """
        return with_next(await self._link.run(read_schedule(self._link.keys, schedule_id)))

    async def list(self, *, after: str | None = None, limit: int = 100, prefix: str = "") -> Page[ScheduleInfo]:
        """Return a page of schedules ordered by id, at most 4 MiB.

        Its ``problems`` list the schedules of the page that this version cannot read.

        Args:
            after: ``next`` of the previous page; None for the first page.
            limit: Schedules per page, 1 to 1,000.
            prefix: Only schedules whose id starts with it.

        Raises:
            InvalidArgument: An argument is invalid. Nothing was sent.
        """
        call = read_schedules(
            self._link.keys, after=page_start(after), most=page_size(limit), prefix=page_prefix(prefix)
        )
        page = await self._link.run(call)
        return evolve(page, rows=tuple(map(with_next, page.rows))).page()

    def iter(self, *, prefix: str = "") -> AsyncIterator[ScheduleInfo]:
        """Yield all schedules that can be read, reading page after page."""
        return all_pages(lambda after: self.list(after=after, limit=MAX_PAGE, prefix=prefix))

    async def upcoming(self, limit: int = 10) -> Sequence[ScheduleInfo]:
        """Return the 1 to 1,000 schedules that are due next, earliest first."""
        return await self._link.work(read_upcoming(self._link.keys, page_size(limit)))

    async def add(self, schedule: Schedule) -> ScheduleInfo:
        """Add a schedule and return it. Adding an identical schedule again changes nothing.

        A schedule without further runs, such as one whose ``at`` has passed, can be replaced by a new one with the same
        id while it is still stored; its counters continue. Tasks of the new one have different ids, since its runs are
        different.

        Raises:
            InvalidSchedule: With all problems of the schedule, or why it has no future run: an ``at`` in the past is
                refused, whether it was fired or not. Nothing was stored.
            ScheduleConflict: Another schedule with different content has the id. Nothing was stored.
        """
        return await self._store(schedule, 0)

    async def update(self, schedule: Schedule, *, revision: int | None = None) -> ScheduleInfo:
        """Change a schedule and return it.

        If its times are unchanged, so is its next run. Otherwise it continues with the first run from now on, and runs
        that were due but not yet fired are counted as missed.

        Args:
            schedule: The new definition; if ``paused`` is None, the schedule stays paused or active.
            revision: Change it only if it still has this revision, as returned by `get`; None changes any revision.

        Raises:
            InvalidSchedule: With all problems of the schedule. Nothing was stored.
            ScheduleNotFound: There is no schedule with that id.
            ScheduleConflict: The schedule has another revision. Nothing was stored.
        """
        if revision == 0:
            raise InvalidSchedule(
                [f"schedule {schedule.schedule_id!r}: revision 0 means a new schedule: use add, not update"]
            )
        return await self._store(schedule, revision)

    async def fire(self, schedule_id: str) -> AsyncTaskHandle[Any]:
        """Push the task of a schedule now and return its handle. It does not count as a run.

        Raises:
            ScheduleNotFound: There is no schedule with that id.
            InvalidSchedule: `schedule_id` is not a valid schedule id. Nothing was sent.
            QueueFull: The backlog of the user or of the queue is full. Nothing was stored.
        """
        info = await self._link.run(read_schedule(self._link.keys, schedule_id))
        task = with_fields(info.schedule.task, task_id=new_task_id(), created_at=clock.now_ms())
        (pushed,) = await self._link.push(one_batch(self._link.settings, (task,)))
        return AsyncTaskHandle(self._link, pushed.task_id, known=True)

    async def pause(self, schedule_id: str) -> bool:
        """Stop firing a schedule, and return whether it was active. Tasks that it already enqueued are kept.

        Runs that were due but not yet fired are counted as missed.

        Raises:
            ScheduleNotFound: There is no schedule with that id.
            InvalidSchedule: `schedule_id` is not a valid schedule id. Nothing was sent.
        """
        return await self._link.work(pause_schedule(self._link.keys, schedule_id))

    async def resume(self, schedule_id: str) -> bool:
        """Resume a schedule with its first run after now, and return whether it was paused.

        Raises:
            ScheduleNotFound: There is no schedule with that id.
            InvalidSchedule: `schedule_id` is not a valid schedule id. Nothing was sent.
        """
        return await self._link.run(enable(self._link.keys, schedule_id, on=True))

    async def delete(self, schedule_id: str) -> bool:
        """Delete a schedule, and return whether it existed. Tasks that it already enqueued are kept.

        Raises:
            InvalidSchedule: `schedule_id` is not a valid schedule id. Nothing was sent.
        """
        return await self._link.run(unschedule(self._link.keys, schedule_id))

    async def apply(self, schedules: Iterable[Schedule], *, prune: bool = False, dry_run: bool = False) -> Plan:
        """Make the declared schedules of the queue match these, and return what changed.

        Missing schedules are added and different ones are changed. Schedules that were declared before and no longer
        are, are listed in the result and kept, unless ``prune`` is set; those created with `add` are left unchanged.
        Applying the same schedules again changes nothing.

        A running `TaskScheduler` maintains them from then on: it applies them again after the server lost data, and is
        not ready while one of them is missing.

        Args:
            schedules: The declared schedules.
            prune: Delete schedules that are no longer declared.
            dry_run: Change nothing.

        Raises:
            InvalidSchedule: With all problems of all schedules. Nothing was stored.
        """
        import_modules(self._modules)
        limit = self._link.settings.queue.message_limit
        declared, plan = await self._link.work(
            apply_declared(
                self._link.keys, schedules, modules=self._modules, message_limit=limit, prune=prune, dry_run=dry_run
            )
        )
        if not dry_run:
            self._on_apply(declared)
        return plan

    async def status(self) -> SchedulerStatus:
        """Return which scheduler leads, how many schedules there are, and how many are overdue."""
        return await self._link.run(read_scheduler(self._link.keys))

    async def _store(self, schedule: Schedule, revision: int | None) -> ScheduleInfo:
        import_modules(self._modules)
        limit = self._link.settings.queue.message_limit
        return await self._link.work(
            store_schedule(self._link.keys, schedule, revision=revision, modules=self._modules, message_limit=limit)
        )
