"""Parts of an attempt: how its value becomes a result, and what is said when its time is over."""

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
    """What an attempt has returned that is to be awaited."""

    awaitable: Awaitable[Any]


def drop(awaitable: Awaitable[Any]) -> None:
    """Let go of a coroutine that will not run; it would complain."""
    if inspect.iscoroutine(awaitable):
        awaitable.close()


def encoded(value: Any, limit: int) -> bytes:
    """Return the JSON of a result, empty for None. It may ask the value, which may hang: call it where the task ran.

    Raises:
        InvalidTask: It is not JSON, or has more bytes than the limit.
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
    """Return the ending of an attempt that returned a value; ``limit`` is that of the bytes of its JSON."""
    ran_us = us_since(started)
    try:
        xcom = encode_xcom(None if job.task is None else job.task.func, job.pushed)
        return Success(job, value, encoded(value, limit), ran_us, xcom)
    except BaseException as error:  # noqa: BLE001 - a result that cannot be stored is a failed attempt
        return Failure(job, error, ran_us)


def late_error(job: Job, end: str) -> TaskTimeout:
    """Return the error of an attempt whose time is over; ``end`` says what became of it."""
    return TaskTimeout(0 if job.task is None else job.task.timeout_ms / 1000, end)


def us_since(started: float) -> int:
    """Return the microseconds since a time of the monotonic clock."""
    return int((clock.monotonic() - started) * 1_000_000)
