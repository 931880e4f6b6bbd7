"""The embedded server: a real Valkey that a program starts for itself and that ends with it."""

from fairque.protocol.embedded.binary import find_server_binary
from fairque.protocol.embedded.server import EmbeddedServer
from fairque.protocol.embedded.urls import resolve_url

__all__ = ["EmbeddedServer", "find_server_binary", "resolve_url"]
