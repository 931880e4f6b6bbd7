"""Threads whose start only succeeds if they really begin."""

import threading
from collections.abc import Callable
from typing import Final

__all__ = ["BegunThread"]

_CHECK_SECONDS: Final = 0.05


class BegunThread(threading.Thread):
    """A daemon thread whose `start` returns when its function has begun.

    A function that user code has set for all future threads, by `threading.settrace` or `threading.setprofile`, is
    called before any code of the thread: if it raises, the thread ends before it begins, without notice.
    """

    def __init__(self, function: Callable[..., object], name: str, *args: object) -> None:
        super().__init__(target=function, args=args, name=name, daemon=True)
        self._has_begun = threading.Event()

    def start(self) -> None:
        """Start the thread, and wait until its function begins.

        Raises:
            RuntimeError: The system has no thread left, or the thread has ended before it has begun.
        """
        super().start()
        while not self._has_begun.wait(_CHECK_SECONDS):
            if not self.is_alive():
                raise RuntimeError(
                    f"thread {self.name!r} ended before it had begun: code in this process has called "
                    "threading.settrace or threading.setprofile with a function that raises"
                )

    def run(self) -> None:
        """Signal that the thread has begun, and call its function."""
        self._has_begun.set()
        super().run()
