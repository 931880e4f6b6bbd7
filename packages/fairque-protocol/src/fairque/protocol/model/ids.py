"""Identifiers: UUIDv7 task ids that sort by time, nonces, and the rules for ids that users choose."""

import os
import re

from fairque.protocol import clock
from fairque.protocol.errors import InvalidTask
from fairque.protocol.limits import MAX_ID_BYTES, id_problem

__all__ = ["ANY_TASK_ID", "MAX_ID_BYTES", "check_id", "is_made_id", "new_nonce", "new_task_id"]

#: Stands for an id that `new_task_id` would make, where the task gets another one.
ANY_TASK_ID = "00000000-0000-7000-8000-000000000000"
_MADE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def new_task_id() -> str:
    """Return a UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds, then randomness."""
    random = os.urandom(10)
    text = f"{clock.now_ms():012x}{random.hex()}"
    variant = "89ab"[random[2] >> 6]
    return f"{text[:8]}-{text[8:12]}-7{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


def is_made_id(task_id: str) -> bool:
    """Return whether an id looks like one of `new_task_id`, and not like one that somebody chose."""
    return _MADE.fullmatch(task_id) is not None


def new_nonce() -> str:
    """Return 16 hexadecimal digits of randomness that no other call will get."""
    return os.urandom(8).hex()


def check_id(value: object, what: str) -> str:
    """Return ``value`` if it may stand as an id in a key.

    Args:
        value: The candidate.
        what: What it is, for the message: ``user_id``, ``task_id`` …

    Raises:
        InvalidTask: It is not a text, is empty, has control characters, or more than 128 bytes of UTF-8.
    """
    problem = id_problem(value, what)
    if problem is not None:
        raise InvalidTask(problem)
    return value  # type: ignore[return-value]  # a string, or there is a problem
