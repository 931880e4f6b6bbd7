"""The server's folder and its unix socket: where they are, and whether a server answers there."""

import os
import secrets
import shutil
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

__all__ = ["answers", "make_address", "noted_address", "remove", "unused"]

NAME = "server.sock"
# The address of a unix socket has at most 104 bytes on macOS and 108 on Linux, with a zero at the end.
LONGEST = 103


def answers(address: Path) -> bool:
    """Ask a server whether it is ready.

    Args:
        address: Its unix socket.

    Returns:
        True if it is ready, False while it is loading its data.

    Raises:
        OSError: There is no answer within a second.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1)
        connection.connect(os.fspath(address))
        connection.sendall(b"PING\r\n")
        reply = connection.recv(64)
    if not reply:
        raise ConnectionError(f"{address} closed the connection")
    return not reply.startswith(b"-LOADING")


def unused(place: str | None = None) -> Path:
    """Choose the name of a temporary folder, without creating it.

    It is known before it exists, so that an interrupt at any moment leaves it to a ``finally``. An interrupt in
    ``tempfile.mkdtemp`` loses the name of a folder that is there already.

    Args:
        place: The folder that will contain it; None is that of ``tempfile``.

    Returns:
        A path that no other call returns.
    """
    return Path(place or tempfile.gettempdir()) / f"fairque-{secrets.token_hex(8)}"


def remove(folder: Path) -> None:
    """Remove a server's folder, and its socket wherever that is. It may be gone already.

    Args:
        folder: Folder of a server that has ended, or has never started.
    """
    with suppress(OSError):
        _clear(noted_address(folder), folder)
    shutil.rmtree(folder, ignore_errors=True)


def make_address(folder: Path) -> Path:
    """Choose the socket of a new server and record it for processes that attach.

    Args:
        folder: Folder of the server.

    Returns:
        A socket in the folder, or in a new temporary folder if the path would be too long.

    Raises:
        OSError: The folder cannot be written.
    """
    note = _note(folder)
    if note.exists():
        _clear(noted_address(folder), folder)
    address = folder / NAME
    if _too_long(address):
        address = unused() / NAME
        if _too_long(address):
            address = unused("/tmp") / NAME  # noqa: S108 - short, and nobody guesses the name
    note.touch(0o600)
    note.write_bytes(os.fsencode(address))
    if address.parent != folder:
        address.parent.mkdir(mode=0o700)
    return address


def noted_address(folder: Path) -> Path:
    """Read the socket of the folder's server.

    Args:
        folder: Folder of the server.

    Returns:
        The socket; only the locks show whether a server uses it.

    Raises:
        OSError: None is recorded.
    """
    return Path(os.fsdecode(_note(folder).read_bytes()))


def _clear(address: Path, folder: Path) -> None:
    """Remove the socket that a killed guard has left behind."""
    try:
        address.unlink(missing_ok=True)
        if address.parent != folder:
            address.parent.rmdir()
    except OSError:
        # After a reboot the folder may be gone or belong to another user.
        return


def _note(folder: Path) -> Path:
    return folder / "server.address"


def _too_long(address: Path) -> bool:
    return len(os.fsencode(address)) > LONGEST
