"""The problems of the times of a schedule; those of its task are found where it is encoded."""

from collections.abc import Iterator
from typing import Any

from fairque.protocol.durations import LONGEST_MS
from fairque.protocol.safe_repr import safe_repr

__all__ = ["time_problems"]

#: A time in a task's id has 15 digits at most.
_LATEST = 10**15 - 1
_DAY_MS = 86_400_000
#: The ranges of numbers, and their names in seconds.
_NUMBERS: dict[str, tuple[str, int, int]] = {
    "every_ms": ("every", 100, 3_660 * _DAY_MS),
    "jitter_ms": ("jitter", 0, _DAY_MS),
    "misfire_grace_ms": ("misfire_grace", 0, 366 * _DAY_MS),
    "misfire_limit": ("", 1, 1_000),
}


def time_problems(schedule: Any) -> list[str]:
    """Return the problems of when a schedule fires, except those that need knowledge of cron and time zones."""
    return [*_times(schedule), *_numbers(schedule)]


# Nothing was checked before, so a field may have any value.
def _times(schedule: Any) -> Iterator[str]:
    given = [name for name in ("cron", "every_ms", "at_ms") if getattr(schedule, name) is not None]
    if len(given) != 1:
        found = " and ".join(name.removesuffix("_ms") for name in given) or "none of them"
        yield f"give one of cron, every and at, to say when; found {found}"
    if schedule.cron is not None and not isinstance(schedule.cron, str):
        yield f"cron must be a string such as '0 3 * * *', not {safe_repr(schedule.cron)}"
    if not isinstance(schedule.timezone, str):
        yield f"timezone must be a name such as 'Europe/Berlin', not {safe_repr(schedule.timezone)}"
    moments = {name: getattr(schedule, f"{name}_ms") for name in ("at", "start", "end")}
    for name, value in moments.items():
        if value is not None and (type(value) is not int or not 0 <= value <= _LATEST):
            yield f"{name} must be a datetime with a time zone, not {safe_repr(value)}"
    start, end = moments["start"], moments["end"]
    if type(start) is int and type(end) is int and end < start:
        yield f"end is before start, by {(start - end) / 1000:g} s: it could never fire"
    for name, limit in (("start", start), ("end", end)):
        if type(moments["at"]) is int and type(limit) is int and (limit > moments["at"]) is (name == "start"):
            yield f"at is {'before' if name == 'start' else 'after'} {name}: it could never fire"


def _numbers(schedule: Any) -> Iterator[str]:
    for name, (public_name, least, most) in _NUMBERS.items():
        value = getattr(schedule, name)
        if name == "every_ms" and value is None:
            continue
        if type(value) is int and least <= value <= most:
            continue
        if public_name:
            found = f"{value / 1000:g}" if type(value) is int and abs(value) < LONGEST_MS else safe_repr(value)
            whole = ", of whole milliseconds" if name == "every_ms" else ""
            limits = f"from {least / 1000:g} to {most // 1000:,}{whole}"
            yield f"{public_name} must be a number of seconds {limits}, not {found}"
        else:
            yield f"{name} must be a whole number from {least:,} to {most:,}, not {safe_repr(value)}"
