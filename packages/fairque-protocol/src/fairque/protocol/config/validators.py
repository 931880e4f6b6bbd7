"""attrs validators with messages that teach, shared by the settings of all packages.

A message reads ``field: must be …, found …``; for a field whose name tells of a secret the value is left out.
"""

import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fairque.protocol.config.masking import is_secret, mask_addresses
from fairque.protocol.durations import LONGEST_SECONDS

if TYPE_CHECKING:
    from attrs import Attribute

__all__ = ["Validator", "at_least", "at_most", "between", "boolean", "duration", "matches", "positive"]

Validator = Callable[[Any, "Attribute[Any]", Any], None]


def positive(_instance: Any, attribute: "Attribute[Any]", value: Any) -> None:
    """Refuse everything but a finite number above zero."""
    _require(attribute, value, "above 0", holds=_is_number(attribute, value) and value > 0)


def duration(_instance: Any, attribute: "Attribute[Any]", value: Any) -> None:
    """Refuse everything but a number of seconds above zero, and at most what the scripts can count in milliseconds."""
    positive(_instance, attribute, value)
    _require(attribute, value, f"at most {LONGEST_SECONDS:,}", holds=value <= LONGEST_SECONDS)


def at_least(minimum: float) -> Validator:
    """Return a validator for a finite number not below ``minimum``."""
    return between(minimum, None)


def at_most(maximum: float) -> Validator:
    """Return a validator for a finite number not above ``maximum``."""
    return between(None, maximum)


def between(minimum: float | None, maximum: float | None) -> Validator:
    """Return a validator for a finite number from ``minimum`` to ``maximum``; None means no limit."""
    if maximum is None:
        wanted = f"at least {minimum:,}"
    elif minimum is None:
        wanted = f"at most {maximum:,}"
    else:
        wanted = f"between {minimum:,} and {maximum:,}"

    def validate(_instance: Any, attribute: "Attribute[Any]", value: Any) -> None:
        holds = (
            _is_number(attribute, value)
            and (minimum is None or value >= minimum)
            and (maximum is None or value <= maximum)
        )
        _require(attribute, value, wanted, holds=holds)

    return validate


def matches(pattern: str, meaning: str) -> Validator:
    """Return a validator for a string that matches ``pattern`` as a whole.

    Args:
        pattern: The regular expression.
        meaning: The pattern in words, to follow "must be".
    """
    compiled = re.compile(pattern)

    def validate(_instance: Any, attribute: "Attribute[Any]", value: Any) -> None:
        holds = isinstance(value, str) and compiled.fullmatch(value) is not None
        _require(attribute, value, meaning, holds=holds)

    return validate


def boolean(_instance: Any, attribute: "Attribute[Any]", value: Any) -> None:
    """Refuse everything but True and False: a text like "no" would count as true."""
    _require(attribute, value, "True or False", holds=isinstance(value, bool))


def _is_number(attribute: "Attribute[Any]", value: Any) -> bool:
    whole = attribute.type in (int, "int", int | None, "int | None")
    if isinstance(value, float):
        return not whole and math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _require(attribute: "Attribute[Any]", value: Any, wanted: str, *, holds: bool) -> None:
    if holds:
        return
    found = "" if is_secret(attribute.name) else mask_addresses(f", found {value!r}")
    raise ValueError(f"{attribute.name}: must be {wanted}{found}")
