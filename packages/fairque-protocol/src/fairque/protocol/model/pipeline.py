"""Pipelines: tasks that depend on each other, combined with ``>>`` and pushed in one atomic call."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, overload

from attrs import frozen

from fairque.protocol.errors import InvalidTask
from fairque.protocol.model.dependencies import After, parents_first
from fairque.protocol.model.outputs import Output, edges, extract_outputs
from fairque.protocol.model.states import TaskState
from fairque.protocol.safe_repr import safe_repr

if TYPE_CHECKING:
    from fairque.protocol.model.task import Task

__all__ = ["Chain", "Pipeline", "Stage", "pipeline"]

R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")


class Chain(ABC, Generic[R_co]):
    """Base class of `Task` and `Pipeline`, the operands of ``>>``, alone or in a list."""

    __slots__ = ()

    @abstractmethod
    def as_pipeline(self) -> "Pipeline[R_co]":
        """Return a task as a pipeline of one stage, and a pipeline itself."""

    @overload
    def __rshift__(self, stage: "Chain[S]") -> "Pipeline[S]": ...
    @overload
    def __rshift__(self, stage: "Sequence[Chain[S]]") -> "Pipeline[list[S]]": ...
    def __rshift__(self, stage: "Stage") -> "Pipeline[Any]":
        """Return a pipeline in which ``stage``, a task, a pipeline or a list of them, runs after this one."""
        return self.as_pipeline().then(stage)

    def __rrshift__(self, stage: "Sequence[Chain[Any]]") -> "Pipeline[R_co]":
        """Return a pipeline in which this one runs after all items of a list."""
        return pipeline(stage).then(self)


#: A stage of a pipeline, the operand between two ``>>``.
Stage: TypeAlias = Chain[Any] | Sequence[Chain[Any]]


@frozen
class Pipeline(Chain[R_co]):
    """Tasks and their dependencies. ``extract >> [clean, validate] >> load`` is a pipeline of three stages.

    A stage is a task, another pipeline, or a list of these, which run in parallel. Each first task of a stage depends
    on the last tasks of the previous stage. A dependency declared by a task itself
    (``depends_on=After(..., on_failure="run")``) is kept. Pipelines are values: ``>>`` returns a new one, and a task
    that is in two pipelines is the same task.

    Attributes:
        tasks: All tasks by id, with their dependencies.
        first: Ids of the first tasks.
        last: Ids of the last tasks.
        single: Whether its result is that of a single last task, not a list.
    """

    tasks: "Mapping[str, Task[Any]]"
    first: tuple[str, ...]
    last: tuple[str, ...]
    single: bool

    def as_pipeline(self) -> "Pipeline[R_co]":
        """Return the pipeline itself."""
        return self

    def then(self, stage: Stage) -> "Pipeline[Any]":
        """Return this pipeline with another stage appended, as ``>>`` does.

        Raises:
            InvalidTask: `stage` is not a task, a pipeline or a list of them, or cannot be appended; the message says
                why.
        """
        following = pipeline(stage)
        appended = {
            task_id: _after(task, self.last) if task_id in following.first else task
            for task_id, task in following.tasks.items()
        }
        return Pipeline(_merged([self.tasks, appended]), self.first, following.last, following.single)

    def last_first(self) -> list[str]:
        """Return the ids of all tasks, each before its dependencies.

        Raises:
            InvalidTask: The dependencies have a cycle.
        """
        return parents_first({task_id: _parents(task) for task_id, task in self.tasks.items()})[::-1]

    def cause(self, task_id: str, states: Mapping[str, TaskState | None]) -> str | None:
        """Return the task whose failure, or otherwise whose cancelation, canceled another one; None if none did.

        Args:
            task_id: The canceled task.
            states: The states of all tasks.
        """
        seen = {task_id}
        first = None
        canceled = [task_id]
        while canceled:
            child = canceled.pop()
            has_cause = False
            for parent in _parents(self.tasks[child]):
                state = states.get(parent.task_id)
                if parent.on_failure == "run":
                    continue
                if state is TaskState.FAILED:
                    return parent.task_id
                if state is TaskState.CANCELED:
                    has_cause = True
                    if parent.task_id not in seen:
                        canceled.append(parent.task_id)
                seen.add(parent.task_id)
            if not has_cause and child != task_id:
                first = first or child
        return first


@overload
def pipeline(stage: Chain[S]) -> Pipeline[S]: ...
@overload
def pipeline(stage: Sequence[Chain[S]]) -> Pipeline[list[S]]: ...
def pipeline(stage: Stage) -> Pipeline[Any]:
    """Create a pipeline of one stage: a task, or a list of tasks and pipelines that run in parallel.

    Use it for tasks that are connected only by outputs and ``depends_on``: ``pipeline([extract, clean, load])``. A task
    that uses the output of another one waits for it wherever the two are in the pipeline.

    Raises:
        InvalidTask: `stage` is something else, or an empty list.
    """
    if isinstance(stage, Chain):
        return stage.as_pipeline()
    if isinstance(stage, str | bytes | Mapping | Output) or not isinstance(stage, Iterable):
        raise InvalidTask(f"a stage of a pipeline is a task, a pipeline, or a list of them, not {safe_repr(stage)}")
    parts = [pipeline(part) for part in stage]
    if not parts:
        raise InvalidTask("a stage of a pipeline needs a task: the list is empty")
    return Pipeline(
        _merged([part.tasks for part in parts]),
        tuple(dict.fromkeys(task_id for part in parts for task_id in part.first)),
        tuple(dict.fromkeys(task_id for part in parts for task_id in part.last)),
        single=False,
    )


def _parents(task: "Task[Any]") -> tuple[After, ...]:
    """Return all dependencies of a task."""
    return edges(task.depends_on, extract_outputs(task.args, task.kwargs)[2])


def _after(task: "Task[Any]", parents: Iterable[str]) -> "Task[Any]":
    """Return a task with further dependencies."""
    known = {after.task_id for after in task.depends_on}
    return task.evolve(depends_on=(*task.depends_on, *(After(p) for p in parents if p not in known)))


def _merged(several: "Iterable[Mapping[str, Task[Any]]]") -> "dict[str, Task[Any]]":
    """Return all tasks; a task that is in several pipelines gets its dependencies from all of them.

    Raises:
        InvalidTask: Two different tasks have the same id, or a task depends on another one with different
            ``on_failure``.
    """
    merged: dict[str, Task[Any]] = {}
    for tasks in several:
        for task_id, task in tasks.items():
            other = merged.get(task_id)
            if other is None or other is task:
                merged[task_id] = task
                continue
            if other.evolve(depends_on=()) != task.evolve(depends_on=()):
                raise InvalidTask(f"two different tasks of the pipeline have the id {task_id}: give one another id")
            merged[task_id] = task.evolve(depends_on=(*other.depends_on, *task.depends_on))
    return merged
