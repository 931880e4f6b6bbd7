"""finish, fail and release: report the endings of attempts, many in a call."""

from collections.abc import Iterator, Sequence
from typing import Any

from attrs import frozen

from fairque.protocol.model.outcome import Verdict
from fairque.protocol.model.states import TaskState
from fairque.protocol.wire.call import Argument, Call, checked, text
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.status import Status

__all__ = ["Ended", "Failed", "Finished", "Released", "ended_in", "fail", "finish", "finished_args", "release"]


@frozen
class Finished:
    """An attempt that returned.

    Attributes:
        task_id: The id of the task.
        token: The proof that the worker holds its lease.
        ran_us: Its run time in microseconds.
        result: Its result as JSON; empty for null.
        xcom: The values that it pushed, see `encode_xcom`; empty for none.
    """

    task_id: str
    token: str
    ran_us: int
    result: bytes
    xcom: bytes = b""


@frozen
class Failed:
    """An attempt that raised an error. ``error`` is the JSON of a dead letter, ``pause_ms`` the retry delay."""

    task_id: str
    token: str
    ran_us: int
    verdict: Verdict
    pause_ms: int
    error: bytes


@frozen
class Released:
    """An attempt that is released without counting as one."""

    task_id: str
    token: str
    ran_us: int


@frozen
class Ended:
    """The answer for a task.

    Attributes:
        code: OK, ALREADY, LOST or NOT_FOUND.
        state: The current state of the task; None if it is unknown.
    """

    code: Status
    state: TaskState | None


def finish(keys: QueueKeys, tasks: Sequence[Finished], *, result_ttl_ms: int) -> Call[list[Ended]]:
    """Build the call that stores results for ``result_ttl_ms``."""
    return Call("finish", keys, (result_ttl_ms, *finished_args(tasks)), lambda reply: ended_in(keys, reply))


def finished_args(tasks: Sequence[Finished]) -> Iterator[Argument]:
    """Yield the arguments of scripts about attempts that returned."""
    for task in tasks:
        yield from (task.task_id, task.token, task.ran_us, task.result, task.xcom)


def fail(keys: QueueKeys, tasks: Sequence[Failed], *, result_ttl_ms: int, dead_ttl_ms: int) -> Call[list[Ended]]:
    """Build the call that stores failures; tasks that fail finally are kept for ``dead_ttl_ms``."""
    args: list[Argument] = [result_ttl_ms, dead_ttl_ms]
    for task in tasks:
        args += (task.task_id, task.token, task.ran_us, task.verdict, task.pause_ms, task.error)
    return Call("fail", keys, tuple(args), lambda reply: ended_in(keys, reply))


def release(keys: QueueKeys, tasks: Sequence[Released], *, result_ttl_ms: int) -> Call[list[Ended]]:
    """Build the call that releases tasks; those with a requested cancelation are canceled instead."""
    args: list[Argument] = [result_ttl_ms]
    for task in tasks:
        args += (task.task_id, task.token, task.ran_us)
    return Call("release", keys, tuple(args), lambda reply: ended_in(keys, reply))


#: The usual answer.
_FINISHED = Ended(Status.OK, TaskState.FINISHED)


def ended_in(keys: QueueKeys, reply: list[Any]) -> list[Ended]:
    """Decode the answer of finish, fail or release."""
    answers = checked(keys, reply)
    return [
        _FINISHED
        if code == Status.OK and state == b"FINISHED"
        else Ended(Status(code), TaskState(text(state)) if state else None)
        for code, state in zip(answers[1::2], answers[2::2], strict=True)
    ]
