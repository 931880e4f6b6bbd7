"""Joins the server of a folder: attaches to the one that runs, or starts one together with its guard.

Two lock files in the folder contain the whole state, which the kernel keeps correct after any crash: ``users.lock`` is
shared by the users, and the guard holds it exclusively while it stops the server; ``server.lock`` is taken by the
process that starts the server and passed on to the guard and the server, so it is held as long as one of them lives.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from fairque.protocol.clock import monotonic
from fairque.protocol.descriptors import fill_standard_numbers
from fairque.protocol.embedded.address import answers, make_address, noted_address
from fairque.protocol.embedded.binary import find_jemalloc, find_server_binary
from fairque.protocol.embedded.locks import FileLock
from fairque.protocol.errors import EmbeddedServerError

__all__ = ["PAUSE", "join"]

# Seconds until a server must answer. Loading data does not count.
START_SECONDS = 30.0
# Seconds between two checks of a server that is about to start or to end.
PAUSE = 0.005
# Lines of the log that an error quotes.
LOG_LINES = 12


def join(folder: Path, *, keep: bool, binary: Path | None) -> tuple[FileLock, Path]:
    """Become a user of the folder's server, which is started if it does not run.

    Args:
        folder: An existing folder.
        keep: Whether the data is kept on disk. False removes the folder after the last user.
        binary: The server program to start; None searches for one.

    Returns:
        The hold that keeps the server alive, and the server's socket.

    Raises:
        EmbeddedServerError: There is no server program, or the server did not start.
        OSError: The folder cannot be used.
    """
    # Otherwise the server would inherit a lock as one of its standard streams.
    fill_standard_numbers()
    hold = FileLock(folder / "users.lock")
    try:
        _until_shared(hold, folder)
        return hold, _reach(folder, keep=keep, binary=binary)
    except BaseException:
        hold.close()
        raise


def _reach(folder: Path, *, keep: bool, binary: Path | None) -> Path:
    """Wait for the folder's server to answer, and start it if none lives."""
    started = False
    deadline = monotonic() + START_SECONDS
    while True:
        alive = FileLock(folder / "server.lock")
        try:
            if alive.try_exclusive():
                # No process holds it, so there is neither a guard nor a server.
                if started:
                    raise _failed(folder, keep=keep, what="ended at once")
                _start(folder, alive, keep=keep, binary=binary or find_server_binary())
                started = True
        finally:
            alive.close()
        try:
            address = noted_address(folder)
            if answers(address):
                return address
            deadline = monotonic() + START_SECONDS
        except OSError:
            if monotonic() > deadline:
                raise _failed(folder, keep=keep, what=f"did not answer within {START_SECONDS:g} s") from None
        time.sleep(PAUSE)


def _start(folder: Path, alive: FileLock, *, keep: bool, binary: Path) -> None:
    """Start the guard, which starts the server. Both inherit the lock that shows that they live."""
    address = make_address(folder)
    guard = [sys.executable, "-I", "-S", os.fspath(Path(__file__).with_name("guard.py"))]
    task = [os.fspath(folder), os.fspath(address), "keep" if keep else "discard", str(alive.descriptor)]
    # No file among the arguments: the server reads no configuration file.
    server = [
        os.fspath(binary),
        *("--port", "0", "--unixsocket", os.fspath(address), "--unixsocketperm", "700"),
        *("--dir", os.fspath(folder), "--daemonize", "no", "--maxmemory-policy", "noeviction"),
        *("--save", "", "--appendonly", "yes" if keep else "no", "--appendfsync", "everysec"),
    ]
    descriptor = os.open(_log(folder), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    with open(descriptor, "wb") as log:  # noqa: PTH123 - a descriptor, for the permissions
        try:
            subprocess.run(  # noqa: S603 - our own script and a server that the user chose
                [*guard, *task, *server],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[alive.descriptor],
                env=_environment(),
                # Out of reach of the terminal's Ctrl-C, which would stop the server before its users end.
                start_new_session=True,
                check=True,
            )
        except OSError as error:
            raise EmbeddedServerError(
                f"the embedded server of {folder} needs a Python for its guard, and {sys.executable!r} "
                f"(sys.executable) cannot be run: {error.strerror}. Pass the redis:// URL of a running server"
            ) from error
        except subprocess.CalledProcessError:
            raise _failed(folder, keep=keep, what="has no guard, since that failed") from None


def _environment() -> dict[str, str]:
    """Return the environment of the server, which gets a faster allocator if its user has not chosen one."""
    jemalloc = find_jemalloc()
    return {"LD_PRELOAD": os.fspath(jemalloc), **os.environ} if jemalloc else dict(os.environ)


def _until_shared(hold: FileLock, folder: Path) -> None:
    """Take the hold, waiting for the end of a server that is being stopped."""
    deadline = monotonic() + START_SECONDS
    while not hold.try_shared():
        if monotonic() > deadline:
            raise EmbeddedServerError(
                f"the embedded server of {folder} has been stopping for more than {START_SECONDS:g} s. "
                "Wait for its end or kill it, or use another folder"
            )
        time.sleep(PAUSE)


def _failed(folder: Path, *, keep: bool, what: str) -> EmbeddedServerError:
    lines = _log(folder).read_text(errors="replace").splitlines()[-LOG_LINES:]
    advice = (
        f"The data there is untouched: fix the cause, or use another folder. The whole log is {_log(folder)}."
        if keep
        else "If the program does not fit this machine, put another valkey-server or redis-server on PATH."
    )
    return EmbeddedServerError("\n".join([f"the embedded server of {folder} {what}. {advice} Its log:", *lines]))


def _log(folder: Path) -> Path:
    return folder / "server.log"
