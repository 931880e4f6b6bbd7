"""Limits that settings, keys and calls all check, in the one place that none of them has to reach into another for."""

import math
import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

from fairque.protocol.showing import shown

__all__ = ["LIMITS", "MAX_ID_BYTES", "QUEUE_NAME", "CostMode", "Limit", "LimitName", "id_problem", "limit_problem"]

#: What the name of a queue matches as a whole.
QUEUE_NAME = r"[A-Za-z0-9_.@-]{1,64}"


class CostMode(StrEnum):
    """What a task costs its user."""

    #: The time that it runs.
    TIME = "time"
    #: One, as each other task.
    COUNT = "count"


LimitName: TypeAlias = Literal["weight", "cap", "rate", "burst", "backlog", "paused"]


class Limit(NamedTuple):
    """The rules of one limit; a named tuple, since the help of commands shows them and does without attrs.

    Attributes:
        least: Its least value.
        most: Its greatest one.
        meaning: What it limits, in words.
        whole: Whether it is a whole number.
        of_all: Whether it may also be set for all users that have none of their own.
    """

    least: float
    most: float
    meaning: str
    whole: bool = True
    of_all: bool = True


LIMITS: Final[Mapping[LimitName, Limit]] = MappingProxyType(
    {
        "weight": Limit(0.01, 100, "share relative to other users", whole=False, of_all=False),
        "cap": Limit(1, 1_000_000_000, "most tasks at a time"),
        "rate": Limit(0.000_001, 1_000_000, "most starts a second", whole=False),
        "burst": Limit(1, 1_000_000_000, "most starts at once where there is a rate"),
        "backlog": Limit(1, 1_000_000_000, "most waiting tasks"),
        "paused": Limit(1, 1, "whether nothing of it is started", of_all=False),
    }
)
"""What may be set for users, by name; the scripts have the same (``lua/includes/ranges.lua``)."""

#: Bytes of the longest user, task or deduplication id; they stand last in a key.
MAX_ID_BYTES = 128

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def limit_problem(name: LimitName, value: object) -> str | None:
    """Say what is wrong with the value of a limit, to follow its name; None when nothing is."""
    limit = LIMITS[name]
    # A bool is an int too, and a text has an order of its own: only plain numbers are looked at.
    number = type(value) is int or (type(value) is float and math.isfinite(value))
    if number and limit.least <= value <= limit.most and not (limit.whole and value % 1):  # type: ignore[operator]  # see number
        return None
    kind = "a whole number" if limit.whole else "a number"
    return f"must be {kind} from {_plain(limit.least)} to {_plain(limit.most)}, not {shown(value)}"


def _plain(number: float) -> str:
    return f"{number:,f}".rstrip("0").rstrip(".")


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
