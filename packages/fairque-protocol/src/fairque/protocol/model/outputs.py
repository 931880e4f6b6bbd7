"""Outputs: references to what a task will have left, which stand among the arguments of another one until it runs."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NoReturn, TypeAlias

from attrs import evolve, field, frozen

from fairque.protocol.errors import InvalidTask, OutputMissing, ProtocolError
from fairque.protocol.jsonvalue import MAX_DEPTH, loads
from fairque.protocol.model.dependencies import After
from fairque.protocol.model.ids import check_id
from fairque.protocol.model.states import TaskState
from fairque.protocol.showing import shown

__all__ = ["Input", "Left", "Output", "edges", "fill_in", "take_out"]

Step: TypeAlias = str | int


def _an_id(_: object, __: object, value: str) -> None:
    check_id(value, "the task of an output")


def _a_key(_: object, __: object, value: str | None) -> None:
    if value is not None:
        check_id(value, "key")


@frozen
class Left:
    """What a task has left.

    Attributes:
        state: Its state; None when it is not known.
        result: JSON of its result, empty for null, or of its error.
        xcom: JSON of the values that it pushed, as `XCom` writes it; empty for none.
    """

    state: TaskState | None
    result: bytes
    xcom: bytes

    @property
    def func(self) -> str | None:
        """The function of a task that has pushed values."""
        return _read(self.xcom).get("func") if self.xcom else None

    @property
    def values(self) -> Mapping[str, Any]:
        """The values that it pushed, by key."""
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
    """What a task will have left: its result, or the value that it pushes under a key; whole, or a part of it.

    As an argument of another task it makes that one depend on the task, and is replaced by the value when it runs.
    `Task.output` makes it; ``output["rows"][0]`` is a part of it. Nothing else can be done with it, since there is no
    value yet: to walk over it, to count or test it, or to put it into a text is a `TypeError`.

    Attributes:
        task_id: The task that leaves it.
        key: Under which it pushes the value; None for its result.
        path: Keys and places that lead to the part.
    """

    json_hint: ClassVar[str] = "the output of another task may stand among args and kwargs, and in lists there"

    task_id: str = field(validator=_an_id)
    key: str | None = field(default=None, validator=_a_key)
    path: tuple[Step, ...] = ()

    def value_in(self, left: Left) -> Any:
        """Return the value, from what the task has left.

        Raises:
            OutputMissing: The task is forgotten or has not finished, or left no such value.
        """
        if left.state is not TaskState.FINISHED:
            ended = "is not known any more" if left.state is None else f"is {left.state}"
            raise OutputMissing(f"{self._name()} cannot be had: that task {ended}", self.task_id)
        if self.key is None:
            value: Any = loads(left.result) if left.result else None
        elif self.key in left.values:
            value = left.values[self.key]
        else:
            keys = ", ".join(map(repr, left.values)) or "none"
            raise OutputMissing(f"{self._name()} cannot be had: the keys that it pushed are {keys}", self.task_id)
        for step in self.path:
            try:
                value = value[step]
            except (LookupError, TypeError):
                problem = f"{self._name()} cannot be had: there is nothing at {shown(step)}"
                raise OutputMissing(problem, self.task_id) from None
        return value

    def __getitem__(self, step: Step) -> "Output":
        """Return a reference to a part: what stands under that key of an object, or at that place of a list."""
        if type(step) not in (str, int):
            raise InvalidTask(f"a part of an output is named by a text or a whole number, not {shown(step)}")
        return evolve(self, path=(*self.path, step))

    # Python would walk over it place by place, without an end, and take it for true; and a text would say what it is
    # instead of what it stands for.
    def __iter__(self) -> NoReturn:
        raise self._refusal("walked over")

    def __contains__(self, item: object) -> NoReturn:
        raise self._refusal("searched")

    def __len__(self) -> int:
        raise self._refusal("counted")

    def __bool__(self) -> bool:
        raise self._refusal("tested")

    def __format__(self, form: str) -> NoReturn:
        raise self._refusal("put into a text")

    def _refusal(self, done: str) -> TypeError:
        return TypeError(
            f"{self._name()} cannot be {done} here: its value is known when that task has run. "
            "Pass it to another task as an argument, and do this there"
        )

    def _name(self) -> str:
        what = "the output" if self.key is None else f"the value {self.key!r}"
        return f"{what} of task {self.task_id}{''.join(f'[{step!r}]' for step in self.path)}"


@frozen
class Input:
    """The place of an output among the arguments of a task.

    Attributes:
        at: The place: number or name of the argument, then keys and places inside of it.
        output: What is to stand there.
    """

    at: tuple[Step, ...]
    output: Output


def take_out(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any], list[Input]]:
    """Return arguments with None where outputs stand, and these outputs: those of the places first, then by name."""
    found: list[Input] = []

    def plain(value: Any, at: tuple[Step, ...]) -> Any:
        if isinstance(value, Output):
            found.append(Input(at, value))
            return None
        if len(at) >= MAX_DEPTH:
            return value  # refused for its depth; it may even hold itself
        if isinstance(value, list | tuple):
            return [plain(item, (*at, place)) for place, item in enumerate(value)]
        if isinstance(value, dict):
            return {key: plain(item, (*at, key)) for key, item in value.items()}
        return value

    positional = [plain(value, (place,)) for place, value in enumerate(args)]
    named = {name: plain(value, (name,)) for name, value in kwargs.items()}
    # Not in the order in which keys happen to stand, since the first one may give the task its user.
    found.sort(key=lambda one: [(isinstance(step, str), step) for step in one.at])
    return positional, named, found


def edges(parents: tuple[After, ...], inputs: list[Input]) -> tuple[After, ...]:
    """Return all that a task depends on: what it names itself, and the tasks whose outputs it takes."""
    every = {one.output.task_id: After(one.output.task_id) for one in inputs}
    return tuple((every | {parent.task_id: parent for parent in parents}).values())


def fill_in(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], inputs: tuple[Input, ...], value_of: Callable[[Input], Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return arguments with the values of outputs in their places. Lists and objects on the way are changed in place.

    Raises:
        LookupError: There is no such place.
    """
    positional, named = list(args), dict(kwargs)
    for one in inputs:
        holder: Any = positional if isinstance(one.at[0], int) else named
        for step in one.at[:-1]:
            holder = holder[step]
        holder[one.at[-1]] = value_of(one)
    return tuple(positional), named
