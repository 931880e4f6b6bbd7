"""Limits and rules for ids that settings, keys and calls share; imports none of them."""

import math
import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

from fairque.protocol.safe_repr import safe_repr

__all__ = ["LIMITS", "MAX_ID_BYTES", "QUEUE_NAME", "CostMode", "Limit", "LimitName", "id_problem", "limit_problem"]

#: Regular expression that a whole queue name matches.
QUEUE_NAME = r"[A-Za-z0-9_.@-]{1,64}"


class CostMode(StrEnum):
    """What a task costs its user."""

    #: Its run time.
    TIME = "time"
    #: 1 per task.
    COUNT = "count"


LimitName: TypeAlias = Literal["weight", "cap", "rate", "burst", "backlog", "paused"]


class Limit(NamedTuple):
    """The rules of a limit. A named tuple, since the help of commands shows them and must not import attrs.

    Attributes:
        least: The lowest value.
        most: The highest value.
        meaning: What it limits, for humans.
        whole: Whether it is a whole number.
        of_all: Whether it can also be set as the default of all users.
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
        "burst": Limit(1, 1_000_000_000, "most starts at once if there is a rate"),
        "backlog": Limit(1, 1_000_000_000, "most waiting tasks"),
        "paused": Limit(1, 1, "whether its tasks are not started", of_all=False),
    }
)
"""The limits of users, by name; the scripts have the same ranges (``lua/includes/user_record.lua``)."""

#: Most bytes of user ids, task ids and deduplication keys.
MAX_ID_BYTES = 128

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def limit_problem(name: LimitName, value: object) -> str | None:
    """Return what is wrong with the value of a limit, as the continuation of its name; None if it is valid."""
    limit = LIMITS[name]
    # Only plain numbers: a bool is an int, and comparing a string would raise an error.
    number = type(value) is int or (type(value) is float and math.isfinite(value))
    if number and limit.least <= value <= limit.most and not (limit.whole and value % 1):  # type: ignore[operator]  # see number
        return None
    kind = "a whole number" if limit.whole else "a number"
    return f"must be {kind} from {_plain(limit.least)} to {_plain(limit.most)}, not {safe_repr(value)}"


def _plain(number: float) -> str:
    return f"{number:,f}".rstrip("0").rstrip(".")


def id_problem(value: object, what: str) -> str | None:
    """Return why a value is not a valid id; None if it is one.

    Args:
        value: The value to check.
        what: Its name in the sentence: ``user_id``, ``task_id`` …
    """
    if not isinstance(value, str):
        return f"{what} must be a string, not {type(value).__name__}: {safe_repr(value)}"
    if not value:
        return f"{what} is empty: give 1 to {MAX_ID_BYTES} bytes of text"
    if _CONTROL.search(value):
        return f"{what} {safe_repr(value)} has control characters: use printable text"
    try:
        size = len(value) if value.isascii() else len(value.encode())
    except UnicodeEncodeError:
        return f"{what} {safe_repr(value)} is not valid Unicode text (a lone surrogate)"
    if size > MAX_ID_BYTES:
        return f"{what} {safe_repr(value)} has {size} bytes of UTF-8: at most {MAX_ID_BYTES}"
    return None
