"""The server's unix socket: where it is, and whether a server answers there."""

import os
import socket
import tempfile
from pathlib import Path

__all__ = ["answers", "make_address", "noted_address"]

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
        place = Path(tempfile.mkdtemp(prefix="fairque-"))
        if _too_long(place / NAME):
            place.rmdir()
            place = Path(tempfile.mkdtemp(prefix="fairque-", dir="/tmp"))
        address = place / NAME
    note.touch(0o600)
    note.write_bytes(os.fsencode(address))
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
