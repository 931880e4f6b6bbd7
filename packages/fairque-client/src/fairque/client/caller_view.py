"""The signature of a task function as its callers see it, and which functions cannot be task functions."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_origin

from attrs import field, frozen

from fairque.protocol.errors import FairqueError
from fairque.protocol.model.injection import call_signature, context_place, refuse_context_of_many
from fairque.protocol.model.naming import Unreachable, reference_of
from fairque.protocol.model.xcom import xcom_use
from fairque.protocol.safe_repr import safe_repr

__all__ = ["CallerView", "caller_view_of"]


@frozen
class CallerView:
    """The signature of a task function as its callers see it.

    Attributes:
        signature: The parameters that callers pass.
        filled: Names of the parameters that the worker fills in: the context, and pulled values.
        unreachable: Why no worker could find the function; None if workers can.
    """

    signature: inspect.Signature
    filled: frozenset[str]
    unreachable: str | None = None
    #: By the number of positional arguments: the names that then must be passed, and those that may be.
    _names: "Sequence[tuple[frozenset[str], frozenset[str]]]" = field(init=False, eq=False, repr=False)

    @_names.default
    def _by_count(self) -> Sequence[tuple[frozenset[str], frozenset[str]]]:
        return _names_by_count(self.signature, self.filled)

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Refuse arguments that the function does not take or that the worker fills in.

        Raises:
            TypeError: An argument cannot be passed.
        """
        if len(args) < len(self._names):
            required, allowed = self._names[len(args)]
            if required <= kwargs.keys() and allowed.issuperset(kwargs):
                return
        # It takes longer, and says what is wrong.
        self.signature.bind(*args, **kwargs)
        if kwargs and not self.filled.isdisjoint(kwargs):
            raise TypeError(f"got an unexpected keyword argument {min(self.filled & kwargs.keys())!r}")


def caller_view_of(func: Callable[..., Any], name: str | None) -> CallerView:
    """Return the signature of a function as callers of its tasks see it.

    Args:
        func: The decorated object.
        name: The ``name`` given to ``@task``.

    Raises:
        TypeError: `func` is not a function.
        FairqueError: No worker could find or call it.
    """
    if isinstance(func, staticmethod | classmethod):
        raise TypeError(f"@task takes a function, not a {type(func).__name__}: put @staticmethod above @task")
    # A parametrized generic class such as Box[int] forwards attributes to the class.
    if isinstance(get_origin(func) or func, type) or not callable(func) or not hasattr(func, "__qualname__"):
        raise TypeError(f"@task takes a function, not {safe_repr(func)}")
    place = func.__qualname__
    if name is None and ("<locals>" in place or "<lambda>" in place):
        raise FairqueError(
            f"no worker finds {place!r} when it imports {func.__module__}. Define it with def at the top level of the "
            "module, or give it a name and make sure that each worker defines it: @task(name=...)"
        )
    if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
        raise FairqueError(f"{place!r} is a generator, but a task has one result: return a list instead")
    try:
        signature = call_signature(func)
    except ValueError as error:
        raise TypeError(f"the signature of {place!r} cannot be read ({error}): wrap it in a function") from None
    if inspect.ismethod(func) or next(iter(signature.parameters), None) in ("self", "cls"):
        raise FairqueError(
            f"{place!r} is a method, and workers do not have its object. "
            "Decorate a function, or put @staticmethod above @task"
        )
    refuse_context_of_many(func)
    pulled = {pull.parameter for pull in xcom_use(func).pulls}
    return CallerView(
        _without_pulled(signature, pulled), _filled(func, pulled), _problem(func) if name is None else None
    )


def _names_by_count(
    signature: inspect.Signature, filled: frozenset[str]
) -> Sequence[tuple[frozenset[str], frozenset[str]]]:
    """Return, for each number of positional arguments, the names that must and may be passed; empty if any may."""
    parameters = signature.parameters.values()
    if any(parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) for parameter in parameters):
        return ()
    placed = [p for p in parameters if p.kind is not p.KEYWORD_ONLY]
    return [
        (
            frozenset(p.name for p in parameters if p.default is p.empty and p not in placed[:count]),
            frozenset(p.name for p in parameters if p.kind is not p.POSITIONAL_ONLY and p not in placed[:count])
            - filled,
        )
        for count in range(len(placed) + 1)
    ]


def _filled(func: Callable[..., Any], pulled: set[str]) -> frozenset[str]:
    context = context_place(func)
    # A context found by position alone does not reserve its name.
    return frozenset(pulled if context is None or context.by_place_only else {*pulled, context.name})


def _problem(func: Callable[..., Any]) -> str | None:
    """Return why no worker could find a function; None if workers can."""
    try:
        reference_of(func)
    except Unreachable as error:
        return str(error)
    return None


def _without_pulled(signature: inspect.Signature, pulled: set[str]) -> inspect.Signature:
    """Return a signature without pulled parameters. Later ones become keyword-only, since positions would shift."""
    kept: list[inspect.Parameter] = []
    shifted = False
    for name, parameter in signature.parameters.items():
        if name in pulled:
            shifted = True
        elif not shifted or parameter.kind is inspect.Parameter.VAR_KEYWORD:
            kept.append(parameter)
        elif parameter.kind is not inspect.Parameter.VAR_POSITIONAL:
            kept.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    return signature.replace(parameters=kept)
