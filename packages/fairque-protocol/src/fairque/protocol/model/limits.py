"""The limits of a user as one value, for settings, calls and results."""

from typing import Any, Final, cast

from attrs import Attribute, field, frozen

from fairque.protocol.errors import InvalidArgument
from fairque.protocol.limits import LIMITS, LimitName, limit_problem

__all__ = ["NOT_OF_ALL", "Limits", "problems_of_defaults"]

NOT_OF_ALL: Final = tuple(name for name, limit in LIMITS.items() if not limit.of_all)
"""Limits that can be set for single users only, not as defaults."""


def _in_range(_instance: Any, attribute: "Attribute[Any]", value: object) -> None:
    if value is not None and (problem := limit_problem(cast("LimitName", attribute.name), value)):
        raise InvalidArgument([f"{attribute.name}: {problem}"])


def _boolean(_instance: Any, attribute: "Attribute[Any]", value: object) -> None:
    if value is not None and not isinstance(value, bool):
        raise InvalidArgument([f"{attribute.name}: must be True or False, not {value!r}"])


@frozen(kw_only=True)
class Limits:
    """Limits of a user; None means no limit, or not set.

    Attributes:
        weight: Share relative to other users, 0.01 to 100; 1 by default.
        cap: Most tasks at a time, at least 1.
        rate: Most starts a second, above 0.
        burst: Most starts at once if there is a rate, at least 1; 1 by default.
        backlog: Most waiting tasks, at least 1.
        paused: Whether its tasks are not started.

    Raises:
        InvalidArgument: A value is out of range; the message names the limit.
    """

    weight: float | None = field(default=None, validator=_in_range)
    cap: int | None = field(default=None, validator=_in_range)
    rate: float | None = field(default=None, validator=_in_range)
    burst: int | None = field(default=None, validator=_in_range)
    backlog: int | None = field(default=None, validator=_in_range)
    paused: bool | None = field(default=None, validator=_boolean)


def problems_of_defaults(limits: Limits) -> list[str]:
    """Return the problems of limits that are to be the defaults of all users."""
    return [f"{name} is set for one user, not for all" for name in NOT_OF_ALL if getattr(limits, name) is not None]
