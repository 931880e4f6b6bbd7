"""All that is wrong with a schedule, said at once: fields, cron expression, time zone, function, and times."""

from collections import Counter
from collections.abc import Sequence

from fairque.protocol.errors import InvalidSchedule, UnknownFunction
from fairque.protocol.model.registry import REGISTRY
from fairque.protocol.model.schedules import Schedule
from fairque.protocol.wire.schedules import schedule_problems
from fairque.scheduler.cron import parse_cron
from fairque.scheduler.times import time_after
from fairque.scheduler.zones import find_zone

__all__ = ["all_problems", "check", "cron_problems", "function_problem", "problems_of_all"]


def check(schedule: Schedule, modules: Sequence[str], *, now_ms: int | None = None) -> None:
    """Refuse a schedule that cannot be carried out.

    Args:
        schedule: It.
        modules: Modules that were imported; where there are any, its function must be in them.
        now_ms: The server's time; if it is given, there must be a time after it.

    Raises:
        InvalidSchedule: With all problems.
    """
    problems = all_problems(schedule, modules)
    if not problems and now_ms is not None and time_after(schedule, now_ms) is None:
        problems.append(f"schedule {schedule.schedule_id!r}: it would never fire: all of its times are past")
    if problems:
        raise InvalidSchedule(problems)


def all_problems(schedule: Schedule, modules: Sequence[str]) -> list[str]:
    """Return all that is wrong with a schedule, a sentence each, which names it."""
    found = cron_problems(schedule.cron, schedule.timezone)
    if unknown := function_problem(schedule.func, modules):
        found.append(unknown)
    return [*schedule_problems(schedule), *(f"schedule {schedule.schedule_id!r:.110}: {problem}" for problem in found)]


def problems_of_all(schedules: Sequence[Schedule], modules: Sequence[str]) -> list[str]:
    """Return all that is wrong with some schedules, also that two have the same id."""
    problems = [problem for one in schedules for problem in all_problems(one, modules)]
    numbers = Counter(one.schedule_id for one in schedules)
    return problems + [f"schedule {name!r:.110}: it is there twice" for name, number in numbers.items() if number > 1]


def cron_problems(cron: object, timezone: object) -> list[str]:
    """Return what is wrong with an expression and a zone; where they are no texts, others say so."""
    if not isinstance(timezone, str):
        return []
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
