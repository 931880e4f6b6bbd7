"""Parts of an attempt: encodes its value as a result, and creates the error of its timeout."""

import inspect
from collections.abc import Awaitable
from typing import Any

from attrs import frozen

from fairque.protocol import clock
from fairque.protocol.errors import InvalidTask, TaskTimeout
from fairque.protocol.jsonvalue import check_json, dumps
from fairque.protocol.model.xcom import encode_xcom
from fairque.worker.jobs import Ending, Failure, Job, Success

__all__ = ["Later", "drop", "encoded", "late_error", "returned", "us_since"]


@frozen
class Later:
    """The value of an attempt that is still to be awaited."""

    awaitable: Awaitable[Any]


def drop(awaitable: Awaitable[Any]) -> None:
    """Close a coroutine that will not run, to avoid its warning."""
    if inspect.iscoroutine(awaitable):
        awaitable.close()


def encoded(value: Any, limit: int) -> bytes:
    """Return the JSON of a result, empty for None. It may run user code, which may hang: call it where the task ran.

    Raises:
        InvalidTask: The value is not JSON, or its JSON has more bytes than the limit.
    """
    if value is None:
        return b""
    check_json(value, "the result")
    result = dumps(value)
    if len(result) > limit:
        raise InvalidTask(
            f"the result has {len(result):,} bytes, allowed are {limit:,}: "
            "store it elsewhere and return its address, or raise queue.message_limit"
        )
    return result


def returned(job: Job, value: Any, limit: int, started: float) -> Ending:
    """Return the ending of an attempt that returned a value; its JSON may have at most ``limit`` bytes."""
    ran_us = us_since(started)
    try:
        xcom = encode_xcom(None if job.task is None else job.task.func, job.pushed)
        return Success(job, value, encoded(value, limit), ran_us, xcom)
    except BaseException as error:  # noqa: BLE001 - a result that cannot be stored is a failed attempt
        return Failure(job, error, ran_us)


def late_error(job: Job, end: str) -> TaskTimeout:
    """Return the error of an attempt that exceeded its timeout; ``end`` says what happened to it."""
    return TaskTimeout(0 if job.task is None else job.task.timeout_ms / 1000, end)


def us_since(started: float) -> int:
    """Return the microseconds since a time of the monotonic clock."""
    return int((clock.monotonic() - started) * 1_000_000)
