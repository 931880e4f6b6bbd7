"""`>>`: what tasks and pipelines have in common, so that a list may hold both."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, overload

if TYPE_CHECKING:
    from fairque.protocol.model.pipeline import Pipeline

__all__ = ["Chain", "Stage"]

R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")


class Chain(Generic[R_co]):
    """A `Task` or a `Pipeline`: what may stand beside ``>>``, alone or in a list."""

    __slots__ = ()

    @overload
    def __rshift__(self, stage: "Chain[S]") -> "Pipeline[S]": ...
    @overload
    def __rshift__(self, stage: "Sequence[Chain[S]]") -> "Pipeline[list[S]]": ...
    def __rshift__(self, stage: "Stage") -> "Pipeline[Any]":
        """Return a pipeline in which ``stage``, a task, a pipeline or a list of them, runs after this one."""
        return _pipeline(self).then(stage)

    def __rrshift__(self, stage: "Sequence[Chain[Any]]") -> "Pipeline[R_co]":
        """Return a pipeline in which this one runs after all of a list."""
        return _pipeline(stage).then(self)


#: What may stand between two ``>>``.
Stage: TypeAlias = Chain[Any] | Sequence[Chain[Any]]


def _pipeline(stage: Stage) -> "Pipeline[Any]":
    from fairque.protocol.model.pipeline import pipeline  # noqa: PLC0415 - a pipeline is made of tasks, which are chains

    made: Pipeline[Any] = pipeline(stage)
    return made
