"""What the synchronous runner does in its own way; the module of this name in `_async` is the asynchronous way."""

import threading
import time
from typing import Any

import redis as library

from fairque.protocol.embedded.urls import resolve_url as resolve
from fairque.protocol.runners.connection import no_retry
from fairque.protocol.runners.probe_address import probe_if_unclear
from fairque.protocol.runners.reading import read_answers
from fairque.protocol.runners.redis_private import socket_of
from fairque.protocol.runners.stale import is_stale
from fairque.protocol.runners.turns import Turns

__all__ = [
    "Lock",
    "Turns",
    "connect",
    "disconnect",
    "library",
    "no_retry",
    "probe_if_unclear",
    "read_answers",
    "resolve",
    "sleep",
    "write",
]

#: The handler of a signal may call a runner while its thread does.
Lock = threading.RLock


def connect(connection: Any) -> None:
    """Connect a connection that is not connected, or no longer to a server.

    Raises:
        RedisError: The server does not answer, or refuses.
    """
    sock = socket_of(connection)
    if sock is not None and is_stale(sock):
        connection.disconnect()
        sock = None
    if sock is None:
        connection.connect()
        # What a server says that refuses a client after the handshake of TLS; to write would fail without it.
        connection.can_read()


def disconnect(connection: Any) -> None:
    """Close a connection; it connects again when it is used."""
    connection.disconnect()


def write(connection: Any, commands: bytes) -> None:
    """Send commands.

    Raises:
        RedisError: The connection failed. The commands may be run.
    """
    connection.send_packed_command((commands,))


def sleep(seconds: float) -> None:
    """Wait for so many seconds."""
    time.sleep(seconds)
