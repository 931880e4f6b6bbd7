"""What the callers of a task function see, and what they do not; and which functions cannot be one."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_origin

from attrs import frozen

from fairque.protocol.errors import FairqueError
from fairque.protocol.model.injection import call_signature, context_place, refuse_context_of_many
from fairque.protocol.model.naming import Unreachable, reference_of
from fairque.protocol.model.xcom import xcom_use
from fairque.protocol.showing import shown

__all__ = ["Face", "face_of"]


@frozen
class Face:
    """What the callers of a task function see, and what they do not.

    Attributes:
        signature: What they may pass.
        filled: Names of the arguments that the worker gives: the context, and what is pulled.
        unreachable: Why no worker could find the function; None when one can.
    """

    signature: inspect.Signature
    filled: frozenset[str]
    unreachable: str | None = None

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Refuse arguments that the function does not take, and those that the worker gives.

        Raises:
            TypeError: One of them cannot be passed.
        """
        self.signature.bind(*args, **kwargs)
        if kwargs and not self.filled.isdisjoint(kwargs):
            raise TypeError(f"got an unexpected keyword argument {min(self.filled & kwargs.keys())!r}")


def face_of(func: Callable[..., Any], name: str | None) -> Face:
    """Return what the callers see of a function that a worker can find and call.

    Args:
        func: What is decorated.
        name: The name that it was given.

    Raises:
        TypeError: It is not a function.
        FairqueError: No worker could find or call it.
    """
    if isinstance(func, staticmethod | classmethod):
        raise TypeError(f"@task takes a function, not a {type(func).__name__}: put @staticmethod above @task")
    # A generic class with parameters, as Box[int], gives the names of the class as its own.
    if isinstance(get_origin(func) or func, type) or not callable(func) or not hasattr(func, "__qualname__"):
        raise TypeError(f"@task takes a function, not {shown(func)}")
    place = func.__qualname__
    if name is None and ("<locals>" in place or "<lambda>" in place):
        raise FairqueError(
            f"no worker finds {place!r} when it imports {func.__module__}. Define it with def at the top of the "
            "module, or give it a name and see to it that each worker makes it: @task(name=...)"
        )
    if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
        raise FairqueError(f"{place!r} yields: a task has one result. Return a list instead")
    try:
        signature = call_signature(func)
    except ValueError as error:
        raise TypeError(f"{place!r} has no signature that can be read ({error}): wrap it in a function") from None
    if inspect.ismethod(func) or next(iter(signature.parameters), None) in ("self", "cls"):
        raise FairqueError(
            f"{place!r} is a method, and no worker has its object. "
            "Decorate a function, or put @staticmethod above @task"
        )
    refuse_context_of_many(func)
    pulled = {pull.parameter for pull in xcom_use(func).pulls}
    return Face(_without_pulled(signature, pulled), _filled(func, pulled), _problem(func) if name is None else None)


def _filled(func: Callable[..., Any], pulled: set[str]) -> frozenset[str]:
    context = context_place(func)
    # A name for which a place alone counts is free for others.
    return frozenset(pulled if context is None or context.by_place_only else {*pulled, context.name})


def _problem(func: Callable[..., Any]) -> str | None:
    """Say why no worker could find a function; None when one can."""
    try:
        reference_of(func)
    except Unreachable as error:
        return str(error)
    return None


def _without_pulled(signature: inspect.Signature, pulled: set[str]) -> inspect.Signature:
    """Return a signature without some parameters. Those behind them are given by name: places would have shifted."""
    left: list[inspect.Parameter] = []
    shifted = False
    for name, parameter in signature.parameters.items():
        if name in pulled:
            shifted = True
        elif not shifted or parameter.kind is inspect.Parameter.VAR_KEYWORD:
            left.append(parameter)
        elif parameter.kind is not inspect.Parameter.VAR_POSITIONAL:
            left.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    return signature.replace(parameters=left)
