"""File locks of the embedded server, which the kernel releases."""

import fcntl
import os
from pathlib import Path

__all__ = ["FileLock"]


class FileLock:
    """One open lock file. Its lock lasts until the last process with a copy of it closes it or ends.

    Args:
        path: The lock file.
        create: Create the file if it is missing.

    Raises:
        OSError: The file cannot be opened.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o600)

    def try_exclusive(self) -> bool:
        """Take the lock exclusively.

        Returns:
            Whether it was free.
        """
        return self._try(fcntl.LOCK_EX)

    def try_shared(self) -> bool:
        """Share the lock with others.

        Returns:
            Whether no process holds it exclusively.
        """
        return self._try(fcntl.LOCK_SH)

    def close(self) -> None:
        """Give up this process's copy; copies in other processes keep the lock."""
        os.close(self.descriptor)

    def _try(self, operation: int) -> bool:
        try:
            fcntl.flock(self.descriptor, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
