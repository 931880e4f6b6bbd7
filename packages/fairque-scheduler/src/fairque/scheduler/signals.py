"""The signals that stop a scheduler."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from types import FrameType

__all__ = ["Control"]

_NUMBERS = (signal.SIGTERM, signal.SIGINT)
#: A signal that another thread got is heard when the main thread is awake: at the next look, at the latest.
_LOOK_SECONDS = 0.25


class Control:
    """Tells the main thread of a scheduler that it is time to stop."""

    def __init__(self) -> None:
        # A plain queue, since its put is safe inside a signal handler and an Event's set is not.
        self._told: SimpleQueue[None] = SimpleQueue()

    def tell(self) -> None:
        """End the wait."""
        self._told.put(None)

    def wait(self) -> None:
        """Wait until it is told."""
        while True:
            try:
                return self._told.get(timeout=_LOOK_SECONDS)
            except Empty:
                pass

    @contextmanager
    def hearing(self) -> Iterator[None]:
        """Be told by SIGTERM and SIGINT while the context lasts, if this is the main thread: no other one may ask."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def on_signal(_: int, __: FrameType | None) -> None:
            self.tell()

        before = {number: signal.getsignal(number) for number in _NUMBERS}
        try:
            for number in _NUMBERS:
                signal.signal(number, on_signal)
            yield
        finally:
            for number, handler in before.items():
                # None stands for a handler that is not Python's, and cannot be set again.
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
