"""Computes the runs of a schedule: cron, an interval or a single time, between start and end, plus its jitter."""

import functools
from hashlib import blake2b
from typing import TYPE_CHECKING

from fairque.protocol.locks import import_lock

if TYPE_CHECKING:
    from fairque.protocol.cron.cron import Cron
    from fairque.protocol.model.schedules import Schedule

__all__ = ["jitter_of", "time_after"]

#: Parsed expressions that are cached.
_PARSED = 4_096


@functools.lru_cache(_PARSED)
def _cron(expression: str, timezone: str, dst_gap: str) -> "Cron":
    with import_lock:
        from fairque.protocol.cron.cron import parse_cron  # noqa: PLC0415 - needed only for cron schedules

    return parse_cron(expression, timezone, dst_gap=dst_gap)


def jitter_of(schedule: "Schedule") -> int:
    """Return the delay of all runs of a schedule in milliseconds, which is derived from its id and so constant."""
    if not schedule.jitter_ms:
        return 0
    digest = blake2b(schedule.schedule_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest) % (schedule.jitter_ms + 1)


def time_after(schedule: "Schedule", moment: int) -> int | None:
    """Return the first run of a schedule strictly after a time, or None if there is none.

    Args:
        schedule: A valid schedule.
        moment: Milliseconds since the epoch.

    Returns:
        Milliseconds since the epoch, including the jitter.

    Raises:
        InvalidSchedule: This machine or version does not know the time zone or the expression.
    """
    jitter = jitter_of(schedule)
    after = moment - jitter
    if schedule.start_ms is not None:
        after = max(after, schedule.start_ms - 1)
    time = _plain_after(schedule, after)
    if time is None or (schedule.end_ms is not None and time > schedule.end_ms):
        return None
    return time + jitter


def _plain_after(schedule: "Schedule", after: int) -> int | None:
    if schedule.at_ms is not None:
        return schedule.at_ms if schedule.at_ms > after else None
    if schedule.every_ms is not None:
        first = schedule.start_ms or 0
        return first + max(0, (after - first) // schedule.every_ms + 1) * schedule.every_ms
    return _cron(schedule.cron or "", schedule.timezone, schedule.dst_gap).after(after)
