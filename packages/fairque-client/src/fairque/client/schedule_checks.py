"""Checks a schedule and reports all problems at once: fields, cron expression, time zone, function and times."""

from collections import Counter
from collections.abc import Sequence

from fairque.protocol.errors import InvalidSchedule, UnknownFunction
from fairque.protocol.locks import import_lock
from fairque.protocol.model.registry import REGISTRY
from fairque.protocol.model.schedule_infos import ScheduleInfo
from fairque.protocol.model.schedule_times import jitter_of, time_after
from fairque.protocol.model.schedules import Schedule, schedule_with
from fairque.protocol.safe_repr import safe_repr
from fairque.protocol.wire.schedules import schedule_problems

__all__ = ["all_problems", "cron_problems", "function_problem", "problems_of_all", "why_never"]


def why_never(schedule: Schedule, now_ms: int, known: ScheduleInfo | None) -> str:
    """Return why a valid schedule has no future run.

    Args:
        schedule: A schedule without other problems.
        now_ms: The server's time.
        known: The stored schedule with its id, if there is one.
    """
    name, jitter = f"schedule {schedule.schedule_id!r}: it would never fire", jitter_of(schedule)
    last = schedule.end_ms if schedule.at_ms is None else schedule.at_ms
    if last is not None and last + jitter <= now_ms:
        if schedule.at_ms is not None and known is not None and known.last_ms == last + jitter:
            return f"{name} again: its run enqueued the task {known.last_task_id!r}. Give it another time"
        return f"{name}: all of its runs are in the past"
    if time_after(schedule_with(schedule, end_ms=None), now_ms) is not None:
        since = "its start" if (schedule.start_ms or 0) > now_ms else "now"
        return f"{name}: none of its runs is between {since} and its end"
    with import_lock:
        from fairque.protocol.cron.wallclock import HORIZON_YEARS  # noqa: PLC0415 - see cron_problems

    skipped = ", and dst_gap='skip' skips them" if schedule.dst_gap == "skip" else ""
    return (
        f"{name}: the clocks of {schedule.timezone} show none of its times within the next {HORIZON_YEARS} years: they "
        f"are all in the gaps where clocks are set forward{skipped}"
    )


def all_problems(schedule: Schedule, modules: Sequence[str]) -> list[str]:
    """Return all problems of a schedule, a sentence each, with its id."""
    problems = cron_problems(schedule.cron, schedule.timezone)
    if unknown := function_problem(getattr(schedule.task, "func", None), modules):
        problems.append(unknown)
    name = f"schedule {safe_repr(schedule.schedule_id, 110)}"
    return [*schedule_problems(schedule), *(f"{name}: {problem}" for problem in problems)]


def problems_of_all(schedules: Sequence[Schedule], modules: Sequence[str]) -> list[str]:
    """Return all problems of several schedules, including duplicate ids."""
    problems = [problem for schedule in schedules for problem in all_problems(schedule, modules)]
    counts = Counter(schedule.schedule_id for schedule in schedules)
    duplicates = [schedule_id for schedule_id, count in counts.items() if count > 1]
    return problems + [f"schedule {safe_repr(name, 110)}: it is there twice" for name in duplicates]


def cron_problems(cron: object, timezone: object) -> list[str]:
    """Return the problems of a cron expression and a time zone; other checks report values that are not strings."""
    if not isinstance(timezone, str):
        return []
    with import_lock:
        from fairque.protocol.cron.cron import parse_cron  # noqa: PLC0415 - needed only to store schedules
        from fairque.protocol.cron.zones import find_zone  # noqa: PLC0415 - needed only to store schedules

    try:
        if isinstance(cron, str):
            parse_cron(cron, timezone)
        else:
            find_zone(timezone)
    except InvalidSchedule as error:
        return list(error.problems)
    return []


def function_problem(func: object, modules: Sequence[str]) -> str | None:
    """Return why no function of that name can be run; None if one can, or if there are no modules to check."""
    if not modules or not isinstance(func, str):
        return None
    try:
        REGISTRY.find(func, modules)
    except UnknownFunction as error:
        hint = f"; did you mean {' or '.join(map(repr, error.close))}?" if error.close else ""
        return f"no task function {func!r} is in {', '.join(modules)}{hint}"
    return None
