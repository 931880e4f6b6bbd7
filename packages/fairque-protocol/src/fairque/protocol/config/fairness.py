"""The section ``fairness``: what tasks cost, and what users may use. ``fairque apply`` carries it out."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from attrs import field, frozen
from attrs.validators import in_, optional

from fairque.protocol.config.validators import between, boolean
from fairque.protocol.limits import COUNT, RATE, WEIGHT, id_problem

if TYPE_CHECKING:
    from attrs import Attribute

__all__ = ["DefaultLimits", "FairnessSection", "UserLimits"]


@frozen(kw_only=True)
class DefaultLimits:
    """What each user may use that has no limit of its own; None means no limit.

    Attributes:
        cap: Most tasks at a time.
        rate: Most starts a second.
        burst: Most starts at once where there is a rate; None is 1.
        backlog: Most waiting tasks.

    Raises:
        ValueError: A value is out of its range; the message names the field.
    """

    cap: int | None = field(default=None, validator=optional(between(*COUNT)))
    rate: float | None = field(default=None, validator=optional(between(*RATE)))
    burst: int | None = field(default=None, validator=optional(between(*COUNT)))
    backlog: int | None = field(default=None, validator=optional(between(*COUNT)))


@frozen(kw_only=True)
class UserLimits(DefaultLimits):
    """What one user may use; for what is None, the default of all counts.

    Attributes:
        weight: Its share beside other users; None is 1.
        paused: Whether nothing of it is started; None leaves that to ``queue.users.pause`` and ``resume``.
    """

    weight: float | None = field(default=None, validator=optional(between(*WEIGHT)))
    paused: bool | None = field(default=None, validator=optional(boolean))


def _users(_instance: Any, attribute: "Attribute[Any]", value: Mapping[str, UserLimits]) -> None:
    problems = [problem for user_id in value if (problem := id_problem(user_id, "a user id"))]
    if problems:
        raise ValueError(f"{attribute.name}: {'; '.join(problems)}")


@frozen(kw_only=True)
class FairnessSection:
    """The section ``fairness`` of a configuration.

    Attributes:
        cost_mode: What a task costs its user: its run time, or one.
        backlog: Most waiting tasks of the queue; None for no limit.
        user_defaults: What each user may use.
        users: What some users may use instead, by user.

    Raises:
        ValueError: A value is out of its range; the message names the field.
    """

    cost_mode: Literal["time", "count"] = field(default="time", validator=in_(("time", "count")))
    backlog: int | None = field(default=None, validator=optional(between(*COUNT)))
    user_defaults: DefaultLimits = field(factory=DefaultLimits)
    users: dict[str, UserLimits] = field(factory=dict, validator=_users)
