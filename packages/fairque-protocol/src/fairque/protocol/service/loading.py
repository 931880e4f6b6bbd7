"""Imports the modules that an operator names, with an error that says why one cannot be imported."""

import importlib
import os
from collections.abc import Iterable
from types import ModuleType

from fairque.protocol.errors import CannotImport

__all__ = ["import_module", "import_modules"]


def import_module(name: str) -> ModuleType:
    """Import a module and return it.

    Raises:
        CannotImport: It cannot be imported; the error says why.
    """
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise CannotImport(
            f"module {name!r} cannot be imported: {type(error).__name__}: {error}. It is looked for on sys.path, to "
            f"which PYTHONPATH adds folders; the current folder is {os.getcwd()}"  # noqa: PTH109 - a text, no path work
        ) from error


def import_modules(names: Iterable[str]) -> None:
    """Import modules, so that their task functions are known.

    Raises:
        CannotImport: One cannot be imported; the error says why.
    """
    for name in names:
        import_module(name)
