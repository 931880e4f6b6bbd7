"""The name of a function in a message, ``module:qualname``: one that a worker can import, or an error saying why not.

A function of the script being run belongs to `__main__`, which is a different module in each process. Its name uses the
module that a worker gets when it imports the same file.
"""

import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from fairque.protocol.errors import FairqueError
from fairque.protocol.safe_repr import safe_repr

__all__ = ["Unreachable", "defined_in", "namespace_of_module", "plain_name", "reference_of"]

#: The name of the script that was run, and of its copy in a process spawned by multiprocessing.
_MAIN = ("__main__", "__mp_main__")

#: File names of code that was typed into an interactive session, a debugger, a doctest or the cell of a notebook.
_TYPED = re.compile(r"<(stdin|console|(\w+-)?input|pyshell|doctest)\b|.*[/\\]ipykernel_\d+[/\\]")

#: Read the dictionary of a class or module directly, without running code of the user such as ``__getattr__``.
_NAMES_OF_CLASS: Any = type.__dict__["__dict__"]
_NAMES_OF_MODULE: Any = vars(ModuleType)["__dict__"]

_NAMED = "or give the function a name and make sure that each worker defines it: @task(name=...)"


class Unreachable(FairqueError):
    """No worker can import a function, so its tasks would wait forever; the message says why and what to do."""


def reference_of(func: Callable[..., Any]) -> str:
    """Return ``module:qualname`` of a function, with the module that a worker imports.

    Raises:
        Unreachable: There is no such module, or it is ambiguous.
    """
    return f"{_module_of(func)}:{func.__qualname__}"


def plain_name(func: Callable[..., Any]) -> str:
    """Return the name of a function without `@task`, which a worker looks up in its module.

    Raises:
        Unreachable: A worker would not find this function there.
    """
    if type(func) is not FunctionType:
        raise Unreachable(
            f"no worker can find {safe_repr(func, 100)}: it is not a function at the top level of a module but "
            f"{type(func).__name__}. Define a function with def that calls it, and push that"
        )
    place = func.__qualname__
    if isinstance(getattr(inspect.unwrap(func, stop=_is_named), "task_name", None), str):
        raise Unreachable(
            f"a decorator is above @task of {place!r}, so workers would not find the decorated function: put @task on "
            "top of all decorators"
        )
    if any(part.startswith(("_", "<")) for part in place.split(".")):
        raise Unreachable(
            f"no worker finds {place!r} in {func.__module__}: workers find functions that are defined at the top level "
            "of a module, with names that do not start with an underscore. Define it there"
        )
    if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
        raise Unreachable(f"{place!r} is a generator, but a task has one result: return a list instead")
    name, namespace = reference_of(func), _namespace_of(func)
    if namespace is not None and defined_in(namespace, place) is not func:
        raise Unreachable(
            f"no worker finds this function under {name!r}: in the module that name refers to another object, or to "
            "nothing. It was bound to another name, replaced, deleted, or is a method; define it with def at the top "
            "level of the module, under its own name, and decorate it with @task"
        )
    return name


def _is_named(func: object) -> bool:
    return hasattr(func, "task_name")


def defined_in(namespace: Mapping[str, Any], qualname: str) -> object:
    """Return the object with a dotted name in a module, or None, without running any code.

    Only the dictionaries of the module and of its classes are read: no attribute is accessed, so properties,
    descriptors, metaclasses and the ``__getattr__`` of a module are not called.
    """
    first, *rest = qualname.split(".")
    target = namespace.get(first)
    for part in rest:
        if not issubclass(type(target), type):
            return None
        target = _NAMES_OF_CLASS.__get__(target).get(part)
        if type(target) is staticmethod:
            target = target.__func__
        elif type(target) is FunctionType:
            return None  # a method, and workers do not have its object
    return target


def namespace_of_module(name: str) -> Mapping[str, Any] | None:
    """Return the dictionary of a loaded module, or None if it is not loaded, without running any code."""
    module = sys.modules.get(name)
    if not issubclass(type(module), ModuleType):
        return None
    namespace: Mapping[str, Any] = _NAMES_OF_MODULE.__get__(module)
    return namespace


def _namespace_of(func: Callable[..., Any]) -> Mapping[str, Any] | None:
    """Return the namespace of a function's module; None if it is not loaded."""
    written = inspect.unwrap(func)
    own: Mapping[str, Any] | None = getattr(written, "__globals__", None)
    if own is not None and own.get("__name__") == func.__module__:
        return own  # also before multiprocessing, a profiler or runpy has added the module to sys.modules
    module = sys.modules.get(func.__module__)
    return None if module is None else vars(module)


def _module_of(func: Callable[..., Any]) -> str:
    name: str | None = func.__module__
    if name is None:
        raise Unreachable(f"{func.__qualname__!r} belongs to no module, so no worker can import it: {_MOVE}")
    namespace = _namespace_of(func)
    if namespace is None:
        return name
    _refuse_typed(func, name, namespace)
    spec_name = getattr(namespace.get("__spec__"), "name", None)
    file = namespace.get("__file__")
    if (
        isinstance(spec_name, str)
        and spec_name not in _MAIN
        and (name in _MAIN or _can_be_imported(spec_name, namespace, file))
    ):
        return spec_name  # imported under this name, or run under it: python -m shop.tasks
    if file is None and name not in _MAIN and namespace is namespace_of_module(name):
        return name  # a module that was created without an import
    if not isinstance(file, str) or file.startswith("<"):
        raise Unreachable(
            f"no worker can import {func.__qualname__!r}: it was given to Python as text (-c, standard input, an "
            f"interactive session, a notebook or exec), not as a file. {_MOVE}"
        )
    return _name_of_script(func, Path(os.path.realpath(file)), Path(file).name)


def _can_be_imported(name: str, namespace: Mapping[str, Any], file: object) -> bool:
    """Whether a name is not one that only this process gives to a module, such as a loader of plugins."""
    if namespace is namespace_of_module(name):
        return True
    try:
        found = find_spec(name)
    except (ImportError, AttributeError, ValueError):
        return False
    origin = None if found is None else found.origin
    return isinstance(file, str) and origin is not None and os.path.realpath(origin) == os.path.realpath(file)


_MOVE = f"Put it into a module that workers import and import it from there, {_NAMED}"


def _refuse_typed(func: Callable[..., Any], name: str, namespace: Mapping[str, Any]) -> None:
    """Refuse a function that no file defines, since other processes that import the module do not have it."""
    code = getattr(inspect.unwrap(func), "__code__", None)
    file = "" if code is None else code.co_filename
    elsewhere = name not in _MAIN and namespace is not namespace_of_module(name)
    if _TYPED.match(file) or (elsewhere and file.startswith("<")):
        raise Unreachable(
            f"no worker that imports {name} has {func.__qualname__!r}: it was typed in or created by exec ({file}), "
            f"and is not in any file. {_MOVE}"
        )


def _name_of_script(func: Callable[..., Any], file: Path, called: str) -> str:
    """Return the name under which a worker can import a file that was run by its path.

    Args:
        func: The function, for the error.
        file: The file, with symbolic links resolved.
        called: The name of the file that was run, which may be a link.

    Raises:
        Unreachable: It cannot be imported, or several names are possible.
    """
    stem, in_package = inspect.getmodulename(file), (file.parent / "__init__.py").is_file()
    if not stem or "." in stem or stem != inspect.getmodulename(called) or (stem == "__main__" and not in_package):
        raise Unreachable(
            f"no worker can import {func.__qualname__!r} from {file}: a module must be a file NAME.py, run under its "
            f"own name and not through a link, and not a __main__.py outside a package. {_MOVE}"
        )
    folders = _folders_of_package(file) if in_package else _folders_of_plain_file(file)
    tail = () if stem == "__init__" else (stem,)
    names = sorted({".".join((*file.parent.relative_to(folder).parts, *tail)) for folder in folders})
    if len(names) == 1:
        return names[0]
    if names:
        reason = f"it may be {' or '.join(names)}. Run it under the name that workers use (python -m {names[0]})"
    else:
        reason = (
            "its folder is a package, and the parent folder of the package is neither the current one nor on "
            f"sys.path. Go there and run it under its full name (python -m ...{file.parent.name}.{stem})"
        )
    raise Unreachable(
        f"it is unclear under which name a worker imports {func.__qualname__!r} from {file}: {reason}, {_NAMED}"
    )


def _folders_of_package(file: Path) -> Iterator[Path]:
    """Yield the folders from which a file of a package can be imported, here and so by workers."""
    root = next(folder for folder in file.parents if not (folder / "__init__.py").is_file())
    above, current = _folders_above(file), Path(os.path.realpath(""))
    if root in above:
        yield root
    else:
        yield from above - {current}


def _folders_of_plain_file(file: Path) -> Iterator[Path]:
    """Yield the folders from which a worker may import a file: its own, and parents on the path or current.

    For an import from a parent, a folder without ``__init__.py`` is a package.
    """
    yield file.parent
    yield from _folders_above(file) - {Path(file.anchor), Path(os.path.realpath(Path("~").expanduser()))}


def _folders_above(file: Path) -> set[Path]:
    """Return the current folder and those on the path that contain a file and from which it can be imported."""
    here = {Path(os.path.realpath(entry)) for entry in ["", *sys.path] if isinstance(entry, str)}
    return {
        folder
        for folder in here.intersection(file.parents)
        if not (folder / "__init__.py").is_file()
        and all(part.isidentifier() for part in file.parent.relative_to(folder).parts)
    }
