"""The registry of task functions: workers run only functions found here, whatever a message names."""

import difflib
import inspect
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from types import CodeType, FunctionType
from typing import Any

from attrs import frozen

from fairque.protocol.errors import FairqueError, UnknownFunction
from fairque.protocol.model.injection import call_signature
from fairque.protocol.model.naming import Unreachable, defined_in, namespace_of_module, plain_name, reference_of

__all__ = [
    "REGISTRY",
    "Registration",
    "Registry",
    "is_coroutine_function",
    "name_of",
    "parameter_name",
    "reference_of",
]

if sys.version_info >= (3, 12):
    is_coroutine_function = inspect.iscoroutinefunction
else:
    # Before 3.12, asyncio has its own marker for functions that return a coroutine.
    from asyncio import iscoroutinefunction as is_coroutine_function


@frozen
class Registration:
    """A registered task function.

    Attributes:
        name: The name in messages.
        func: The function.
        is_async: Whether a call returns a coroutine.
        place: Its module and qualified name, even if it has an explicit name.
        run: The spec of its module, which is new each time the module is loaded.
    """

    name: str
    func: Callable[..., Any]
    is_async: bool
    place: str = ""
    run: object = None


class Registry:
    """Task functions by name. `REGISTRY` is the one of the process; tests may create their own."""

    def __init__(self) -> None:
        self._by_name: dict[str, Registration] = {}
        self._by_code: dict[tuple[str, str], str] = {}
        self._twins: dict[str, str] = {}
        self._lock = threading.Lock()

    def register(self, func: Callable[..., Any], name: str | None = None) -> str:
        """Register a function and return its name, by default ``module:qualname``.

        Registering a function from the same place in the code again replaces it, so a module may be reloaded.

        Raises:
            FairqueError: Another function has the name.
            Unreachable: No name is given, and workers could not find it by its place.
        """
        resolved = reference_of(func) if name is None else name
        new = Registration(resolved, func, is_coroutine_function(func), _place(func), _names(func).get("__spec__"))
        with self._lock:
            known = self._by_name.get(new.name)
            if known is not None and known.place != new.place:
                raise FairqueError(
                    f"two task functions are named {new.name!r}: {known.place} and {new.place}. "
                    "Give one of them another name: @task(name=...)"
                )
            if known is not None and _is_second(known, new):
                raise FairqueError(
                    f"two task functions of one module are named {new.name!r}, and a worker would run the last one "
                    "for both. Give one of them another name, or @task(name=...)"
                )
            self._by_name[new.name] = new
            if name is None:
                self._note_twins(new)
        return new.name

    def names(self) -> list[str]:
        """Return all registered names, sorted."""
        return sorted(self._by_name)

    def check_name(self, name: str) -> None:
        """Refuse the name of a function whose module is loaded under two names.

        Raises:
            Unreachable: It is such a name; the message has both.
        """
        if self._twins and name in self._twins:
            other = self._twins[name]
            raise Unreachable(
                f"the file of the task function {name!r} is loaded twice in this process, also as "
                f"{other.partition(':')[0]!r}, and it is unclear which of the two a worker imports. Import it under "
                "one name everywhere, that of the worker: remove the folder of its package from sys.path"
            )

    def find(self, name: str, modules: Iterable[str] = ()) -> Registration:
        """Return the function with a name. Imports nothing and runs no code, since names come from messages.

        Args:
            name: A registered name, or ``module:qualname`` of a plain function.
            modules: Names of the modules in which plain functions may be looked up. They are never imported here.

        Raises:
            UnknownFunction: No function has that name; the message says why and lists similar names.
        """
        known = self._by_name.get(name)
        if known is not None:
            return known
        allowed = tuple(modules)
        module, _, qualname = name.partition(":")
        private = any(part.startswith("_") for part in qualname.split("."))
        namespace = namespace_of_module(module) if module in allowed and not private else None
        target = None if namespace is None else defined_in(namespace, qualname)
        # Only functions defined in the module: messages must not reach what it imports.
        if type(target) is FunctionType and (target.__module__, target.__qualname__) == (module, qualname):
            return Registration(name, target, is_coroutine_function(target), name)
        raise UnknownFunction(name, self._close(name, qualname), allowed, self._why(name, allowed, target))

    def _close(self, name: str, qualname: str) -> list[str]:
        """Return similar names, first those of functions with the same qualified name in other modules."""
        names = self.names()
        same = [known for known in names if qualname and known.partition(":")[2] == qualname]
        return list(dict.fromkeys([*same, *difflib.get_close_matches(name, names, n=3)]))[:3]

    def _why(self, name: str, modules: tuple[str, ...], target: object) -> str:
        """Explain why no function has a name, and what to do."""
        module, colon, qualname = name.partition(":")
        if not colon:
            return (
                "No function of the loaded modules has this name from @task(name=...): start the worker with the "
                "module that defines it"
            )
        others = [known.name for known in tuple(self._by_name.values()) if known.place == name]
        if others:
            return f"The function there is now named {others[0]!r}: push it under that name"
        if module not in modules:
            return f"Start the worker with the module that defines it, {module!r}"
        if target is None:
            return (
                f"There is no function {qualname!r} in {module!r} that a task may run: it was renamed or removed, is "
                "private or a method, or this worker has another version of the module than the producer"
            )
        return (
            f"The object {qualname!r} in {module!r} is not a function that is defined there: define one, and decorate "
            "it with @task"
        )

    def _note_twins(self, new: Registration) -> None:
        code = getattr(inspect.unwrap(new.func), "__code__", None)
        if not isinstance(code, CodeType):
            return
        other = self._by_code.setdefault((os.path.realpath(code.co_filename), new.func.__qualname__), new.name)
        if other != new.name:
            self._twins |= {new.name: other, other: new.name}


REGISTRY = Registry()


def name_of(func: Callable[..., Any]) -> str:
    """Return the name of a function in tasks: its registered name, or else ``module:qualname``.

    Raises:
        Unreachable: Workers would not find the function; the message says why.
    """
    name, problem = getattr(func, "task_name", None), getattr(func, "unreachable", None)
    if isinstance(problem, str):
        raise Unreachable(problem)
    if isinstance(name, str):
        REGISTRY.check_name(name)
        return name
    return plain_name(func)


def parameter_name(func: str | None, argument: str | int) -> str:
    """Return the name of the parameter of an argument, for errors.

    Args:
        func: The name of the function in the task.
        argument: The name of the argument, or its index.

    Returns:
        The name; empty for an index if the function is unknown here or has no such parameter.
    """
    if isinstance(argument, str) or func is None:
        return argument if isinstance(argument, str) else ""
    try:
        return list(call_signature(REGISTRY.find(func).func).parameters)[argument]
    except (FairqueError, ValueError, IndexError, TypeError):
        return ""


def _place(func: Callable[..., Any]) -> str:
    """Return the module and qualified name of a function, also of one that workers cannot import."""
    try:
        return reference_of(func)
    except Unreachable:
        return f"{func.__module__}:{func.__qualname__}"


def _names(func: Callable[..., Any]) -> Mapping[str, Any]:
    names: Mapping[str, Any] = getattr(func, "__globals__", {})
    return names


def _is_second(known: Registration, new: Registration) -> bool:
    """Return whether a module defines two functions with the same name.

    A reloaded module has another spec, and functions in an interactive session may be defined again.
    """
    first, second = known.func, new.func
    if first is second or not (type(first) is type(second) is FunctionType) or known.run is not new.run:
        return False
    if first.__globals__ is not second.__globals__ or "__file__" not in first.__globals__:
        return False
    place, other = ((func.__code__.co_filename, func.__code__.co_firstlineno) for func in (first, second))
    # The same place may create several functions: a factory called twice, or a wrapper applied to several functions.
    return place != other or ("<locals>" not in second.__qualname__ and first.__closure__ != second.__closure__)
