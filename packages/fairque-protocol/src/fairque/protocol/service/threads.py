"""Threads of which their starter knows that they have begun."""

import threading
from collections.abc import Callable
from typing import Final

__all__ = ["BegunThread"]

_LOOK_SECONDS: Final = 0.05


class BegunThread(threading.Thread):
    """A daemon thread whose `start` returns when its function has begun.

    A function that user code has set for all threads to come, by `threading.settrace` or `threading.setprofile`, is
    called before any code of the thread: one that raises ends a thread that has not begun, and nobody would know.
    """

    def __init__(self, function: Callable[..., object], name: str, *args: object) -> None:
        super().__init__(target=function, args=args, name=name, daemon=True)
        self._has_begun = threading.Event()

    def start(self) -> None:
        """Begin.

        Raises:
            RuntimeError: The system has no thread left, or the thread has ended before it has begun.
        """
        super().start()
        while not self._has_begun.wait(_LOOK_SECONDS):
            if not self.is_alive():
                raise RuntimeError(
                    f"thread {self.name!r} ended before it had begun: code in this process has called "
                    "threading.settrace or threading.setprofile with a function that raises"
                )

    def run(self) -> None:
        """Say that it has begun, and call its function."""
        self._has_begun.set()
        super().run()
