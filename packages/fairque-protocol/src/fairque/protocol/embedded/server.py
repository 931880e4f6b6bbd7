"""EmbeddedServer: one user's hold on a server that lives as long as it has users."""

import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from fairque.protocol.clock import monotonic
from fairque.protocol.embedded.address import answers, remove, unused
from fairque.protocol.embedded.launch import PAUSE, join
from fairque.protocol.embedded.locks import FileLock
from fairque.protocol.errors import EmbeddedServerError
from fairque.protocol.locks import starting

__all__ = ["EmbeddedServer"]

# Seconds to wait for a server to end: its guard kills it after 10.
STOP_SECONDS = 15.0


class EmbeddedServer:
    """A real Valkey or Redis, which only listens on a unix socket. It ends with its last user, even a killed one.

    The users of one path share one server, whichever process started it. A process that forks shares its hold
    with the child: the server lives until both have released it or ended.

    Args:
        path: Folder for the data (AOF, synced every second). None keeps the data in memory, in a separate server
            that is removed completely after the last user.
        binary: The server program, if it has to be started. None is ``find_server_binary()``.
    """

    def __init__(self, path: Path | None = None, *, binary: Path | None = None) -> None:
        self._path = None if path is None else Path(os.path.realpath(path))
        self._binary = binary
        self._folder = Path()
        self._address = Path()
        self._hold: FileLock | None = None

    @property
    def url(self) -> str:
        """The server's ``unix://`` URL.

        Raises:
            EmbeddedServerError: The server is not started.
        """
        if self._hold is None:
            raise EmbeddedServerError("this embedded server is not started: call start(), or use it in a with block")
        return f"unix://{quote(os.fsencode(self._address))}"

    def start(self) -> None:
        """Attach to the server of the path, or start it. A second call does nothing, unless the server has died.

        Raises:
            EmbeddedServerError: There is no server program, the folder cannot be used, or the start failed.
        """
        with starting:
            if self._hold is not None:
                if self._lives():
                    return
                self._hold.close()
                self._hold = None
            keep = self._path is not None
            folder = self._path or unused()
            try:
                folder.mkdir(mode=0o700, parents=keep, exist_ok=keep)
                self._hold, self._address = join(folder, keep=keep, binary=self._binary)
            except OSError as error:
                raise EmbeddedServerError(
                    f"the embedded server cannot use {folder} as its folder: {error.strerror or error}. "
                    "Give a folder that this user may write, or one that does not exist yet"
                ) from error
            finally:
                if self._hold is None and not keep:
                    remove(folder)
            self._folder = folder

    def stop(self) -> None:
        """Release this hold; safe to call twice. The last user waits at most 15 seconds for the server to end."""
        with starting:
            if self._hold is None:
                return
            # Closed, not unlocked: a forked child's copy continues holding the server.
            self._hold.close()
            self._hold = None
        deadline = monotonic() + STOP_SECONDS
        while not self._settled() and monotonic() < deadline:
            time.sleep(PAUSE)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _lives(self) -> bool:
        try:
            return answers(self._address)
        except OSError:
            return False

    def _settled(self) -> bool:
        """Whether there is nothing to wait for: the server is gone, or others use it."""
        try:
            users = FileLock(self._folder / "users.lock", create=False)
        except OSError:
            return self._removed()
        try:
            if not users.try_exclusive():
                # Held by other users, who share it, or by the guard, which is stopping the server.
                return users.try_shared()
            # No process uses it; the guard has not noticed that yet, or it was killed.
            return self._gone()
        finally:
            users.close()

    def _gone(self) -> bool:
        try:
            alive = FileLock(self._folder / "server.lock", create=False)
        except OSError:
            return self._removed()
        try:
            gone = alive.try_exclusive()
            if gone and self._path is None:
                # The guard does this, unless it was killed.
                remove(self._folder)
            return gone
        finally:
            alive.close()

    def _removed(self) -> bool:
        """Whether the folder is gone, now that a file in it is. One with data is only removed by hand."""
        return self._path is not None or not self._folder.exists()
