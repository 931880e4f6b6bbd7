"""What changes and reads schedules, step by step."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from attrs import evolve

from fairque.client.schedule_checks import all_problems, problems_of_all, why_never
from fairque.client.schedule_misses import overdue
from fairque.client.schedule_plans import Plan, applying
from fairque.client.steps import Steps
from fairque.protocol.calls.schedules import Storing, due, enable, read_schedule, read_scheduler, read_some, schedule
from fairque.protocol.errors import InvalidSchedule, ProtocolError, ScheduleNotFound
from fairque.protocol.model.schedule_infos import ScheduleInfo
from fairque.protocol.model.schedule_times import time_after
from fairque.protocol.model.schedules import Schedule, schedule_with
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.keys import QueueKeys

__all__ = ["declaring", "pausing", "reading_upcoming", "storing", "with_next"]

T = TypeVar("T")

#: Milliseconds, more than three thousand years.
_EVER_MS = 10**14
#: Schedules that are over, beyond which it is not looked for those that are due next.
_OVER = 1_000


def storing(
    keys: QueueKeys, one: Schedule, *, revision: int | None, modules: Sequence[str], message_limit: int
) -> Steps[ScheduleInfo]:
    """Add or change a schedule, and return what is known of it.

    Args:
        keys: The queue.
        one: The schedule.
        revision: What it must have now: 0 for a new one; None changes an existing one, whatever it is.
        modules: Where its function must be; empty: anywhere.
        message_limit: Bytes of the largest message of a task.

    Raises:
        InvalidSchedule: With all that is wrong with it, or why it has no run from now on. Nothing was stored.
    """
    if problems := all_problems(one, modules):
        raise InvalidSchedule(problems)
    # From the server's time, since the clock here may be wrong.
    status, known = yield [read_scheduler(keys), _known(keys, one.schedule_id)]
    next_ms = time_after(one, status.at_ms)
    if revision == 0 and next_ms is None:
        raise InvalidSchedule([why_never(one, status.at_ms, known)])
    late = None if known is None else overdue(known, status.at_ms)
    to_store = Storing(schedule=one, revision=revision, next_at=next_ms, overdue=late)
    yield schedule(keys, [to_store], message_limit=message_limit)
    return with_next((yield read_schedule(keys, one.schedule_id)))


def pausing(keys: QueueKeys, schedule_id: str) -> Steps[bool]:
    """Pause a schedule, and return whether it was not paused. Its runs that are due count as missed."""
    status, known = yield [read_scheduler(keys), _known(keys, schedule_id)]
    late = None if known is None else overdue(known, status.at_ms)
    paused: bool = yield enable(keys, schedule_id, on=False, overdue=late)
    return paused


def reading_upcoming(keys: QueueKeys, limit: int) -> Steps[list[ScheduleInfo]]:
    """Return the schedules that are due next, the earliest first."""
    # Those that are over stand among them until they are forgotten.
    names = [name for name, _ in (yield due(keys, ahead_ms=_EVER_MS, most=limit + _OVER)).times]
    found: list[ScheduleInfo] = []
    while names and len(found) < limit:
        infos, told = yield from _reading_some(keys, names[:limit])
        found += (info for info in map(with_next, infos) if info.next_ms is not None)
        names = names[told:]
    return sorted(found, key=lambda info: info.next_ms or 0)[:limit]


def declaring(
    keys: QueueKeys,
    schedules: Iterable[Schedule],
    *,
    modules: Sequence[str],
    message_limit: int,
    prune: bool,
    dry_run: bool,
) -> Steps[tuple[list[Schedule], Plan]]:
    """Check schedules and apply them as declared ones; return them so, and what was done.

    Raises:
        InvalidSchedule: With all that is wrong with any of them. Nothing was stored.
    """
    declared = [schedule_with(one, declared=True) for one in schedules]
    if problems := problems_of_all(declared, modules):
        raise InvalidSchedule(problems)
    done = yield from applying(keys, declared, message_limit=message_limit, prune=prune, dry_run=dry_run)
    return declared, done


def with_next(info: ScheduleInfo) -> ScheduleInfo:
    """Compute the next run where the leader has not yet, and where that can be done here."""
    if info.next_ms is None and info.from_ms is not None and not info.paused:
        with suppress(InvalidSchedule):
            return evolve(info, next_ms=time_after(info.schedule, info.from_ms))
    return info


def _known(keys: QueueKeys, schedule_id: str) -> Call[ScheduleInfo | None]:
    """Build the call that reads a schedule, if there is one that can be read here."""
    return _or_none(read_schedule(keys, schedule_id))


def _reading_some(keys: QueueKeys, names: list[str]) -> Steps[tuple[list[ScheduleInfo], int]]:
    """Read schedules without those that cannot be read here, and say of how many names it tells."""
    answer: tuple[list[ScheduleInfo], int] | None = yield _or_none(read_some(keys, names))
    if answer is not None:
        return answer
    each = yield [_or_none(read_some(keys, [name])) for name in names]
    return [info for one in each if one is not None for info in one[0]], len(names)


def _or_none(call: Call[T]) -> Call[T | None]:
    return Call(call.script, call.keys, call.args, partial(_decoded, call))


def _decoded(call: Call[T], reply: Any) -> T | None:
    with suppress(ScheduleNotFound, ProtocolError):
        return call.decode(reply)
    return None
