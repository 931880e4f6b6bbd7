"""Operations on schedules, as steps."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from attrs import evolve

from fairque.client.schedule_checks import all_problems, problems_of_all, why_never
from fairque.client.schedule_misses import overdue
from fairque.client.schedule_plans import Plan, apply_schedules
from fairque.client.steps import Steps
from fairque.protocol.calls.schedules import ScheduleWrite, due, enable, read_schedule, read_scheduler, read_some
from fairque.protocol.calls.schedules import schedule as schedule_call
from fairque.protocol.errors import InvalidSchedule, ProtocolError, ScheduleNotFound
from fairque.protocol.model.schedule_infos import ScheduleInfo
from fairque.protocol.model.schedule_times import time_after
from fairque.protocol.model.schedules import Schedule, schedule_with
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.keys import QueueKeys

__all__ = ["apply_declared", "pause_schedule", "read_upcoming", "store_schedule", "with_next"]

T = TypeVar("T")

#: Further ahead than any run: three thousand years in milliseconds.
_ANY_TIME_MS = 10**14
#: Schedules without further runs that are read at most to find those that are due next.
_MAX_OVER = 1_000


def store_schedule(
    keys: QueueKeys, schedule: Schedule, *, revision: int | None, modules: Sequence[str], message_limit: int
) -> Steps[ScheduleInfo]:
    """Add or change a schedule, and return it.

    Args:
        keys: The queue.
        schedule: The schedule.
        revision: The revision it must have now: 0 for a new schedule; None changes an existing one of any revision.
        modules: Modules that must define its function; any module if empty.
        message_limit: Bytes of the largest message of a task.

    Raises:
        InvalidSchedule: With all problems of the schedule, or why it has no future run. Nothing was stored.
    """
    if problems := all_problems(schedule, modules):
        raise InvalidSchedule(problems)
    # Uses the server's time, since the local clock may be wrong.
    status, known = yield [read_scheduler(keys), _read_if_possible(keys, schedule.schedule_id)]
    next_ms = time_after(schedule, status.at_ms)
    if revision == 0 and next_ms is None:
        raise InvalidSchedule([why_never(schedule, status.at_ms, known)])
    late = None if known is None else overdue(known, status.at_ms)
    change = ScheduleWrite(schedule=schedule, revision=revision, next_at=next_ms, overdue=late)
    yield schedule_call(keys, [change], message_limit=message_limit)
    return with_next((yield read_schedule(keys, schedule.schedule_id)))


def pause_schedule(keys: QueueKeys, schedule_id: str) -> Steps[bool]:
    """Pause a schedule, and return whether it was active. Its overdue runs count as missed."""
    status, known = yield [read_scheduler(keys), _read_if_possible(keys, schedule_id)]
    late = None if known is None else overdue(known, status.at_ms)
    paused: bool = yield enable(keys, schedule_id, on=False, overdue=late)
    return paused


def read_upcoming(keys: QueueKeys, limit: int) -> Steps[list[ScheduleInfo]]:
    """Return the schedules that are due next, earliest first."""
    # The index also lists schedules without further runs until they expire.
    ids = [schedule_id for schedule_id, _ in (yield due(keys, ahead_ms=_ANY_TIME_MS, most=limit + _MAX_OVER)).times]
    upcoming: list[ScheduleInfo] = []
    while ids and len(upcoming) < limit:
        infos, processed = yield from _read_readable(keys, ids[:limit])
        upcoming += (info for info in map(with_next, infos) if info.next_ms is not None)
        ids = ids[processed:]
    return sorted(upcoming, key=lambda info: info.next_ms or 0)[:limit]


def apply_declared(
    keys: QueueKeys,
    schedules: Iterable[Schedule],
    *,
    modules: Sequence[str],
    message_limit: int,
    prune: bool,
    dry_run: bool,
) -> Steps[tuple[list[Schedule], Plan]]:
    """Check schedules and apply them as declared schedules; return these and the plan that was applied.

    Raises:
        InvalidSchedule: With all problems of all schedules. Nothing was stored.
    """
    declared = [schedule_with(schedule, declared=True) for schedule in schedules]
    if problems := problems_of_all(declared, modules):
        raise InvalidSchedule(problems)
    plan = yield from apply_schedules(keys, declared, message_limit=message_limit, prune=prune, dry_run=dry_run)
    return declared, plan


def with_next(info: ScheduleInfo) -> ScheduleInfo:
    """Return a schedule with its next run, computed here if the leader has not done so and this version can."""
    if info.next_ms is None and info.from_ms is not None and not info.paused:
        with suppress(InvalidSchedule):
            return evolve(info, next_ms=time_after(info.schedule, info.from_ms))
    return info


def _read_if_possible(keys: QueueKeys, schedule_id: str) -> Call[ScheduleInfo | None]:
    """Build the call that reads a schedule; None if it does not exist or this version cannot read it."""
    return _or_none(read_schedule(keys, schedule_id))


def _read_readable(keys: QueueKeys, schedule_ids: list[str]) -> Steps[tuple[list[ScheduleInfo], int]]:
    """Return those schedules that this version can read, and how many of the ids were processed."""
    answer: tuple[list[ScheduleInfo], int] | None = yield _or_none(read_some(keys, schedule_ids))
    if answer is not None:
        return answer
    answers = yield [_or_none(read_some(keys, [schedule_id])) for schedule_id in schedule_ids]
    return [info for answer in answers if answer is not None for info in answer[0]], len(schedule_ids)


def _or_none(call: Call[T]) -> Call[T | None]:
    return Call(call.script, call.keys, call.args, partial(_decode_or_none, call))


def _decode_or_none(call: Call[T], reply: Any) -> T | None:
    with suppress(ScheduleNotFound, ProtocolError):
        return call.decode(reply)
    return None
