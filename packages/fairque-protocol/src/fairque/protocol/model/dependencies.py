"""The dependencies of a task: the tasks it waits for, and what happens if one of them does not finish."""

from collections.abc import Callable, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Literal, Protocol, TypeAlias, cast

from attrs import field, frozen

from fairque.protocol.errors import InvalidTask
from fairque.protocol.model.ids import check_id
from fairque.protocol.safe_repr import safe_repr

__all__ = ["After", "OnFailure", "parent_lines", "parents_first"]

#: ``cascade``: the task is canceled if its dependency does not finish. ``run``: it runs anyway.
OnFailure: TypeAlias = Literal["cascade", "run"]


class _Task(Protocol):
    """An object with the id of a task."""

    @property
    def task_id(self) -> str: ...


def _id_of(task: str | _Task) -> str:
    # The validator refuses anything else.
    return task if isinstance(task, str) else getattr(task, "task_id", cast("str", task))


def _an_id(_: object, __: object, value: str) -> None:
    check_id(value, "depends_on")


def _known(_: object, __: object, value: object) -> None:
    if value not in ("cascade", "run"):
        raise InvalidTask(f"on_failure must be 'cascade' or 'run', not {safe_repr(value)}")


@frozen
class After:
    """A task that must end before another starts.

    Attributes:
        task_id: The id of the task that must end; the task itself may be given.
        on_failure: What happens to the dependent if it ends as FAILED or CANCELED.

    Raises:
        InvalidTask: The id or the policy is invalid.
    """

    task_id: str = field(converter=_id_of, validator=_an_id)
    on_failure: OnFailure = field(default="cascade", validator=_known)


def parent_lines(parents: Iterable[After]) -> str:
    """Return dependencies in the form that the scripts take: one line each, `c` or `r` and the id."""
    return "\n".join(("c" if parent.on_failure == "cascade" else "r") + parent.task_id for parent in parents)


def parents_first(
    parents: Mapping[str, tuple[After, ...]], label: Callable[[str, str], str] = lambda task_id, _: task_id
) -> list[str]:
    """Return the ids of the tasks of a push in an order in which each comes after its dependencies.

    Args:
        parents: The dependencies of each task; they may include tasks outside the push.
        label: Returns the name of a task in an error, given its id and that of its dependency.

    Raises:
        InvalidTask: The dependencies have a cycle; the message shows it.
    """
    inside = {task_id: [p.task_id for p in after if p.task_id in parents] for task_id, after in parents.items()}
    try:
        return list(TopologicalSorter(inside).static_order())
    except CycleError as error:
        ids = error.args[1][::-1]
        cycle = " -> ".join([*map(label, ids, ids[1:]), ids[-1]])
        raise InvalidTask(f"tasks depend on each other in a cycle, so none could ever start: {cycle}") from None
