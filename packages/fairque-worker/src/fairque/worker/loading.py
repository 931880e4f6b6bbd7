"""How the modules and handlers that an operator names are imported, and the error that says why one cannot be."""

import importlib
import inspect
import os
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from fairque.protocol.config.structure import suggestion
from fairque.protocol.errors import FairqueError
from fairque.worker.handler import TaskHandler

__all__ = ["CannotImport", "import_modules", "load_handler"]


class CannotImport(FairqueError):
    """A module or its attribute cannot be had."""


def import_modules(names: Iterable[str]) -> None:
    """Import modules, so that their task functions can be run.

    Raises:
        CannotImport: One cannot be imported; the error says why.
    """
    for name in names:
        if ":" in name:
            raise CannotImport(
                f"worker.modules names the handler {name!r}, which only the command fairque-worker makes by itself: "
                "name the module alone, and give the handler to Worker(settings, handler)"
            )
        _import(name)


def load_handler(name: str) -> TaskHandler:
    """Return the handler that ``MODULE:ATTR`` names: an object, or one made of a class without arguments.

    Raises:
        CannotImport: The module cannot be imported, or the attribute is no such thing.
    """
    module_name, _, attribute = name.partition(":")
    module = _import(module_name)
    try:
        found: Any = getattr(module, attribute)
    except AttributeError:
        handlers = [key for key, value in vars(module).items() if _is_handler(value) and value is not TaskHandler]
        raise CannotImport(
            f"module {module_name!r} has no attribute {attribute!r} {suggestion(attribute, handlers)}"
        ) from None
    if isinstance(found, TaskHandler):
        return found
    if _is_handler(found):
        try:
            made: TaskHandler = found()
        except Exception as error:
            raise CannotImport(
                f"{name} cannot be made without arguments: {type(error).__name__}: {error}. Name an object"
            ) from error
        return made
    raise CannotImport(
        f"{name} is no TaskHandler but {type(found).__name__}: name a subclass of TaskHandler or an object of one, "
        f"or the module alone to run its task functions"
    )


def _is_handler(value: object) -> bool:
    return isinstance(value, TaskHandler) or (inspect.isclass(value) and issubclass(value, TaskHandler))


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise CannotImport(
            f"module {name!r} cannot be imported: {type(error).__name__}: {error}. It is looked for on sys.path, to "
            f"which PYTHONPATH adds folders; the current folder is {os.getcwd()}"  # noqa: PTH109 - a text, no path work
        ) from error
