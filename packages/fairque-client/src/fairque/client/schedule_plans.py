"""Compares declared schedules with those of a queue, and builds the calls that make the queue match."""

from collections.abc import Iterable, Mapping, Sequence

from attrs import fields, frozen

from fairque.client.schedule_misses import overdue
from fairque.client.steps import Steps
from fairque.protocol.calls.schedules import Scheduled, ScheduleWrite, read_schedules, unschedule
from fairque.protocol.calls.schedules import schedule as schedule_call
from fairque.protocol.errors import BatchTooLarge, ScheduleConflict, ScheduleNotFound
from fairque.protocol.model.schedule_infos import ScheduleInfo, UnreadableSchedule
from fairque.protocol.model.schedule_times import time_after
from fairque.protocol.model.schedules import Schedule
from fairque.protocol.model.states import Priority
from fairque.protocol.model.task import Task
from fairque.protocol.safe_repr import safe_repr
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.schedules import content_digest, timing_digest

__all__ = ["Plan", "apply_schedules", "plan"]

_PAGE = 1_000
_NAMES = tuple(attribute.name for attribute in fields(Schedule) if attribute.name not in ("schedule_id", "task"))
#: The fields of its task that define it.
_TASK_NAMES = tuple(attribute.name for attribute in fields(Task) if attribute.name not in ("task_id", "created_at"))
#: Attempts if other processes change the same schedules, as instances do that start at the same time.
_TRIES = 5


@frozen(kw_only=True)
class Plan:
    """The changes that make the schedules of a queue match the declared ones.

    Attributes:
        storing: Schedules to add or change.
        changes: A sentence about each of these.
        unchanged: How many already match.
        over: Ids of declared schedules that do not exist and have no future run; they are skipped.
        undeclared: Schedules that were declared before and no longer are. They are kept unless they are pruned.
        replaced: Declared schedules whose stored definition this version cannot read. They are deleted first, since
            their stored digest belongs to an earlier definition.
        unreadable: Other schedules that this version cannot read, and so cannot tell whether they were declared; they
            are kept.
    """

    writes: tuple[ScheduleWrite, ...]
    changes: tuple[str, ...]
    unchanged: int
    over: tuple[str, ...]
    undeclared: tuple[ScheduleInfo, ...]
    replaced: tuple[UnreadableSchedule, ...] = ()
    unreadable: tuple[UnreadableSchedule, ...] = ()

    def leftovers(self, fate: str) -> list[str]:
        """Return a sentence for each schedule that does not match its declaration, or is not declared.

        Args:
            fate: What happens to those that are no longer declared.
        """
        return [
            *(f"schedule {name!r}: has no future run, skipped" for name in self.over),
            *(f"schedule {info.schedule_id!r}: is no longer declared, {fate}" for info in self.undeclared),
            *(f"{schedule.problem}; it is not declared, and is kept" for schedule in self.unreadable),
        ]


def plan(
    declared: Iterable[Schedule],
    stored: Mapping[str, ScheduleInfo],
    now_ms: int,
    unreadable: Iterable[UnreadableSchedule] = (),
) -> Plan:
    """Compare the declared schedules with the stored ones.

    Args:
        declared: Valid schedules.
        stored: All stored schedules that this version can read, by id.
        now_ms: The server's time.
        unreadable: Stored schedules that it cannot read. Declared ones are stored again.
    """
    damaged = {schedule.schedule_id: schedule for schedule in unreadable}
    writes, changes, over, replaced, unchanged, names = [], [], [], [], 0, set()
    for schedule in declared:
        name = schedule.schedule_id
        names.add(name)
        known, next_at = stored.get(name), time_after(schedule, now_ms)
        if (lost := damaged.pop(name, None)) is not None:
            replaced.append(lost)
            writes.append(ScheduleWrite(schedule=schedule, revision=0, next_at=next_at))
            changes.append(f"{lost.problem}: stored again")
        elif known is None and next_at is None:
            over.append(name)
        elif known is not None and _same(schedule, known):
            unchanged += 1
        else:
            revision = 0 if known is None else known.revision
            late = None if known is None or not _other_times(schedule, known) else overdue(known, now_ms)
            writes.append(ScheduleWrite(schedule=schedule, revision=revision, next_at=next_at, overdue=late))
            changes.append(f"schedule {name!r}: {'added' if known is None else _differences(schedule, known)}")
    undeclared = tuple(info for name, info in sorted(stored.items()) if info.schedule.declared and name not in names)
    return Plan(
        writes=tuple(writes),
        changes=tuple(changes),
        unchanged=unchanged,
        over=tuple(over),
        undeclared=undeclared,
        replaced=tuple(replaced),
        unreadable=tuple(damaged.values()),
    )


def apply_schedules(
    keys: QueueKeys,
    declared: Iterable[Schedule],
    *,
    message_limit: int,
    prune: bool = False,
    dry_run: bool = False,
) -> Steps[Plan]:
    """Make the schedules of a queue match the declared ones, and return the plan. Repeating it changes nothing.

    Args:
        keys: The queue.
        declared: Valid schedules.
        message_limit: Bytes of the largest message of a task.
        prune: Delete those that are no longer declared.
        dry_run: Change nothing.

    Raises:
        ScheduleConflict: Other processes changed the same schedules during all attempts.
    """
    declared = tuple(declared)
    for remaining_tries in reversed(range(_TRIES)):
        planned = plan(declared, *(yield from _all(keys)))
        # All calls are built before the first is sent, so that an invalid schedule changes nothing.
        calls = _calls(keys, planned.writes, message_limit)
        if dry_run:
            return planned
        try:
            for lost in planned.replaced:
                yield unschedule(keys, lost.schedule_id, revision=lost.revision)
            for call in calls:  # noqa: UP028 - `yield from` a list would not accept answers
                yield call
            if prune:
                for info in planned.undeclared:
                    yield unschedule(keys, info.schedule_id, revision=info.revision)
        except (ScheduleConflict, ScheduleNotFound):
            if not remaining_tries:
                raise
        else:
            return planned
    raise AssertionError("unreachable")


def _calls(keys: QueueKeys, writes: Sequence[ScheduleWrite], message_limit: int) -> list[Call[list[Scheduled]]]:
    """Build as few calls as the limits on schedules and bytes per call allow."""
    if not writes:
        return []
    try:
        return [schedule_call(keys, writes, message_limit=message_limit)]
    except BatchTooLarge:
        if len(writes) == 1:
            raise
        half = len(writes) // 2
        return _calls(keys, writes[:half], message_limit) + _calls(keys, writes[half:], message_limit)


def _all(keys: QueueKeys) -> Steps[tuple[dict[str, ScheduleInfo], int, list[UnreadableSchedule]]]:
    page = yield read_schedules(keys, most=_PAGE)
    stored, now_ms, unreadable = {info.schedule_id: info for info in page}, page.at_ms, [*page.unreadable]
    while page.next is not None:
        page = yield read_schedules(keys, after=page.next, most=_PAGE)
        stored |= {info.schedule_id: info for info in page}
        unreadable += page.unreadable
    return stored, now_ms, unreadable


def _same(schedule: Schedule, known: ScheduleInfo) -> bool:
    return content_digest(schedule) == content_digest(known.schedule) and schedule.paused in (None, known.paused)


def _other_times(schedule: Schedule, known: ScheduleInfo) -> bool:
    return schedule.paused is True or timing_digest(schedule) != timing_digest(known.schedule)


def _differences(schedule: Schedule, known: ScheduleInfo) -> str:
    before, after = _values(known.schedule), _values(schedule)
    if schedule.paused is None:
        del before["paused"]
    return ", ".join(
        f"{name} {_shown(before[name])} -> {_shown(after[name])}" for name in before if before[name] != after[name]
    )


def _values(schedule: Schedule) -> dict[str, object]:
    """Return the values of a schedule and its task, by field."""
    own = {name: getattr(schedule, name) for name in _NAMES}
    task = {name: getattr(schedule.task, name) for name in _TASK_NAMES}
    return {**own, **task, "priority": schedule.task.priority or Priority.NORMAL}


def _shown(value: object) -> str:
    return "none" if value is None else str(value) if isinstance(value, int | float) else safe_repr(value, 60)
