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


#: The random parts of the next ids: to ask the system for each would take longer than all the rest.
_parts: list[str] = []
_PARTS = 64
#: The digit of the variant, of which two bits are fixed and two are random.
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}

if hasattr(os, "register_at_fork"):
    # A child would use the same ones as its parent.
    os.register_at_fork(after_in_child=_parts.clear)


def new_task_id() -> str:
    """Return a UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds, then randomness."""
    time = f"{clock.now_ms():012x}"
    try:
        random = _parts.pop()
    except IndexError:
        random = _more_parts()
    return f"{time[:8]}-{time[8:]}-{random}"


def _more_parts() -> str:
    digits = os.urandom(10 * _PARTS).hex()
    made = [digits[first : first + 20] for first in range(0, len(digits), 20)]
    random, *more = (f"7{text[1:4]}-{_VARIANT[text[4]]}{text[5:8]}-{text[8:]}" for text in made)
    _parts.extend(more)
    return random


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
