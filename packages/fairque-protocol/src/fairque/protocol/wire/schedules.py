"""The definition of a schedule as JSON, its problems, and the digest of the fields that determine its runs."""

from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Any, get_args

from attrs import fields

from fairque.protocol.errors import InvalidTask, ProtocolError
from fairque.protocol.jsonvalue import canonical, check_json, dumps, loads
from fairque.protocol.limits import id_problem
from fairque.protocol.model.ids import ANY_TASK_ID, is_generated_id
from fairque.protocol.model.outputs import extract_outputs
from fairque.protocol.model.retry import Backoff
from fairque.protocol.model.schedule_checks import time_problems
from fairque.protocol.model.schedules import DstGap, Misfire, Overlap, Schedule, schedule_from_fields, task_of
from fairque.protocol.model.states import Priority
from fairque.protocol.model.task import Task, from_fields
from fairque.protocol.safe_repr import safe_repr
from fairque.protocol.wire.codec import decode_backoff, encode_backoff, encode_task

__all__ = [
    "MAX_SCHEDULE_ID_BYTES",
    "content_digest",
    "decode_schedule",
    "encode_schedule",
    "id_problems",
    "schedule_problems",
    "timing_digest",
]

#: The id of a task, 128 bytes, contains it and the time of a run.
MAX_SCHEDULE_ID_BYTES = 100

_VERSION = 1
#: What the wire calls the fields of a schedule, and those of its task.
_FIELDS = {
    **{name: name for name in ("cron", "every_ms", "timezone", "dst_gap", "jitter_ms", "misfire", "misfire_limit")},
    "at": "at_ms",
    "start": "start_ms",
    "end": "end_ms",
    "grace_ms": "misfire_grace_ms",
    **{name: name for name in ("overlap", "declared")},
}
_TASK_FIELDS = {
    **{name: name for name in ("func", "args", "kwargs", "payload", "user_id", "priority", "retries")},
    "retry": "backoff",
    "timeout_ms": "timeout_ms",
    "cost": "cost",
    "isolation": "isolation",
}
_DEFAULTS = {attribute.name: attribute.default for attribute in fields(Schedule)}
_TASK_DEFAULTS: dict[str, Any] = {
    **{attribute.name: attribute.default for attribute in fields(Task)},
    "kwargs": {},
    "priority": Priority.NORMAL,
}
_TIMING = ("cron", "every_ms", "at_ms", "timezone", "dst_gap", "start_ms", "end_ms", "jitter_ms")
_CHOICES: dict[str, tuple[str, ...]] = {
    "misfire": get_args(Misfire),
    "overlap": get_args(Overlap),
    "dst_gap": get_args(DstGap),
}


def encode_schedule(schedule: Schedule) -> bytes:
    """Encode a valid schedule, with keys in the order in which they were passed, but without whether it is paused."""
    stored: dict[str, Any] = {"v": _VERSION, "id": schedule.schedule_id}
    for source, names, defaults in ((schedule, _FIELDS, _DEFAULTS), (schedule.task, _TASK_FIELDS, _TASK_DEFAULTS)):
        for wire, name in names.items():
            value = getattr(source, name)
            if value is not None and value != defaults[name]:
                stored[wire] = encode_backoff(value) if isinstance(value, Backoff) else value
    return dumps(stored)


def content_digest(schedule: Schedule) -> str:
    """Return a digest that is the same for equal definitions, whatever the order of their keys."""
    return blake2b(dumps(canonical(loads(encode_schedule(schedule)))), digest_size=8).hexdigest()


def decode_schedule(data: bytes, *, paused: bool | None = None) -> Schedule:
    """Decode a definition; fields that this version does not know are ignored.

    Raises:
        ProtocolError: It is not a definition of this or an older version.
    """
    try:
        stored = loads(data)
        version = stored["v"]
        if version > _VERSION:
            raise ProtocolError(
                f"it has version {version}, this fairque-protocol reads up to {_VERSION}: upgrade it here"
            )
        task = {name: stored[wire] for wire, name in _TASK_FIELDS.items() if wire in stored}
        if "backoff" in task:
            task["backoff"] = decode_backoff(task["backoff"])
        known = {name: stored[wire] for wire, name in _FIELDS.items() if wire in stored}
        return schedule_from_fields(
            schedule_id=stored["id"],
            task=from_fields(**{"priority": Priority.NORMAL, **task}, task_id=ANY_TASK_ID, created_at=0),
            paused=paused,
            **known,
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ProtocolError(f"its definition cannot be read ({safe_repr(error, 200)}): {data[:200]!r}") from error


def timing_digest(schedule: Schedule) -> str:
    """Return a digest that is the same for definitions with the same runs."""
    return blake2b(dumps([getattr(schedule, name) for name in _TIMING]), digest_size=8).hexdigest()


def schedule_problems(schedule: Schedule) -> list[str]:
    """Return all problems of a schedule, except those that need knowledge of cron, time zones and functions."""
    name = f"schedule {safe_repr(schedule.schedule_id, 110)}"
    problems = [*time_problems(schedule), *_choices(schedule), *_task(schedule)]
    if not problems:
        try:
            encode_task(task_of(schedule, 0))
            encode_schedule(schedule)
        except (InvalidTask, ValueError) as error:
            problems.append(str(error))
    return [*id_problems(schedule.schedule_id), *(f"{name}: {problem}" for problem in problems)]


def id_problems(value: object) -> list[str]:
    """Return the problems of the id of a schedule."""
    problem = id_problem(value, "the id of a schedule")
    if problem is None and len(str(value).encode()) > MAX_SCHEDULE_ID_BYTES:
        problem = f"the id of a schedule {safe_repr(value, 110)} has more than {MAX_SCHEDULE_ID_BYTES} bytes of UTF-8"
    return [] if problem is None else [problem]


def _choices(schedule: Any) -> Iterator[str]:
    for name, choices in _CHOICES.items():
        value = getattr(schedule, name)
        if value not in choices:
            yield f"{name} must be one of {', '.join(choices)}, not {safe_repr(value)}"
    if schedule.paused not in (None, True, False):
        yield f"paused must be True, False or None, not {safe_repr(schedule.paused)}"


def _task(schedule: Any) -> Iterator[str]:
    task = schedule.task
    if not isinstance(task, Task):
        yield f"task must be a task, such as function.task(...), not {safe_repr(task)}"
        return
    if task.user_id is None:
        yield "its task has no user_id: whose share of the workers does it use?"
    if not is_generated_id(task.task_id):
        yield f"its task has the id {safe_repr(task.task_id)}: each run has a separate task with its own id"
    if task.delay_ms or task.execute_at is not None:
        yield "its task has a delay or a time (at): the schedule says when"
    if task.dedup_key is not None:
        key = safe_repr(task.dedup_key)
        yield f"its task has the dedup_key {key}: runs have ids; overlap='skip' keeps one at a time"
    if task.depends_on or extract_outputs(task.args, task.kwargs)[2]:
        yield "its task has dependencies, which a run cannot have: let a task of the schedule push them"
        return
    for name in ("args", "kwargs", "payload"):
        yield from _problems_of(check_json, getattr(task, name), name)


def _problems_of(check: Callable[[Any, str], None], value: Any, name: str) -> Iterator[str]:
    try:
        check(value, name)
    except InvalidTask as error:
        yield str(error)
