"""Counts the runs of a schedule that are missed when it is paused or its times change."""

from fairque.protocol.calls.schedules import Overdue
from fairque.protocol.errors import InvalidSchedule
from fairque.protocol.model.schedule_infos import ScheduleInfo
from fairque.protocol.model.schedule_times import jitter_of, time_after

__all__ = ["MAX_COUNTED", "overdue"]

#: Most runs of a cron expression that are counted.
MAX_COUNTED = 10_000


def overdue(info: ScheduleInfo, now: int) -> Overdue | None:
    """Count the runs of a schedule that are due and were not fired; None if there are none.

    Also None if this version cannot compute the times, so that such a schedule can still be paused or changed. For a
    cron expression, at most the first `MAX_COUNTED` runs are counted.

    Args:
        info: The schedule.
        now: The server's time, in milliseconds.
    """
    try:
        return _overdue(info, now)
    except InvalidSchedule:
        return None


def _overdue(info: ScheduleInfo, now: int) -> Overdue | None:
    schedule, first = info.schedule, info.next_ms
    if first is None and info.from_ms is not None:
        first = time_after(schedule, info.from_ms)
    if info.paused or first is None or first > now:
        return None
    count, last, time = 1, first, time_after(schedule, first)
    if schedule.every_ms is not None and time is not None:
        end = now if schedule.end_ms is None else min(now, schedule.end_ms + jitter_of(schedule))
        more = max(0, (end - time) // schedule.every_ms + 1)
        return Overdue(1 + more, first, time + (more - 1) * schedule.every_ms if more else first)
    while time is not None and time <= now and count < MAX_COUNTED:
        count, last, time = count + 1, time, time_after(schedule, time)
    return Overdue(count, first, last)
