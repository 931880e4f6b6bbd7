"""The definition of a schedule as JSON, what is wrong with one, and the digest of what its times depend on."""

from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from typing import Any, get_args

from attrs import asdict, fields_dict

from fairque.protocol.durations import LONGEST_MS
from fairque.protocol.errors import InvalidTask, ProtocolError
from fairque.protocol.jsonvalue import canonical, check_json, dumps, loads
from fairque.protocol.limits import id_problem
from fairque.protocol.model.retry import Backoff
from fairque.protocol.model.schedules import DstGap, Misfire, Overlap, Schedule, task_of
from fairque.protocol.model.states import Priority
from fairque.protocol.showing import shown
from fairque.protocol.wire.codec import decode_backoff, encode_backoff, encode_task

__all__ = [
    "MAX_SCHEDULE_ID_BYTES",
    "content_digest",
    "decode_schedule",
    "encode_schedule",
    "schedule_problems",
    "timing_digest",
]

#: The id of a task, 128 bytes, holds it and a time.
MAX_SCHEDULE_ID_BYTES = 100

_VERSION = 1
_DEFAULTS = {name: one.default for name, one in fields_dict(Schedule).items() if name not in ("schedule_id", "enabled")}
_TIMING = ("cron", "every_ms", "at", "timezone", "dst_gap", "start", "end", "jitter_ms")
#: A time in a task's id has 15 digits at most.
_LATEST = 10**15 - 1
_DAY_MS = 86_400_000
#: Least and greatest value of numbers, and how they are called in seconds.
_NUMBERS: dict[str, tuple[str, int, int]] = {
    "every_ms": ("every", 100, 3_660 * _DAY_MS),
    "timeout_ms": ("timeout", 1, 9_007_199_254_740),
    "jitter_ms": ("jitter", 0, _DAY_MS),
    "grace_ms": ("grace", 0, 366 * _DAY_MS),
    "retries": ("", 0, 1_000),
    "misfire_limit": ("", 1, 1_000),
}
_CHOICES: dict[str, tuple[str, ...]] = {
    "misfire": get_args(Misfire),
    "overlap": get_args(Overlap),
    "dst_gap": get_args(DstGap),
}


def encode_schedule(schedule: Schedule) -> bytes:
    """Encode a schedule without problems, with keys as they were passed. Whether it fires is not part of it."""
    fields: dict[str, Any] = {"v": _VERSION, "id": schedule.schedule_id}
    for name, default in _DEFAULTS.items():
        value = getattr(schedule, name)
        if value != default:
            fields[name] = encode_backoff(value) if isinstance(value, Backoff) else value
    return dumps(fields)


def content_digest(schedule: Schedule) -> str:
    """Return what tells whether two definitions are equal, in whatever order their keys stand."""
    return blake2b(dumps(canonical(loads(encode_schedule(schedule)))), digest_size=8).hexdigest()


def decode_schedule(data: bytes, *, enabled: bool | None = None) -> Schedule:
    """Decode a definition; fields that this version does not know are ignored.

    Raises:
        ProtocolError: It is not a definition of this or an older version.
    """
    try:
        fields = loads(data)
        version = fields["v"]
        if version > _VERSION:
            raise ProtocolError(
                f"it has version {version}, this fairque-protocol reads up to {_VERSION}: upgrade it here"
            )
        known = {name: fields[name] for name in _DEFAULTS if name in fields}
        if "args" in known:
            known["args"] = tuple(known["args"])
        if "priority" in known:
            known["priority"] = Priority(known["priority"])
        if "retry" in known:
            known["retry"] = decode_backoff(known["retry"])
        return Schedule(schedule_id=fields["id"], enabled=enabled, **known)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ProtocolError(f"its definition cannot be read ({shown(error, 200)}): {data[:200]!r}") from error


def timing_digest(schedule: Schedule) -> str:
    """Return what tells whether two definitions have the same times."""
    return blake2b(dumps([getattr(schedule, name) for name in _TIMING]), digest_size=8).hexdigest()


def schedule_problems(schedule: Schedule) -> list[str]:
    """Return all that is wrong with a schedule, except what only who knows cron, zones and functions can say."""
    name = f"schedule {shown(schedule.schedule_id, 110)}"
    problems = [*_times(schedule), *_numbers(schedule), *_choices(schedule), *_task(schedule)]
    if not problems:
        try:
            encode_task(task_of(schedule, 0))
            dumps(asdict(schedule))
        except (InvalidTask, ValueError) as error:
            problems.append(str(error))
    return [*_id(schedule.schedule_id), *(f"{name}: {problem}" for problem in problems)]


# Nothing was checked before, so a field may hold anything.
def _id(value: object) -> Iterator[str]:
    problem = id_problem(value, "the id of a schedule")
    if problem is not None:
        yield problem
    elif len(str(value).encode()) > MAX_SCHEDULE_ID_BYTES:
        yield f"the id of a schedule {shown(value, 110)} has more than {MAX_SCHEDULE_ID_BYTES} bytes of UTF-8"


def _times(schedule: Any) -> Iterator[str]:
    given = [name for name in ("cron", "every_ms", "at") if getattr(schedule, name) is not None]
    if len(given) != 1:
        found = " and ".join(name.removesuffix("_ms") for name in given) or "none of them"
        yield f"give one of cron, every and at, to say when; found {found}"
    if schedule.cron is not None and not isinstance(schedule.cron, str):
        yield f"cron must be a text such as '0 3 * * *', not {shown(schedule.cron)}"
    if not isinstance(schedule.timezone, str):
        yield f"timezone must be a name such as 'Europe/Berlin', not {shown(schedule.timezone)}"
    moments = {name: getattr(schedule, name) for name in ("at", "start", "end")}
    for name, value in moments.items():
        if value is not None and (type(value) is not int or not 0 <= value <= _LATEST):
            yield f"{name} must be a moment with its time zone, not {shown(value)}"
    start, end = moments["start"], moments["end"]
    if type(start) is int and type(end) is int and end < start:
        yield f"end is before start, by {(start - end) / 1000:g} s: it could never fire"
    for name, limit in (("start", start), ("end", end)):
        if type(moments["at"]) is int and type(limit) is int and (limit > moments["at"]) is (name == "start"):
            yield f"at is {'before' if name == 'start' else 'after'} {name}: it could never fire"


def _numbers(schedule: Any) -> Iterator[str]:
    for name, (in_seconds, least, most) in _NUMBERS.items():
        value = getattr(schedule, name)
        if name == "every_ms" and value is None:
            continue
        if type(value) is int and least <= value <= most:
            continue
        if in_seconds:
            found = f"{value / 1000:g}" if type(value) is int and abs(value) < LONGEST_MS else shown(value)
            whole = ", of whole milliseconds" if name == "every_ms" else ""
            limits = f"from {least / 1000:g} to {most // 1000:,}{whole}"
            yield f"{in_seconds} must be a number of seconds {limits}, not {found}"
        else:
            yield f"{name} must be a whole number from {least:,} to {most:,}, not {shown(value)}"
    cost = schedule.cost
    if cost is not None and not (type(cost) in (int, float) and 0 <= cost <= _DAY_MS):
        yield f"cost must be a number of seconds from 0, not {shown(cost)}"


def _choices(schedule: Any) -> Iterator[str]:
    for name, choices in _CHOICES.items():
        value = getattr(schedule, name)
        if value not in choices:
            yield f"{name} must be one of {', '.join(choices)}, not {shown(value)}"
    if schedule.enabled not in (None, True, False):
        yield f"enabled must be True, False or None, not {shown(schedule.enabled)}"


def _task(schedule: Any) -> Iterator[str]:
    if schedule.user_id is None:
        yield "user_id is missing: whose share of the workers do its tasks use?"
    for name in ("user_id", "func"):
        value = getattr(schedule, name)
        if value is not None and (problem := id_problem(value, name)):
            yield problem
    if Priority.known(schedule.priority) is None:
        names = ", ".join(f"{p.name} {p.value}" for p in Priority)
        yield f"priority {shown(schedule.priority)} is unknown: choose one of {names}"
    if schedule.retry is not None and not isinstance(schedule.retry, Backoff):
        yield f"retry must be a Backoff, not {shown(schedule.retry)}"
    if not isinstance(schedule.args, list | tuple):
        yield f"args must be a list or tuple of arguments, not {shown(schedule.args)}: put it into a list"
    if not isinstance(schedule.kwargs, Mapping):
        yield f"kwargs must be a mapping of names to arguments, not {shown(schedule.kwargs)}"
    yield from _json(schedule)


def _json(schedule: Any) -> Iterator[str]:
    for name, kind in (("args", list | tuple), ("kwargs", Mapping), ("payload", object)):
        value = getattr(schedule, name)
        if isinstance(value, kind):
            yield from _refused(check_json, value, name)


def _refused(check: Callable[[Any, str], None], value: Any, name: str) -> Iterator[str]:
    try:
        check(value, name)
    except InvalidTask as error:
        yield str(error)
