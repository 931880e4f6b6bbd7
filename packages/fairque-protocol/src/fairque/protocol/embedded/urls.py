"""Turns embedded:// URLs into the address of a running server; other URLs pass through."""

import atexit
from pathlib import Path

from fairque.protocol.config.address import embedded_folder
from fairque.protocol.config.masking import mask_url
from fairque.protocol.embedded.server import EmbeddedServer
from fairque.protocol.errors import ConfigurationError
from fairque.protocol.locks import starting

__all__ = ["resolve_url"]

# The servers that this process holds until it ends; None is the one in memory.
_servers: dict[Path | None, EmbeddedServer] = {}


def resolve_url(url: str) -> str:
    """Return the address of a running server.

    The server of an ``embedded://`` URL is started on first use and held until this process and its forked
    children end. All callers of the process share it.

    Args:
        url: ``embedded://`` (in memory), ``embedded:///path/of/a/folder`` (kept on disk), or any other URL.

    Returns:
        The ``unix://`` URL of the embedded server, or any other URL unchanged.

    Raises:
        ConfigurationError: The URL begins with ``embedded:`` but has another form.
        EmbeddedServerError: The server could not be found or started.
    """
    if not url.lower().startswith("embedded:"):
        return url
    try:
        path = embedded_folder(url)
    except ValueError as error:
        raise ConfigurationError([f"{mask_url(url)!r} is not a URL of an embedded server: {error}"]) from None
    # The lock is the one that a fork waits for, so a child finds either the server or nothing.
    with starting:
        server = _servers.get(path)
        if server is None:
            server = EmbeddedServer(path)
        server.start()
        if path not in _servers:
            _servers[path] = server
            atexit.register(server.stop)
        return server.url
