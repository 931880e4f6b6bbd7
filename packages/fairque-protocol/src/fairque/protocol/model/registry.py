"""The registry of task functions: a worker runs what is registered here, and nothing that Redis names otherwise."""

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
    # Before 3.12, asyncio has its own mark for functions that give a coroutine without being one.
    from asyncio import iscoroutinefunction as is_coroutine_function


@frozen
class Registration:
    """A task function under its name.

    Attributes:
        name: The name in messages.
        func: The function.
        is_async: Whether a call gives a coroutine.
        place: Its module and qualified name, whatever it is named.
        run: The spec of its module, a new one each time that the module is loaded.
    """

    name: str
    func: Callable[..., Any]
    is_async: bool
    place: str = ""
    run: object = None


class Registry:
    """Task functions by name. One, `REGISTRY`, serves the process; tests may make their own."""

    def __init__(self) -> None:
        self._by_name: dict[str, Registration] = {}
        self._by_code: dict[tuple[str, str], str] = {}
        self._twins: dict[str, str] = {}
        self._lock = threading.Lock()

    def register(self, func: Callable[..., Any], name: str | None = None) -> str:
        """Register a function and return its name, by default ``module:qualname``.

        Registering the same place in the code again replaces it, so a module may be reloaded.

        Raises:
            FairqueError: Another function has the name.
            Unreachable: It has no name, and none that a worker could find follows from its place.
        """
        known_as = reference_of(func) if name is None else name
        one = Registration(known_as, func, is_coroutine_function(func), _place(func), _names(func).get("__spec__"))
        with self._lock:
            known = self._by_name.get(one.name)
            if known is not None and known.place != one.place:
                raise FairqueError(
                    f"two task functions are named {one.name!r}: {known.place} and {one.place}. "
                    "Give one of them another name: @task(name=...)"
                )
            if known is not None and _is_second(known, one):
                raise FairqueError(
                    f"two task functions of one module are named {one.name!r}, and a worker would run the last one "
                    "for both. Give one of them another name, or @task(name=...)"
                )
            self._by_name[one.name] = one
            if name is None:
                self._note_twins(one)
        return one.name

    def names(self) -> list[str]:
        """Return all registered names, sorted."""
        return sorted(self._by_name)

    def check_name(self, name: str) -> None:
        """Refuse a name that follows from the name of a module which is loaded under two of them.

        Raises:
            Unreachable: It is one; the error names both.
        """
        if self._twins and name in self._twins:
            other = self._twins[name]
            raise Unreachable(
                f"the file of the task function {name!r} is loaded twice in this process, also as "
                f"{other.partition(':')[0]!r}, and nobody can say which of the two a worker imports. Import it under "
                "one name everywhere, that of the worker: take the folder of its package from sys.path"
            )

    def find(self, name: str, modules: Iterable[str] = ()) -> Registration:
        """Return the function of that name. Nothing is imported for it, and no code runs: a message gave the name.

        Args:
            name: A registered name, or ``module:qualname`` of a plain function.
            modules: Names of the modules in which a plain function may be looked up. They are never imported here.

        Raises:
            UnknownFunction: Nothing has that name; the error says why and lists close matches.
        """
        found = self._by_name.get(name)
        if found is not None:
            return found
        allowed = tuple(modules)
        module, _, qualname = name.partition(":")
        private = any(part.startswith("_") for part in qualname.split("."))
        namespace = namespace_of_module(module) if module in allowed and not private else None
        target = None if namespace is None else defined_in(namespace, qualname)
        # Only what is defined there: a module also holds what it imports, and a message must not reach that.
        if type(target) is FunctionType and (target.__module__, target.__qualname__) == (module, qualname):
            return Registration(name, target, is_coroutine_function(target), name)
        raise UnknownFunction(name, self._close(name, qualname), allowed, self._why(name, allowed, target))

    def _close(self, name: str, qualname: str) -> list[str]:
        """Return names that look like one, those of functions of the same name in other modules first."""
        names = self.names()
        same = [one for one in names if qualname and one.partition(":")[2] == qualname]
        return list(dict.fromkeys([*same, *difflib.get_close_matches(name, names, n=3)]))[:3]

    def _why(self, name: str, modules: tuple[str, ...], target: object) -> str:
        """Say what is the matter with a name that nothing has, and what to do."""
        module, colon, qualname = name.partition(":")
        if not colon:
            return (
                "No function of the loaded modules has it from @task(name=...): start the worker with the module that "
                "defines it"
            )
        others = [one.name for one in tuple(self._by_name.values()) if one.place == name]
        if others:
            return f"The function there has the name {others[0]!r} now: push it under that one"
        if module not in modules:
            return f"Start the worker with the module that defines it, {module!r}"
        if target is None:
            return (
                f"Nothing that a task may run stands under {qualname!r} in {module!r}: it was renamed or removed, is "
                "private or a method, or this worker has another version of the module than the producer"
            )
        return (
            f"What stands under {qualname!r} in {module!r} is not a function that is defined there: define one, and "
            "decorate it with @task"
        )

    def _note_twins(self, one: Registration) -> None:
        code = getattr(inspect.unwrap(one.func), "__code__", None)
        if not isinstance(code, CodeType):
            return
        other = self._by_code.setdefault((os.path.realpath(code.co_filename), one.func.__qualname__), one.name)
        if other != one.name:
            self._twins |= {one.name: other, other: one.name}


REGISTRY = Registry()


def name_of(func: Callable[..., Any]) -> str:
    """Return the name under which a task stores a function: its registered name, else ``module:qualname``.

    Raises:
        Unreachable: No worker would find the function; the error says why.
    """
    name, problem = getattr(func, "task_name", None), getattr(func, "unreachable", None)
    if isinstance(problem, str):
        raise Unreachable(problem)
    if isinstance(name, str):
        REGISTRY.check_name(name)
        return name
    return plain_name(func)


def parameter_name(func: str | None, argument: str | int) -> str:
    """Return the parameter to which an argument of a task belongs, for errors.

    Args:
        func: The name that the task stores.
        argument: The name of the argument, or its place.

    Returns:
        The name; empty for a place in a function that is not known here, or that has no such parameter.
    """
    if isinstance(argument, str) or func is None:
        return argument if isinstance(argument, str) else ""
    try:
        return list(call_signature(REGISTRY.find(func).func).parameters)[argument]
    except (FairqueError, ValueError, IndexError, TypeError):
        return ""


def _place(func: Callable[..., Any]) -> str:
    """Return where a function is defined, as far as that can be said."""
    try:
        return reference_of(func)
    except Unreachable:
        return f"{func.__module__}:{func.__qualname__}"


def _names(func: Callable[..., Any]) -> Mapping[str, Any]:
    names: Mapping[str, Any] = getattr(func, "__globals__", {})
    return names


def _is_second(known: Registration, one: Registration) -> bool:
    """Say whether one run of a module has made two functions of one name.

    A module that is loaded again has another spec, and what is typed in may be typed in again.
    """
    first, second = known.func, one.func
    if first is second or not (type(first) is type(second) is FunctionType) or known.run is not one.run:
        return False
    if first.__globals__ is not second.__globals__ or "__file__" not in first.__globals__:
        return False
    place, other = ((func.__code__.co_filename, func.__code__.co_firstlineno) for func in (first, second))
    # One place makes several functions where a function is made again, for a test say, or wrapped.
    return place != other or ("<locals>" not in second.__qualname__ and first.__closure__ != second.__closure__)
