"""The embedded server: a real Valkey that a program starts for itself and that ends with it."""

from typing import TYPE_CHECKING

from fairque.protocol.lazy import lazy_names

if TYPE_CHECKING:
    from fairque.protocol.embedded.binary import find_server_binary
    from fairque.protocol.embedded.server import EmbeddedServer
    from fairque.protocol.embedded.urls import resolve_url

__all__ = ["EmbeddedServer", "find_server_binary", "resolve_url"]

#: Imported when they are first asked for, so that child processes, which only import the guard, start without them.
_HOMES = {
    "EmbeddedServer": "fairque.protocol.embedded.server",
    "find_server_binary": "fairque.protocol.embedded.binary",
    "resolve_url": "fairque.protocol.embedded.urls",
}

if not TYPE_CHECKING:  # to a type checker, a module with __getattr__ has every name
    __getattr__, __dir__ = lazy_names(__name__, _HOMES)
