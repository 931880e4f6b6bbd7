"""Identifiers: task ids, which sort by time, nonces, and the rules for ids chosen by callers."""

import os
import re

from fairque.protocol import clock
from fairque.protocol.errors import InvalidTask
from fairque.protocol.limits import MAX_ID_BYTES, id_problem

__all__ = ["ANY_TASK_ID", "MAX_ID_BYTES", "check_id", "is_generated_id", "new_nonce", "new_task_id"]

#: In the order of their codes, so that ids sort as text by the time in them.
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]
#: Four digits of milliseconds are four hours.
_FOUR_DIGITS = len(_PAIRS) ** 2
_RANDOM_DIGITS = 14
_FORM = re.compile(r"[0-9A-Za-z]{22}")
#: A placeholder of the same form as the ids of `new_task_id`, for a task that gets its real id later.
ANY_TASK_ID = "0" * 22

#: A byte of randomness is a digit, each of which has four bytes; the bytes that are left over are not used.
_DIGIT_OF_BYTE = bytes(_DIGITS[byte % len(_DIGITS)].encode()[0] for byte in range(256))
_LEFT_OVER = bytes(range(256 - 256 % len(_DIGITS), 256))
#: The random parts of the next ids: to ask the system for each would take longer than all the rest.
_parts: list[str] = []
_BYTES = 1_024

if hasattr(os, "register_at_fork"):
    # A child would use the same ones as its parent.
    os.register_at_fork(after_in_child=_parts.clear)


def new_task_id() -> str:
    """Return an id of 22 digits and letters: 8 for the milliseconds since 1970, then 14 random ones (83 bits).

    Like those of a UUIDv7 (RFC 9562, section 5.7), ids sort by time, also as text; they have 14 bytes less.
    """
    hours, rest = divmod(clock.now_ms(), _FOUR_DIGITS)
    time = _PAIRS[hours // len(_PAIRS)] + _PAIRS[hours % len(_PAIRS)]
    try:
        random = _parts.pop()
    except IndexError:
        random = _more_parts()
    return f"{time}{_PAIRS[rest // len(_PAIRS)]}{_PAIRS[rest % len(_PAIRS)]}{random}"


def _more_parts() -> str:
    digits = os.urandom(_BYTES).translate(_DIGIT_OF_BYTE, _LEFT_OVER).decode()
    random, *more = map("".join, zip(*[iter(digits)] * _RANDOM_DIGITS, strict=False))
    _parts.extend(more)
    return random


def is_generated_id(task_id: str) -> bool:
    """Return whether an id has the form of those of `new_task_id`, so that a caller hardly chose it."""
    return _FORM.fullmatch(task_id) is not None


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
