"""Which parameter of a function takes the context of its task: the one that is annotated with `TaskContext`."""

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import UnionType
from typing import Any
from weakref import WeakKeyDictionary

from attrs import frozen

from fairque.protocol.errors import FairqueError

__all__ = ["ContextPlace", "context_place", "with_context"]

_PLACED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)

#: By its name, since the registry, which it needs in turn, looks here.
_CONTEXT = ("fairque.protocol.model.context", "TaskContext")

#: What was found of functions that live on; their signatures are read once.
_known: "WeakKeyDictionary[Callable[..., Any], ContextPlace | None]" = WeakKeyDictionary()


@frozen
class ContextPlace:
    """Where a function takes its context.

    Attributes:
        name: The parameter.
        index: Its place among the parameters; None when it is given by name only.
    """

    name: str
    index: int | None


def context_place(func: Callable[..., Any]) -> ContextPlace | None:
    """Return where a function takes its context; None when it takes none.

    Raises:
        FairqueError: Two of its parameters do.
    """
    try:
        return _known[func]
    except (KeyError, TypeError):
        place = _find(func)
    with suppress(TypeError):  # of a callable that cannot be remembered
        _known[func] = place
    return place


def with_context(
    func: Callable[..., Any], context: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Return the arguments of a call, and among them the context if the function takes it."""
    place = context_place(func)
    if place is None:
        return args, kwargs
    if place.index is not None and place.index <= len(args) and place.name not in kwargs:
        return [*args[: place.index], context, *args[place.index :]], kwargs
    return args, {**kwargs, place.name: context}


def _find(func: Callable[..., Any]) -> ContextPlace | None:
    found = [
        ContextPlace(name, index if parameter.kind in _PLACED else None)
        for index, (name, parameter) in enumerate(_parameters(func).items())
        if parameter.kind in {*_PLACED, *_NAMED} and _is_context(parameter.annotation)
    ]
    if len(found) > 1:
        raise FairqueError(
            f"{func.__qualname__!r} has two parameters of type TaskContext, {found[0].name!r} and {found[1].name!r}: "
            "a task has one context"
        )
    return found[0] if found else None


def _parameters(func: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(func, eval_str=True).parameters
    except Exception:  # noqa: BLE001 - annotations are code of the user's; names may exist for type checkers only
        try:
            return inspect.signature(func).parameters
        except (TypeError, ValueError):
            return {}


def _is_context(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return any(part.strip(" '\"").rpartition(".")[2] == "TaskContext" for part in annotation.split("|"))
    if typing.get_origin(annotation) in (typing.Union, UnionType, typing.Annotated):
        return any(_is_context(part) for part in typing.get_args(annotation))
    return isinstance(annotation, type) and (annotation.__module__, annotation.__qualname__) == _CONTEXT
