"""Reads a cron expression: checks it with clear messages, then croniter expands it into wall-clock times."""

from collections.abc import Sequence
from functools import lru_cache

from fairque.protocol.cron.fields import FIVE_FIELDS, SIX_FIELDS
from fairque.protocol.cron.wallclock import WallClock
from fairque.protocol.errors import InvalidSchedule
from fairque.protocol.locks import import_lock

__all__ = ["read_expression"]

_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_LONGEST = 1_000  # characters; an expression that lists all numbers of each field has half of that
_NEW_CENTURY = 946_684_800  # an arbitrary start to check whether an expression ever fires


@lru_cache(maxsize=4096)
def read_expression(expression: str) -> WallClock:
    """Return the wall-clock times that match an expression.

    Raises:
        InvalidSchedule: It is invalid; the error has all problems, with the field and its position.
    """
    if len(expression) > _LONGEST:
        raise InvalidSchedule([f"the cron expression has {len(expression):,} characters, allowed are {_LONGEST:,}"])
    texts = _ALIASES.get(expression.strip().lower(), expression).lower().split()
    problems = _problems(texts)
    if not problems:
        with import_lock:
            from croniter import CroniterError  # noqa: PLC0415 - needed only for cron expressions

        try:
            clock = _expand(texts)
        except CroniterError as error:
            problems.append(str(error))
        else:
            if clock.after(_NEW_CENTURY) is not None:
                return clock
            problems.append(_never(texts))
    raise InvalidSchedule([f"cron expression {expression!r}: {problem}" for problem in problems])


def _problems(texts: Sequence[str]) -> list[str]:
    """Return the problems of the individual fields."""
    if len(texts) == 1 and texts[0].startswith("@"):
        return [f"{texts[0]!r} is unknown (known: {', '.join(_ALIASES)})"]
    if len(texts) not in (len(FIVE_FIELDS), len(SIX_FIELDS)):
        problem = "it needs minute, hour, day of month, month and day of week, or a second before these"
        year = "; there is no year, but a schedule may have a start and an end" if len(texts) > len(SIX_FIELDS) else ""
        return [f"it has {len(texts)} fields: {problem}{year}"]
    fields = FIVE_FIELDS if len(texts) == len(FIVE_FIELDS) else SIX_FIELDS
    return [
        f"field {position} ({known.name}) {problem}"
        for position, (known, text) in enumerate(zip(fields, texts, strict=True), 1)
        for problem in known.problems(text)
    ]


def _never(texts: Sequence[str]) -> str:
    """Return the problem that no day matches the last three fields."""
    first = len(texts) - 2
    day, month, weekday = texts[-3:]
    return (
        f"it never fires: no existing day matches field {first} (day of month) {day!r}, "
        f"field {first + 1} (month) {month!r} and field {first + 2} (day of week) {weekday!r}"
    )


def _expand(texts: Sequence[str]) -> WallClock:
    """Expand the fields into numbers.

    Raises:
        CroniterError: croniter does not accept the expression.
    """
    with import_lock:
        from croniter import croniter  # noqa: PLC0415 - see above

    expanded, nth = croniter.expand(" ".join(texts), second_at_beginning=True)
    if len(expanded) == len(FIVE_FIELDS):
        expanded.append([0])
    numbers = [
        known.numbers if "*" in given else sorted(number for number in given if isinstance(number, int))
        for known, given in zip([*FIVE_FIELDS, SIX_FIELDS[0]], expanded, strict=True)
    ]
    minutes, hours, days, months, weekdays, seconds = numbers
    any_day = ("*", "?")
    return WallClock(
        seconds=tuple(seconds),
        minutes=tuple(minutes),
        hours=tuple(hours),
        days=frozenset(days),
        month_end="l" in expanded[2],
        months=frozenset(months),
        weekdays=frozenset(weekdays).difference(nth),
        nth_weekdays=frozenset((weekday, which) for weekday, all_of_it in nth.items() for which in all_of_it),
        both=texts[-3].startswith(any_day) or texts[-1].startswith(any_day),
        every_hour=texts[-4].startswith("*"),
    )
