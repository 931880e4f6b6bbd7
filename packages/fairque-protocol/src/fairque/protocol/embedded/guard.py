"""The guard: a script that runs the server as its child until the last user has released the users' lock.

It is started as ``python -I -S guard.py FOLDER SOCKET keep|discard LOCK COMMAND…`` and imports little, to be
fast. It is a separate process because only that survives a user that is killed with SIGKILL.
"""

import contextlib
import fcntl
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

__all__ = ["Server", "die_with_parent", "main"]

# Seconds that the server has to write its data and end, before it is killed.
STOP_SECONDS = 10
# PR_SET_PDEATHSIG of prctl(2).
SET_PARENT_DEATH_SIGNAL = 1


def main(folder: Path, socket: Path, *, keep: bool, lock: int, command: list[str]) -> None:
    """Run the server until no process uses it, and clean up.

    Args:
        folder: Folder of the server; its ``users.lock`` is held by every user.
        socket: The socket that the server creates.
        keep: False removes the folder at the end.
        lock: Descriptor of the lock that shows that this server lives. The server inherits it.
        command: The server and its options.
    """
    users = os.open(folder / "users.lock", os.O_RDWR)
    # A child would become a zombie that the starter has to reap; init reaps orphans.
    if os.fork():
        return
    _detach()
    server = Server(command)
    signal.signal(signal.SIGTERM, server.on_signal)
    threading.Thread(target=server.stop_when_unused, args=(users,), daemon=True).start()
    server.wait()
    with contextlib.suppress(OSError):
        socket.unlink(missing_ok=True)
        if socket.parent != folder:
            socket.parent.rmdir()
    if not keep:
        # A starter may still want to read the log: it notices the end by the lock, and then releases the folder.
        os.close(lock)
        fcntl.flock(users, fcntl.LOCK_EX)
        import shutil  # noqa: PLC0415 - a slow import that would delay every start

        shutil.rmtree(folder, ignore_errors=True)


class Server:
    """The server as the child of this process.

    Args:
        command: The program and its options.
    """

    def __init__(self, command: list[str]) -> None:
        self.ended = False
        guard = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            _become(command, guard)

    def wait(self) -> None:
        """Wait until the server has ended."""
        os.waitpid(self.pid, 0)
        self.ended = True

    def stop_when_unused(self, users: int) -> None:
        """Stop the server once the users' lock is free, which means that there is no user."""
        fcntl.flock(users, fcntl.LOCK_EX)
        self.send(signal.SIGTERM)
        time.sleep(STOP_SECONDS)
        self.send(signal.SIGKILL)

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Forward a signal: this process ends after the server, not before."""
        self.send(number)

    def send(self, number: int) -> None:
        """Send a signal to the server, if it has not ended."""
        if not self.ended:
            os.kill(self.pid, number)


def _detach() -> None:
    """Reset what this process has inherited from the starter."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    # Ctrl-C is for the users. This process has its own session, so these are only sent deliberately.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.umask(0o077)
    os.chdir("/")


def _become(command: list[str], guard: int) -> None:
    """Turn this child into the server. It never returns."""
    try:
        # AOF writes happen before replies, so SIGKILL loses no more than a crash of the server would.
        die_with_parent(signal.SIGKILL)
        if os.getppid() == guard:
            os.execv(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.stderr.write(f"cannot run {command[0]}: {error.strerror}\n")
        sys.stderr.flush()
    finally:
        os._exit(1)


def die_with_parent(number: int) -> None:
    """Make the kernel send a signal to this process when the thread that forked it ends, for whatever reason.

    Compare the parent afterwards: it may have ended before. On systems without this feature it does nothing.
    """
    if sys.platform == "linux":
        try:
            import ctypes  # noqa: PLC0415 - not every Python has it
        except ImportError:
            return
        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, number)


if __name__ == "__main__":
    _, _folder, _socket, _keep, _lock, *_command = sys.argv
    main(Path(_folder), Path(_socket), keep=_keep == "keep", lock=int(_lock), command=_command)
