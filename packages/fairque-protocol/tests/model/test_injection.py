"""The parameter that takes the context of a task is found by its annotation, in whatever form."""

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Optional

import pytest

from fairque.protocol.errors import FairqueError
from fairque.protocol.model.context import TaskContext
from fairque.protocol.model.injection import ContextPlace, context_place, with_context
from fairque.protocol.model.registry import REGISTRY, parameter_name

if TYPE_CHECKING:
    from decimal import Decimal

    from fairque.protocol.model import context


def first(ctx: TaskContext, a: int) -> None: ...
def later(a: int, ctx: TaskContext, b: int) -> None: ...
def named(a: int, *, ctx: TaskContext) -> None: ...
def placed(ctx: TaskContext, /, a: int) -> None: ...
def or_none(a: int, ctx: TaskContext | None = None) -> None: ...
def optional(a: int, ctx: Optional[TaskContext] = None) -> None: ...  # noqa: UP045 - as some write it
def annotated(ctx: Annotated[TaskContext, "of the task"], a: int) -> None: ...
def as_text(ctx: "TaskContext", a: int) -> None: ...
def with_module(ctx: "context.TaskContext", a: int) -> None: ...
def for_checkers(ctx: "TaskContext | None", a: "Decimal") -> None: ...
async def coroutine(ctx: TaskContext) -> None: ...


@pytest.mark.parametrize(
    ("function", "place"),
    [
        (first, ContextPlace("ctx", 0)),
        (later, ContextPlace("ctx", 1)),
        (named, ContextPlace("ctx", None)),
        (placed, ContextPlace("ctx", 0)),
        (or_none, ContextPlace("ctx", 1)),
        (optional, ContextPlace("ctx", 1)),
        (annotated, ContextPlace("ctx", 0)),
        (as_text, ContextPlace("ctx", 0)),
        (with_module, ContextPlace("ctx", 0)),
        (for_checkers, ContextPlace("ctx", 0)),
        (coroutine, ContextPlace("ctx", 0)),
    ],
)
def test_the_context_parameter_is_found(function: Callable[..., Any], place: ContextPlace) -> None:
    assert context_place(function) == place
    assert context_place(function) == place


def without(a: int, ctx: Any, b: "Decimal", c: int | str, *args: TaskContext, **kwargs: TaskContext) -> None: ...


class TestNone:
    class TaskContext:
        """Another class with the same name."""

    def other(self, ctx: "TestNone.TaskContext") -> None: ...

    @pytest.mark.parametrize("function", [without, print, len, functools.partial(without, 1), other])
    def test_other_parameters_are_not_taken_for_the_context(self, function: Callable[..., Any]) -> None:
        assert context_place(function) is None
        assert with_context(function, "context", [1], {"b": 2}) == ([1], {"b": 2})


def test_two_contexts_are_refused() -> None:
    def twice(one: TaskContext, other: TaskContext) -> None: ...

    with pytest.raises(FairqueError, match="has two parameters of type TaskContext, 'one' and 'other'"):
        context_place(twice)


@pytest.mark.parametrize(
    ("function", "args", "kwargs"),
    [
        (first, (1,), {}),
        (first, (), {"a": 1}),
        (placed, (1,), {}),
        (named, (1,), {}),
        (or_none, (), {"a": 1}),
        (or_none, (1,), {}),
    ],
)
def test_the_context_is_passed_with_the_arguments(
    function: Callable[..., Any], args: tuple[int, ...], kwargs: dict[str, int]
) -> None:
    given, named_ones = with_context(function, "context", args, kwargs)
    bound = inspect.signature(function).bind(*given, **named_ones)
    assert bound.arguments == {"ctx": "context", "a": 1}


def test_a_context_in_the_middle_shifts_later_arguments() -> None:
    assert with_context(later, "context", (1, 2), {}) == ([1, "context", 2], {})
    assert with_context(later, "context", (1,), {"b": 2}) == ([1, "context"], {"b": 2})
    assert with_context(later, "context", (), {"a": 1, "b": 2}) == ((), {"a": 1, "b": 2, "ctx": "context"})


def test_an_argument_of_a_message_never_replaces_the_context() -> None:
    assert with_context(named, "context", (1,), {"ctx": "forged"}) == ((1,), {"ctx": "context"})


def test_errors_name_the_parameter_of_an_argument_after_the_context() -> None:
    name = REGISTRY.register(later, "tests:later")
    assert [parameter_name(name, place) for place in (0, 1, 2)] == ["a", "b", ""]
