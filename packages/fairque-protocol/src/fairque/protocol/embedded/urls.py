"""Turns embedded:// URLs into the address of a running server; other URLs pass through."""

import atexit
from pathlib import Path
from urllib.parse import unquote

from fairque.protocol.embedded.locks import starting
from fairque.protocol.embedded.server import EmbeddedServer
from fairque.protocol.errors import ConfigurationError

__all__ = ["resolve_url"]

# The servers that this process holds until it ends; None is the one in memory.
_servers: dict[Path | None, EmbeddedServer] = {}


def resolve_url(url: str) -> str:
    """Give the address of a running server.

    The server of an ``embedded://`` URL is started on first use and held until this process and its forked
    children end. All callers of the process share it.

    Args:
        url: ``embedded://`` (in memory), ``embedded:///path/of/a/folder`` (kept on disk), or any other URL.

    Returns:
        The ``unix://`` URL of the embedded server, or the other URL as it is.

    Raises:
        ConfigurationError: The URL begins with ``embedded:`` and is neither of the two.
        EmbeddedServerError: The server could not be found or started.
    """
    if not url.lower().startswith("embedded:"):
        return url
    path = _path(url)
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


def _path(url: str) -> Path | None:
    """Read the folder from the URL, None for a server in memory."""
    place = url[len("embedded:") :]
    if place == "//":
        return None
    path = unquote(place[2:])
    if not place.startswith("///") or not path.strip("/") or {"?", "#"} & {*place} or "\0" in path:
        raise _malformed(url)
    return Path("/" + path.lstrip("/")).resolve()


def _malformed(url: str) -> ConfigurationError:
    problem = (
        f"{url!r} is no URL of an embedded server. Write embedded:// for one in memory, "
        "or embedded:///path/of/a/folder with an absolute path for one on disk (percent-encode ? # and %)"
    )
    return ConfigurationError([problem])
