"""All that is wrong with a schedule, said at once: fields, cron expression, time zone, function, and times."""

from collections import Counter
from collections.abc import Sequence

from fairque.protocol.errors import InvalidSchedule, UnknownFunction
from fairque.protocol.model.registry import REGISTRY
from fairque.protocol.model.schedule_infos import ScheduleInfo
from fairque.protocol.model.schedule_times import jitter_of, time_after
from fairque.protocol.model.schedules import Schedule, schedule_with
from fairque.protocol.showing import shown
from fairque.protocol.wire.schedules import schedule_problems

__all__ = ["all_problems", "cron_problems", "function_problem", "problems_of_all", "why_never"]


def why_never(schedule: Schedule, now_ms: int, known: ScheduleInfo | None) -> str:
    """Return why a schedule without problems has no run after a moment.

    Args:
        schedule: A schedule without problems.
        now_ms: The moment: the server's time.
        known: What is known of the schedule of its id, if there is one.
    """
    name, jitter = f"schedule {schedule.schedule_id!r}: it would never fire", jitter_of(schedule)
    last = schedule.end_ms if schedule.at_ms is None else schedule.at_ms
    if last is not None and last + jitter <= now_ms:
        if schedule.at_ms is not None and known is not None and known.last_ms == last + jitter:
            return f"{name} again: its run enqueued the task {known.last_task_id!r}. Give it another time"
        return f"{name}: all of its times are past"
    if time_after(schedule_with(schedule, end_ms=None), now_ms) is not None:
        since = "its start" if (schedule.start_ms or 0) > now_ms else "now"
        return f"{name}: none of its times is between {since} and its end"
    from fairque.protocol.cron.wallclock import HORIZON_YEARS  # noqa: PLC0415 - see cron_problems

    left_out = ", and dst_gap='skip' leaves them out" if schedule.dst_gap == "skip" else ""
    return (
        f"{name}: the clocks of {schedule.timezone} show none of its times within the next {HORIZON_YEARS} years: they "
        f"are all in the gaps where clocks are set forward{left_out}"
    )


def all_problems(schedule: Schedule, modules: Sequence[str]) -> list[str]:
    """Return all that is wrong with a schedule, a sentence each, which names it."""
    found = cron_problems(schedule.cron, schedule.timezone)
    if unknown := function_problem(getattr(schedule.task, "func", None), modules):
        found.append(unknown)
    name = f"schedule {shown(schedule.schedule_id, 110)}"
    return [*schedule_problems(schedule), *(f"{name}: {problem}" for problem in found)]


def problems_of_all(schedules: Sequence[Schedule], modules: Sequence[str]) -> list[str]:
    """Return all that is wrong with some schedules, also that two have the same id."""
    problems = [problem for one in schedules for problem in all_problems(one, modules)]
    numbers = Counter(one.schedule_id for one in schedules)
    twice = [name for name, number in numbers.items() if number > 1]
    return problems + [f"schedule {shown(name, 110)}: it is there twice" for name in twice]


def cron_problems(cron: object, timezone: object) -> list[str]:
    """Return what is wrong with an expression and a zone; where they are not texts, others say so."""
    if not isinstance(timezone, str):
        return []
    from fairque.protocol.cron.cron import parse_cron  # noqa: PLC0415 - only who stores schedules pays for it
    from fairque.protocol.cron.zones import find_zone  # noqa: PLC0415 - likewise

    try:
        if isinstance(cron, str):
            parse_cron(cron, timezone)
        else:
            find_zone(timezone)
    except InvalidSchedule as error:
        return list(error.problems)
    return []


def function_problem(func: object, modules: Sequence[str]) -> str | None:
    """Say why no function of that name can be run; None when one can, or nobody knows."""
    if not modules or not isinstance(func, str):
        return None
    try:
        REGISTRY.find(func, modules)
    except UnknownFunction as error:
        meant = f"; did you mean {' or '.join(map(repr, error.close))}?" if error.close else ""
        return f"no task function {func!r} is in {', '.join(modules)}{meant}"
    return None
