"""Imports the modules and handlers that a worker gets by name."""

import inspect
from collections.abc import Iterable
from typing import Any

from fairque.protocol.errors import CannotImport
from fairque.protocol.service.loading import import_module
from fairque.protocol.suggestion import suggestion
from fairque.worker.handling.handler import TaskHandler

__all__ = ["import_task_modules", "load_handler"]


def import_task_modules(names: Iterable[str]) -> None:
    """Import modules, so that their task functions can be run.

    Raises:
        CannotImport: One cannot be imported; the error says why.
    """
    for name in names:
        if ":" in name:
            raise CannotImport(
                f"worker.modules names the handler {name!r}, which only the command fairque-worker creates: "
                "name the module alone, and pass the handler to Worker(settings, handler)"
            )
        import_module(name)


def load_handler(name: str) -> TaskHandler:
    """Return the handler that ``MODULE:ATTR`` names: an instance, or one created from a class without arguments.

    Raises:
        CannotImport: The module cannot be imported, or the attribute is something else.
    """
    module_name, _, attribute = name.partition(":")
    module = import_module(module_name)
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
                f"{name} cannot be created without arguments: {type(error).__name__}: {error}. Name an instance"
            ) from error
        return made
    raise CannotImport(
        f"{name} is not a TaskHandler but {type(found).__name__}: name a subclass of TaskHandler or an instance, "
        f"or the module alone to run its task functions"
    )


def _is_handler(value: object) -> bool:
    return isinstance(value, TaskHandler) or (inspect.isclass(value) and issubclass(value, TaskHandler))
