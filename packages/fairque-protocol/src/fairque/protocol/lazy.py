"""Names of a package that are imported when they are first used, so that importing the package stays cheap."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from fairque.protocol.locks import import_lock

__all__ = ["lazy_names"]


def lazy_names(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` of a package whose other names are imported at their first use.

    Args:
        package: The name of the package.
        homes: The module of each name; a name may also be a module of the package.
    """

    def getattr_of_package(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = homes[name]
        with import_lock:
            module = import_module(home)
            value = module if home == f"{package}.{name}" else getattr(module, name)
            setattr(sys.modules[package], name, value)
        return value

    def dir_of_package() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return getattr_of_package, dir_of_package
