"""Durations in settings: seconds or a timedelta in code, and in files, variables and options also ``10m``."""

import re
from datetime import timedelta
from typing import Annotated, Final, TypeAlias

__all__ = ["SECONDS_PATTERN", "Seconds", "seconds", "seconds_of_text"]

Seconds: TypeAlias = Annotated[float, "seconds, or with a unit"]
"""The type of a setting that is a duration; read, it is a number of seconds."""

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
SECONDS_PATTERN: Final = rf"([0-9]+(?:\.[0-9]+)?)({'|'.join(_UNITS)})"
"""What a duration with a unit matches as a whole."""


def seconds(value: float | timedelta) -> float:
    """Return a duration as seconds: the converter of a setting; what is not one is left for its validator."""
    return value.total_seconds() if isinstance(value, timedelta) else value


def seconds_of_text(text: str) -> float | None:
    """Return the seconds that a text such as ``500ms``, ``10m`` or ``1.5h`` means; None if it is not a duration."""
    found = re.fullmatch(SECONDS_PATTERN, text)
    return float(found[1]) * _UNITS[found[2]] if found else None
