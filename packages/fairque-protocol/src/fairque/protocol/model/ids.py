"""Identifiers: UUIDv7 task ids, which sort by time, nonces, and the rules for ids chosen by callers."""

import os
import re

from fairque.protocol import clock
from fairque.protocol.errors import InvalidTask
from fairque.protocol.limits import MAX_ID_BYTES, id_problem

__all__ = ["ANY_TASK_ID", "MAX_ID_BYTES", "check_id", "is_generated_id", "new_nonce", "new_task_id"]

#: A placeholder of the same form as the ids of `new_task_id`, for a task that gets its real id later.
ANY_TASK_ID = "00000000-0000-7000-8000-000000000000"
_MADE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def new_task_id() -> str:
    """Return a UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds, then randomness."""
    random = os.urandom(10)
    text = f"{clock.now_ms():012x}{random.hex()}"
    variant = "89ab"[random[2] >> 6]
    return f"{text[:8]}-{text[8:12]}-7{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


def is_generated_id(task_id: str) -> bool:
    """Return whether an id has the form of those of `new_task_id`, and so was not chosen by a caller."""
    return _MADE.fullmatch(task_id) is not None


def new_nonce() -> str:
    """Return 16 random hexadecimal digits, unique for all practical purposes."""
    return os.urandom(8).hex()


def check_id(value: object, what: str) -> str:
    """Return ``value`` if it is a valid id.

    Args:
        value: The value to check.
        what: Its name in the error message: ``user_id``, ``task_id`` …

    Raises:
        InvalidTask: It is not a string, is empty, has control characters, or more than 128 bytes of UTF-8.
    """
    problem = id_problem(value, what)
    if problem is not None:
        raise InvalidTask(problem)
    return value  # type: ignore[return-value]  # a string, or there is a problem
