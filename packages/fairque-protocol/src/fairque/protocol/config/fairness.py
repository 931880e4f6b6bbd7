"""The section ``fairness``: what tasks cost, and what users may use. ``fairque apply`` carries it out."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from attrs import field, frozen
from attrs.validators import in_

from fairque.protocol.config.nodes import Without
from fairque.protocol.limits import id_problem, limit_problem
from fairque.protocol.model.limits import NOT_OF_ALL, Limits, problems_of_defaults

if TYPE_CHECKING:
    from attrs import Attribute

__all__ = ["FairnessSection"]

DefaultLimits: TypeAlias = Annotated[Limits, Without(NOT_OF_ALL, "is set for one user, not for all")]


def _of_all(_instance: Any, attribute: "Attribute[Any]", value: Limits) -> None:
    if problems := problems_of_defaults(value):
        raise ValueError(f"{attribute.name}: {'; '.join(problems)}")


def _backlog(_instance: Any, attribute: "Attribute[Any]", value: object) -> None:
    if value is not None and (problem := limit_problem("backlog", value)):
        raise ValueError(f"{attribute.name}: {problem}")


def _users(_instance: Any, attribute: "Attribute[Any]", value: Mapping[str, Limits]) -> None:
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
    backlog: int | None = field(default=None, validator=_backlog)
    user_defaults: DefaultLimits = field(factory=Limits, validator=_of_all)
    users: dict[str, Limits] = field(factory=dict, validator=_users)
