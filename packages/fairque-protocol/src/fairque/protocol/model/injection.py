"""Finds the parameter of a function that takes the context of its task: the one annotated with `TaskContext`."""

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

from attrs import field, frozen

from fairque.protocol.errors import FairqueError
from fairque.protocol.locks import import_lock
from fairque.protocol.model.annotations import Meaning, Scope, meaning_of
from fairque.protocol.model.source import annotations_in_source

__all__ = ["ContextPlace", "call_signature", "context_place", "refuse_context_of_many", "with_context"]

_PLACED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_MANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

#: Results by function, so that signatures are read once.
_known: "WeakKeyDictionary[Callable[..., Any], ContextPlace | None]" = WeakKeyDictionary()


@frozen
class ContextPlace:
    """The parameter of a function that takes the context.

    Attributes:
        name: Its name.
        index: Its position; None if it is keyword-only.
        by_place_only: Whether it is positional-only, so that its name is free for another argument.
        of_wrapper: Whether it belongs to a decorator of the function, not to the function itself.
    """

    name: str
    index: int | None
    by_place_only: bool = field(default=False, eq=False)
    of_wrapper: bool = field(default=False, eq=False)


def context_place(func: Callable[..., Any]) -> ContextPlace | None:
    """Return the parameter of a function that takes the context; None if it does not take one.

    Raises:
        FairqueError: Two parameters do, or the annotation of one is similar but cannot be satisfied by a worker.
    """
    try:
        return _known[func]
    except (KeyError, TypeError):
        place = _find(func)
    with suppress(TypeError):  # raised for callables without weak references
        _known[func] = place
    return place


def refuse_context_of_many(func: Callable[..., Any]) -> None:
    """Refuse a function that annotates ``*args`` or ``**kwargs`` with the context.

    Raises:
        FairqueError: It does so.
    """
    last = _layers(func)[-1]
    scope = Scope.of(last)
    for parameter in _parameters(last):
        if parameter.kind in _MANY and meaning_of(parameter.annotation, scope) is Meaning.CONTEXT:
            raise FairqueError(
                f"{func.__qualname__!r} annotates {str(parameter).partition(':')[0]!r} with TaskContext: a task has "
                "one context. Use a single parameter, such as ctx: TaskContext"
            )


def call_signature(func: Callable[..., Any]) -> inspect.Signature:
    """Return the signature that the callers of a task see: without the context, which the worker passes.

    Raises:
        ValueError: The signature of the function cannot be read.
        FairqueError: See `context_place`.
    """
    place, signature = context_place(func), _own_signature(_layers(func)[-1])
    context = None if place is None or place.of_wrapper else place.name
    visible = [parameter for parameter in signature.parameters.values() if parameter.name != context]
    return signature.replace(parameters=visible)


def with_context(
    func: Callable[..., Any], context: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Return the arguments of a call, including the context if the function takes it."""
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
    """Return the defaults of omitted parameters before a positional-only context."""
    return [parameter.default for parameter in _parameters(_layers(func)[-1])[first:last]]


def _find(func: Callable[..., Any]) -> ContextPlace | None:
    *outer, last = _layers(func)
    # A decorator may take the context itself, and call the function without it.
    for layer in (last, *outer):
        places = _places(func, layer)
        if len(places) > 1:
            raise FairqueError(
                f"{func.__qualname__!r} has two parameters of type TaskContext, {places[0].name!r} and "
                f"{places[1].name!r}: a task has one context"
            )
        if places:
            return places[0]
    return None


def _places(func: Callable[..., Any], layer: Callable[..., Any]) -> list[ContextPlace]:
    scope = Scope.of(layer)
    places: list[ContextPlace] = []
    for index, parameter in enumerate(_parameters(layer)):
        if parameter.kind not in _MANY and _is_context(func, parameter, scope):
            position = index if parameter.kind in _PLACED else None
            positional_only = parameter.kind is inspect.Parameter.POSITIONAL_ONLY
            places.append(ContextPlace(parameter.name, position, positional_only, layer is not _layers(func)[-1]))
    return places


def _is_context(func: Callable[..., Any], parameter: inspect.Parameter, scope: Scope) -> bool:
    meaning = meaning_of(parameter.annotation, scope)
    if meaning is Meaning.UNKNOWN and parameter.default is not None:
        return False  # if it is the context after all, creating a task fails: the argument is missing
    if meaning in _REFUSED:
        annotation = inspect.formatannotation(parameter.annotation)
        raise FairqueError(
            f"the parameter {parameter.name!r} of {func.__qualname__!r} is annotated with {annotation}, "
            f"{_REFUSED[meaning]}"
        )
    return meaning is Meaning.CONTEXT


_REFUSED = {
    Meaning.SUBCLASS: "a subclass of TaskContext, but the worker passes a TaskContext: annotate it with that",
    Meaning.INSIDE: "but the worker passes a single TaskContext, and producers cannot pass one: annotate it with "
    "TaskContext",
    Meaning.UNSURE: "and it is unclear whether that is the TaskContext of fairque: import it outside "
    "`if TYPE_CHECKING:`, from fairque.client or fairque.worker",
    Meaning.UNKNOWN: "which is not defined in its module, so it is unclear whether it should get the context: "
    "import the name",
}


def _layers(func: Callable[..., Any]) -> list[Callable[..., Any]]:
    """Return a function and the functions it wraps, down to the one whose signature applies to a call.

    A wrapper with ``*args`` or ``**kwargs`` is taken to pass them on to the function in its ``__wrapped__``.
    """
    layers: list[Any] = [func]
    while _passes_on(layers[-1]) and layers[-1].__wrapped__ not in layers:
        layers.append(layers[-1].__wrapped__)
    return layers


def _passes_on(func: Any) -> bool:
    if not callable(getattr(func, "__wrapped__", None)) or getattr(func, "__signature__", None) is not None:
        return False
    try:
        return any(parameter.kind in _MANY for parameter in _own_signature(func).parameters.values())
    except (TypeError, ValueError):
        return True  # such as a functools.lru_cache, which has no signature


def _own_signature(func: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of a function itself, not of what it wraps, with the annotations in its source."""
    signature = _read_signature(func)
    if not _has_borrowed(func):
        return signature
    own = annotations_in_source(func)
    parameters = [
        parameter.replace(annotation=own.get(parameter.name, parameter.empty))
        for parameter in signature.parameters.values()
    ]
    return signature.replace(parameters=parameters)


def _has_borrowed(func: Any) -> bool:
    """Return whether a wrapper has the annotations of the function it wraps, copied by `functools.wraps`."""
    wrapped = getattr(func, "__wrapped__", None)
    # An object without code, such as a partial, has no annotations of its own.
    if wrapped is None or not hasattr(func, "__code__") or getattr(func, "__signature__", None) is not None:
        return False
    if sys.version_info >= (3, 14):
        return func.__annotate__ is not None and func.__annotate__ is getattr(wrapped, "__annotate__", None)
    return getattr(func, "__annotations__", None) is getattr(wrapped, "__annotations__", func)


def _read_signature(func: Callable[..., Any]) -> inspect.Signature:
    if sys.version_info >= (3, 14):
        with import_lock:
            from annotationlib import Format  # noqa: PLC0415 - new in Python 3.14

        # Names without a value, such as those for type checkers only, stay unevaluated.
        return inspect.signature(func, follow_wrapped=False, annotation_format=Format.FORWARDREF)
    return inspect.signature(func, follow_wrapped=False)


def _parameters(func: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(_own_signature(func).parameters.values())
    except (TypeError, ValueError):
        return []
