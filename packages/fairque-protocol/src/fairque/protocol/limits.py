"""Limits that settings, keys and calls all check, in the one place that none of them has to reach into another for."""

import re
from enum import StrEnum

from fairque.protocol.showing import shown

__all__ = ["COUNT", "MAX_ID_BYTES", "QUEUE_NAME", "RATE", "WEIGHT", "CostMode", "id_problem"]

#: What the name of a queue matches as a whole.
QUEUE_NAME = r"[A-Za-z0-9_.@-]{1,64}"


class CostMode(StrEnum):
    """What a task costs its user."""

    #: The time that it runs.
    TIME = "time"
    #: One, as each other task.
    COUNT = "count"


# Least and greatest value of what is set for users; lua/limit.lua has the same.
#: Of a weight.
WEIGHT = (0.01, 100)
#: Of a cap, a burst and a backlog: whole numbers.
COUNT = (1, 1_000_000_000)
#: Of a rate, in starts a second.
RATE = (0.000_001, 1_000_000)

#: Bytes of the longest user, task or deduplication id; they stand last in a key.
MAX_ID_BYTES = 128

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def id_problem(value: object, what: str) -> str | None:
    """Say why a value may not stand as an id in a key; None when it may.

    Args:
        value: The candidate.
        what: What it is, for the sentence: ``user_id``, ``task_id`` …
    """
    if not isinstance(value, str):
        return f"{what} must be a string, not {type(value).__name__}: {shown(value)}"
    if not value:
        return f"{what} is empty: give 1 to {MAX_ID_BYTES} bytes of text"
    if _CONTROL.search(value):
        return f"{what} {shown(value)} has control characters: use printable text"
    try:
        size = len(value) if value.isascii() else len(value.encode())
    except UnicodeEncodeError:
        return f"{what} {shown(value)} is not valid Unicode text (a lone surrogate)"
    if size > MAX_ID_BYTES:
        return f"{what} {shown(value)} has {size} bytes of UTF-8: at most {MAX_ID_BYTES}"
    return None
