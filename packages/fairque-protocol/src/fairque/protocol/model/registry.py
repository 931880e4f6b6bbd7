"""The registry of task functions: a worker runs what is registered here, and nothing that Redis names otherwise."""

import difflib
import inspect
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from attrs import frozen

from fairque.protocol.errors import FairqueError, UnknownFunction
from fairque.protocol.model.injection import context_place

__all__ = ["REGISTRY", "Registration", "Registry", "name_of", "parameter_name", "reference_of"]


@frozen
class Registration:
    """A task function under its name."""

    name: str
    func: Callable[..., Any]
    is_async: bool


def reference_of(func: Callable[..., Any]) -> str:
    """Return ``module:qualname`` of a function.

    A function of the script being run counts for the module that a worker would import: ``tasks:resize`` whether
    ``tasks.py`` was imported or run.
    """
    module = func.__module__
    if module == "__main__":
        main = sys.modules["__main__"]
        spec = getattr(main, "__spec__", None)
        file = getattr(main, "__file__", None)
        if spec is not None:
            module = spec.name.removesuffix(".__main__")
        elif file is not None:
            module = Path(file).stem
    return f"{module}:{func.__qualname__}"


class Registry:
    """Task functions by name. One, `REGISTRY`, serves the process; tests may make their own."""

    def __init__(self) -> None:
        self._by_name: dict[str, Registration] = {}
        self._lock = threading.Lock()

    def register(self, func: Callable[..., Any], name: str | None = None) -> str:
        """Register a function and return its name, by default ``module:qualname``.

        Registering the same place in the code again replaces it, so a module may be reloaded.

        Raises:
            FairqueError: Another function has the name.
        """
        name = name or reference_of(func)
        with self._lock:
            known = self._by_name.get(name)
            if known is not None and reference_of(known.func) != reference_of(func):
                raise FairqueError(
                    f"two task functions are named {name!r}: {reference_of(known.func)} and {reference_of(func)}. "
                    "Give one of them another name: @task(name=...)"
                )
            self._by_name[name] = Registration(name, func, inspect.iscoroutinefunction(func))
        return name

    def names(self) -> list[str]:
        """Return all registered names, sorted."""
        return sorted(self._by_name)

    def find(self, name: str, modules: Iterable[str] = ()) -> Registration:
        """Return the function of that name.

        Args:
            name: A registered name, or ``module:qualname`` of a plain function.
            modules: Names of the modules in which a plain function may be looked up. They are never imported here.

        Raises:
            UnknownFunction: Nothing has that name; the error lists close matches.
        """
        found = self._by_name.get(name)
        if found is not None:
            return found
        allowed = tuple(modules)
        module, _, qualname = name.partition(":")
        if module in allowed:
            target: Any = sys.modules.get(module)
            for part in qualname.split("."):
                target = None if part.startswith("_") else getattr(target, part, None)
            # Only what is defined there: a module also holds what it imports, and a message must not reach that.
            if inspect.isfunction(target) and reference_of(target) == name:
                return Registration(name, target, inspect.iscoroutinefunction(target))
        raise UnknownFunction(name, difflib.get_close_matches(name, self.names(), n=3), allowed)


REGISTRY = Registry()


def name_of(func: Callable[..., Any]) -> str:
    """Return the name under which a task stores a function: its registered name, else ``module:qualname``."""
    name = getattr(func, "task_name", None)
    return name if isinstance(name, str) else reference_of(func)


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
        known = REGISTRY.find(func).func
        place = context_place(known)
        # The context is no argument of the task, so those behind it have moved up.
        names = [name for name in inspect.signature(known).parameters if place is None or name != place.name]
        return names[argument]
    except (FairqueError, ValueError, IndexError, TypeError):
        return ""
