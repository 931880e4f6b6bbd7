"""What a user may use, as one value: in settings, in what is read, and in calls."""

from typing import Any, Final, cast

from attrs import Attribute, field, frozen

from fairque.protocol.errors import InvalidArgument
from fairque.protocol.limits import LIMITS, LimitName, limit_problem

__all__ = ["NOT_OF_ALL", "Limits", "problems_of_defaults"]

NOT_OF_ALL: Final = tuple(name for name, limit in LIMITS.items() if not limit.of_all)
"""The limits that are set for one user, and not for all."""


def _in_range(_instance: Any, attribute: "Attribute[Any]", value: object) -> None:
    if value is not None and (problem := limit_problem(cast("LimitName", attribute.name), value)):
        raise InvalidArgument([f"{attribute.name}: {problem}"])


def _boolean(_instance: Any, attribute: "Attribute[Any]", value: object) -> None:
    if value is not None and not isinstance(value, bool):
        raise InvalidArgument([f"{attribute.name}: must be True or False, not {value!r}"])


@frozen(kw_only=True)
class Limits:
    """Limits of a user; None is no limit, or one that is not set.

    Attributes:
        weight: Share relative to other users, 0.01 to 100; 1 unless set.
        cap: Most tasks at a time, 1 at least.
        rate: Most starts a second, above 0.
        burst: Most starts at once where there is a rate, 1 at least; 1 unless set.
        backlog: Most waiting tasks, 1 at least.
        paused: Whether nothing of it is started.

    Raises:
        InvalidArgument: A value is out of its range; the message names the limit.
    """

    weight: float | None = field(default=None, validator=_in_range)
    cap: int | None = field(default=None, validator=_in_range)
    rate: float | None = field(default=None, validator=_in_range)
    burst: int | None = field(default=None, validator=_in_range)
    backlog: int | None = field(default=None, validator=_in_range)
    paused: bool | None = field(default=None, validator=_boolean)


def problems_of_defaults(limits: Limits) -> list[str]:
    """Return what is wrong with limits for all users that have none of their own."""
    return [f"{name} is set for one user, not for all" for name in NOT_OF_ALL if getattr(limits, name) is not None]
