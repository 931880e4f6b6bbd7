"""How the modules that an operator names are imported, so that schedules for unknown functions are refused."""

import importlib
import os
from collections.abc import Iterable

from fairque.protocol.errors import FairqueError

__all__ = ["CannotImport", "import_modules"]


class CannotImport(FairqueError):
    """A module cannot be had."""


def import_modules(names: Iterable[str]) -> None:
    """Import modules.

    Raises:
        CannotImport: One cannot be imported; the error says why.
    """
    for name in names:
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as error:
            raise CannotImport(
                f"module {name!r} cannot be imported: {type(error).__name__}: {error}. It is looked for on sys.path, "
                f"to which PYTHONPATH adds folders; the current folder is {os.getcwd()}"  # noqa: PTH109 - a text
            ) from error
