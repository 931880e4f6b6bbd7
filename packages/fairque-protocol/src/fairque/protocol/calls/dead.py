"""read_dead, redrive and delete: read, retry and delete the dead letters of a queue."""

import re
from collections.abc import Sequence
from typing import Any

from attrs import frozen

from fairque.protocol.durations import from_epoch_ms
from fairque.protocol.errors import ErrorInfo, FairqueError, InvalidArgument
from fairque.protocol.jsonvalue import loads
from fairque.protocol.model.dead_letters import DeadLetter, dead_reason
from fairque.protocol.model.page import Page
from fairque.protocol.model.states import TaskState
from fairque.protocol.safe_repr import safe_repr
from fairque.protocol.wire.call import Call, checked, text
from fairque.protocol.wire.codec import decode_task
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.status import Status

__all__ = ["MAX_DEAD", "Redriven", "delete", "read_dead", "redrive"]

#: Most dead letters per call.
MAX_DEAD = 1_000


@frozen
class Redriven:
    """The result of a redrive for one task.

    Attributes:
        code: OK, ALREADY if it is not a dead letter, NOT_FOUND, FULL, or BUSY if the call must be repeated.
        state: Its state; None if it is unknown.
        pause_ms: For FULL: after how many milliseconds to try again.
    """

    code: Status
    state: TaskState | None
    pause_ms: int


def read_dead(keys: QueueKeys, *, after: str | None = None, most: int = 100) -> Call[Page[DeadLetter]]:
    """Build the call that reads a page of 1 to 1,000 dead letters, ordered by when they ended.

    A page has fewer than ``most`` if they exceed 4 MiB; ``next`` says whether more follow.

    Raises:
        InvalidArgument: ``after`` is not the ``next`` of a page; nothing was sent.
    """
    if after is not None and re.fullmatch(r"=?\d{1,15}:.{0,128}", after) is None:
        raise InvalidArgument([f"after must be the next of a page of dead letters, or None, not {safe_repr(after)}"])
    ended_at, _, task_id = (after or "0:").partition(":")

    def decode(reply: list[Any]) -> Page[DeadLetter]:
        answers = checked(keys, reply)
        places = iter(answers[3:])
        letters = tuple(_letter(letter) for letter in zip(*[places] * 10, strict=True))
        # By the queue's own clock, since the server's may be set back between two pages.
        following = f"={text(answers[2])}:{letters[-1].task_id}" if letters and answers[2] else None
        return Page(items=letters, next=following, scanned=len(letters), read_at=from_epoch_ms(int(answers[1])))

    return Call("read_dead", keys, (ended_at, task_id, most), decode)


def redrive(keys: QueueKeys, task_ids: Sequence[str], *, result_ttl_ms: int) -> Call[list[Redriven]]:
    """Build the call that makes 1 to 1,000 dead letters runnable again; it answers for each, in order.

    Args:
        keys: The queue.
        task_ids: The tasks.
        result_ttl_ms: How long to keep dependents that are still to be canceled because of them.
    """

    def decode(reply: list[Any]) -> list[Redriven]:
        answers = checked(keys, reply)
        places = iter(answers[2:])
        return [
            Redriven(Status(code), TaskState(text(state)) if state else None, int(answers[1]))
            for code, state in zip(places, places, strict=True)
        ]

    return Call("redrive", keys, (result_ttl_ms, *task_ids), decode)


def delete(keys: QueueKeys, task_ids: Sequence[str], *, result_ttl_ms: int) -> Call[list[Status]]:
    """Build the call that deletes 1 to 1,000 dead letters; OK, ALREADY (not a dead letter), NOT_FOUND or BUSY each."""
    return Call(
        "delete",
        keys,
        (result_ttl_ms, *task_ids),
        lambda reply: [Status(code) for code in checked(keys, reply)[1:]],
    )


def _letter(places: Sequence[Any]) -> DeadLetter:
    task_id, ended_at, pushed_at, user_id, attempts, failures, lost, worker, blob, message = places
    error = _error_fields(blob)
    try:
        task = decode_task(message)
    except FairqueError:
        task = None
    return DeadLetter(
        task_id=text(task_id),
        user_id=text(user_id),
        func=None if task is None else task.func,
        task=task,
        reason=dead_reason(error.get("reason", "")),
        error=ErrorInfo(error.get("type", ""), error.get("error", ""), error.get("traceback", "")),
        worker=text(worker) or None,
        attempts=attempts,
        failures=failures,
        lost_workers=lost,
        pushed_at=from_epoch_ms(int(pushed_at)),
        ended_at=from_epoch_ms(int(ended_at)),
    )


def _error_fields(blob: bytes) -> dict[str, str]:
    """Return the stored fields of the last error. A third-party worker may have stored anything."""
    try:
        value = loads(blob)
    except ValueError:
        return {"error": blob.decode(errors="replace")}
    return {name: str(part) for name, part in value.items()} if isinstance(value, dict) else {"error": str(value)}
