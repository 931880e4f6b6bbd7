"""Which parameter of a function takes the context of its task: the one that is annotated with `TaskContext`."""

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

from attrs import field, frozen

from fairque.protocol.errors import FairqueError
from fairque.protocol.model.annotations import Meaning, Scope, meaning_of
from fairque.protocol.model.source import annotations_in_source

__all__ = ["ContextPlace", "call_signature", "context_place", "refuse_context_of_many", "with_context"]

_PLACED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_MANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

#: What was found of functions that live on; their signatures are read once.
_known: "WeakKeyDictionary[Callable[..., Any], ContextPlace | None]" = WeakKeyDictionary()


@frozen
class ContextPlace:
    """Where a function takes its context.

    Attributes:
        name: The parameter.
        index: Its place among the parameters; None when it is given by name only.
        by_place_only: Whether it cannot be given by its name, so that another argument may have that.
        of_wrapper: Whether a decorator of the function takes it, and the function itself does not.
    """

    name: str
    index: int | None
    by_place_only: bool = field(default=False, eq=False)
    of_wrapper: bool = field(default=False, eq=False)


def context_place(func: Callable[..., Any]) -> ContextPlace | None:
    """Return where a function takes its context; None when it takes none.

    Raises:
        FairqueError: Two of its parameters do, or one seems to, but is annotated with what no worker can give.
    """
    try:
        return _known[func]
    except (KeyError, TypeError):
        place = _find(func)
    with suppress(TypeError):  # of a callable that cannot be remembered
        _known[func] = place
    return place


def refuse_context_of_many(func: Callable[..., Any]) -> None:
    """Refuse a function that wants its context among any number of arguments, ``*args`` or ``**kwargs``.

    Raises:
        FairqueError: It does.
    """
    last = _layers(func)[-1]
    scope = Scope.of(last)
    for parameter in _parameters(last):
        if parameter.kind in _MANY and meaning_of(parameter.annotation, scope) is Meaning.CONTEXT:
            raise FairqueError(
                f"{func.__qualname__!r} annotates {str(parameter).partition(':')[0]!r} with TaskContext: a task has "
                "one context. Give it a parameter of its own, such as ctx: TaskContext"
            )


def call_signature(func: Callable[..., Any]) -> inspect.Signature:
    """Return the signature that the callers of a task see: without the context, which the worker gives.

    Raises:
        ValueError: The function has no signature that can be read.
        FairqueError: See `context_place`.
    """
    place, signature = context_place(func), _own_signature(_layers(func)[-1])
    left_out = None if place is None or place.of_wrapper else place.name
    given = [one for one in signature.parameters.values() if one.name != left_out]
    return signature.replace(parameters=given)


def with_context(
    func: Callable[..., Any], context: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Return the arguments of a call, and among them the context if the function takes it."""
    place = context_place(func)
    if place is None:
        return args, kwargs
    index = place.index
    if index is not None and place.by_place_only:
        args = [*args, *_defaults(func, len(args), index)]
    if index is not None and index <= len(args) and (place.by_place_only or place.name not in kwargs):
        return [*args[:index], context, *args[index:]], kwargs
    return args, {**kwargs, place.name: context}


def _defaults(func: Callable[..., Any], first: int, last: int) -> list[Any]:
    """Return the defaults of parameters that are left out before a context which is given by its place."""
    return [one.default for one in _parameters(_layers(func)[-1])[first:last]]


def _find(func: Callable[..., Any]) -> ContextPlace | None:
    *outer, last = _layers(func)
    # A decorator may ask for the context itself, and call the function without it.
    for layer in (last, *outer):
        found = _places(func, layer)
        if len(found) > 1:
            raise FairqueError(
                f"{func.__qualname__!r} has two parameters of type TaskContext, {found[0].name!r} and "
                f"{found[1].name!r}: a task has one context"
            )
        if found:
            return found[0]
    return None


def _places(func: Callable[..., Any], layer: Callable[..., Any]) -> list[ContextPlace]:
    scope = Scope.of(layer)
    found: list[ContextPlace] = []
    for index, parameter in enumerate(_parameters(layer)):
        if parameter.kind not in _MANY and _is_context(func, parameter, scope):
            placed = index if parameter.kind in _PLACED else None
            only = parameter.kind is inspect.Parameter.POSITIONAL_ONLY
            found.append(ContextPlace(parameter.name, placed, only, layer is not _layers(func)[-1]))
    return found


def _is_context(func: Callable[..., Any], parameter: inspect.Parameter, scope: Scope) -> bool:
    meaning = meaning_of(parameter.annotation, scope)
    if meaning is Meaning.UNKNOWN and parameter.default is not None:
        return False  # were it the context, then no task could be made without it
    if meaning in _REFUSED:
        written = inspect.formatannotation(parameter.annotation)
        raise FairqueError(
            f"the parameter {parameter.name!r} of {func.__qualname__!r} is annotated with {written}, "
            f"{_REFUSED[meaning]}"
        )
    return meaning is Meaning.CONTEXT


_REFUSED = {
    Meaning.SUBCLASS: "a subclass of TaskContext, but the worker gives a TaskContext: annotate it with that",
    Meaning.INSIDE: "but the worker gives one TaskContext, and no producer can pass one: annotate it with TaskContext",
    Meaning.UNSURE: "and nobody can tell here whether that is the TaskContext of fairque: import it outside of "
    "`if TYPE_CHECKING:`, from fairque.client or fairque.worker",
    Meaning.UNKNOWN: "which is not defined in its module, so that nobody can tell whether it is to get the context: "
    "import what it names",
}


def _layers(func: Callable[..., Any]) -> list[Callable[..., Any]]:
    """Return a function and those that it wraps, down to the one whose signature holds for a call.

    A wrapper that takes anything passes it on, and with `functools.wraps` it names what it wraps.
    """
    layers: list[Any] = [func]
    while _passes_on(layers[-1]) and layers[-1].__wrapped__ not in layers:
        layers.append(layers[-1].__wrapped__)
    return layers


def _passes_on(func: Any) -> bool:
    if not callable(getattr(func, "__wrapped__", None)) or getattr(func, "__signature__", None) is not None:
        return False
    try:
        return any(one.kind in _MANY for one in _own_signature(func).parameters.values())
    except (TypeError, ValueError):
        return True  # such as a functools.lru_cache, which has no signature of its own


def _own_signature(func: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of a function, whatever it wraps, and with the annotations that are written in it."""
    signature = _read_signature(func)
    if not _has_borrowed(func):
        return signature
    own = annotations_in_source(func)
    every = signature.parameters.values()
    return signature.replace(parameters=[one.replace(annotation=own.get(one.name, one.empty)) for one in every])


def _has_borrowed(func: Any) -> bool:
    """Say whether the annotations of a wrapper are those of what it wraps, as `functools.wraps` leaves it."""
    wrapped = getattr(func, "__wrapped__", None)
    # What has no code, such as a partial, has no annotations of its own: its parameters come with theirs.
    if wrapped is None or not hasattr(func, "__code__") or getattr(func, "__signature__", None) is not None:
        return False
    if sys.version_info >= (3, 14):
        return func.__annotate__ is not None and func.__annotate__ is getattr(wrapped, "__annotate__", None)
    return getattr(func, "__annotations__", None) is getattr(wrapped, "__annotations__", func)


def _read_signature(func: Callable[..., Any]) -> inspect.Signature:
    if sys.version_info >= (3, 14):
        from annotationlib import Format  # noqa: PLC0415 - not there before

        # What has no value yet, or for type checkers only, is left as it is written.
        return inspect.signature(func, follow_wrapped=False, annotation_format=Format.FORWARDREF)
    return inspect.signature(func, follow_wrapped=False)


def _parameters(func: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(_own_signature(func).parameters.values())
    except (TypeError, ValueError):
        return []
