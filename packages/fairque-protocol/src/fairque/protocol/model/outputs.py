"""Outputs: placeholders for the result or a pushed value of a task, used as arguments of other tasks."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NoReturn, TypeAlias

from attrs import evolve, field, frozen

from fairque.protocol.errors import InvalidTask, OutputMissing, ProtocolError
from fairque.protocol.jsonvalue import MAX_DEPTH, loads
from fairque.protocol.model.dependencies import After
from fairque.protocol.model.ids import check_id
from fairque.protocol.model.states import TaskState
from fairque.protocol.safe_repr import safe_repr

__all__ = ["Input", "Output", "StoredOutputs", "edges", "extract_outputs", "fill_in"]

Step: TypeAlias = str | int


def _an_id(_: object, __: object, value: str) -> None:
    check_id(value, "the task of an output")


def _a_key(_: object, __: object, value: str | None) -> None:
    if value is not None:
        check_id(value, "key")


@frozen
class StoredOutputs:
    """The stored outputs of a task.

    Attributes:
        state: The state of the task; None if the queue does not know it.
        result: Its result or its error as JSON; empty for null.
        xcom: The values that it pushed as JSON, see `encode_xcom`; empty for none.
    """

    state: TaskState | None
    result: bytes
    xcom: bytes

    @property
    def func(self) -> str | None:
        """The function of the task, if it pushed values."""
        return _read(self.xcom).get("func") if self.xcom else None

    @property
    def values(self) -> Mapping[str, Any]:
        """The pushed values, by key."""
        return _read(self.xcom).get("values", {}) if self.xcom else {}


def _read(blob: bytes) -> Mapping[str, Any]:
    try:
        value = loads(blob)
    except ValueError as error:
        raise ProtocolError(f"values of a task cannot be read ({error}): {blob[:200]!r}") from error
    if not isinstance(value, dict):
        raise ProtocolError(f"values of a task cannot be read: {blob[:200]!r}")
    return value


@frozen
class Output:
    """A placeholder for the result of a task or a value that it pushes, or for a part of these.

    As an argument of another task it makes that task depend on this one, and is replaced with the value when it runs.
    It is created by `Task.output`; ``output["rows"][0]`` refers to a part. It is not a value: `len`, iteration, truth
    tests and f-strings raise `TypeError`.

    Attributes:
        task_id: The task that produces the value.
        key: The key under which the task pushes it; None for its result.
        path: Keys and indexes that lead to the part.
    """

    json_hint: ClassVar[str] = "outputs of other tasks are allowed in args and kwargs, also inside lists and objects"

    task_id: str = field(validator=_an_id)
    key: str | None = field(default=None, validator=_a_key)
    path: tuple[Step, ...] = ()

    def value_in(self, stored: StoredOutputs) -> Any:
        """Return the value, given the stored outputs of the task.

        Raises:
            OutputMissing: The task is unknown, has not finished, or has no such value.
        """
        if stored.state is not TaskState.FINISHED:
            state = "is no longer known" if stored.state is None else f"is {stored.state}"
            raise OutputMissing(f"{self._name()} is not available: that task {state}", self.task_id)
        if self.key is None:
            value: Any = loads(stored.result) if stored.result else None
        elif self.key in stored.values:
            value = stored.values[self.key]
        else:
            keys = ", ".join(map(repr, stored.values)) or "none"
            raise OutputMissing(f"{self._name()} is not available: the keys that it pushed are {keys}", self.task_id)
        for step in self.path:
            try:
                value = value[step]
            except (LookupError, TypeError):
                problem = f"{self._name()} is not available: there is nothing at {safe_repr(step)}"
                raise OutputMissing(problem, self.task_id) from None
        return value

    def __getitem__(self, step: Step) -> "Output":
        """Return a placeholder for a part: the value of a key of an object, or at an index of a list."""
        if type(step) not in (str, int):
            raise InvalidTask(f"a part of an output is selected by a string or a whole number, not {safe_repr(step)}")
        return evolve(self, path=(*self.path, step))

    # By default Python would iterate endlessly with `__getitem__`, treat it as true, and format the placeholder instead
    # of its value.
    def __iter__(self) -> NoReturn:
        raise self._refusal("iterated over")

    def __contains__(self, item: object) -> NoReturn:
        raise self._refusal("searched")

    def __len__(self) -> int:
        raise self._refusal("counted")

    def __bool__(self) -> bool:
        raise self._refusal("tested")

    def __format__(self, form: str) -> NoReturn:
        raise self._refusal("formatted")

    def _refusal(self, operation: str) -> TypeError:
        return TypeError(
            f"{self._name()} cannot be {operation} here: its value is known only after that task has run. "
            "Pass it to another task as an argument, and do this there"
        )

    def _name(self) -> str:
        what = "the output" if self.key is None else f"the value {self.key!r}"
        return f"{what} of task {self.task_id}{''.join(f'[{step!r}]' for step in self.path)}"


@frozen
class Input:
    """An output in the arguments of a task.

    Attributes:
        at: Its path: index or name of the argument, then keys and indexes inside it.
        output: The output.
    """

    at: tuple[Step, ...]
    output: Output


def extract_outputs(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any], list[Input]]:
    """Return arguments with outputs replaced by None, and the outputs: positional arguments first, then by name."""
    inputs: list[Input] = []

    def plain(value: Any, at: tuple[Step, ...]) -> Any:
        if isinstance(value, Output):
            inputs.append(Input(at, value))
            return None
        if len(at) >= MAX_DEPTH:
            return value  # refused later for its depth; it may even contain itself
        if isinstance(value, list | tuple):
            return [plain(item, (*at, index)) for index, item in enumerate(value)]
        if isinstance(value, dict):
            return {key: plain(item, (*at, key)) for key, item in value.items()}
        return value

    positional = [plain(value, (index,)) for index, value in enumerate(args)]
    named = {name: plain(value, (name,)) for name, value in kwargs.items()}
    # Sorted, not in the order of keys, since a task may get its user from the first one.
    inputs.sort(key=lambda found: [(isinstance(step, str), step) for step in found.at])
    return positional, named, inputs


def edges(parents: tuple[After, ...], inputs: list[Input]) -> tuple[After, ...]:
    """Return all dependencies of a task: those in ``depends_on``, and the tasks whose outputs it uses."""
    by_id = {found.output.task_id: After(found.output.task_id) for found in inputs}
    return tuple((by_id | {parent.task_id: parent for parent in parents}).values())


def fill_in(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], inputs: tuple[Input, ...], value_of: Callable[[Input], Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return arguments with outputs replaced by their values. Nested lists and objects are changed in place.

    Raises:
        LookupError: The arguments do not have the path of an input.
    """
    positional, named = list(args), dict(kwargs)
    for found in inputs:
        holder: Any = positional if isinstance(found.at[0], int) else named
        for step in found.at[:-1]:
            holder = holder[step]
        holder[found.at[-1]] = value_of(found)
    return tuple(positional), named
