"""Threads whose start only succeeds if they really begin."""

import sys
import threading
from collections.abc import Callable
from typing import Any, Final

__all__ = ["BegunThread", "note_thread_defaults", "restore_thread_defaults"]

_CHECK_SECONDS: Final = 0.05

#: What `note_thread_defaults` has noted: functions and stack size of new threads, and the switch interval.
_noted: list[tuple[Any, Any, int, float]] = []


def note_thread_defaults() -> None:
    """Note what Python applies to threads now: functions for tracing and profiling, stack size, and switch interval."""
    _noted[:] = [(threading.gettrace(), threading.getprofile(), threading.stack_size(), sys.getswitchinterval())]


def restore_thread_defaults() -> None:
    """Undo what user code has set for threads since `note_thread_defaults`; nothing if that was never called."""
    for trace, profile, stack_size, switch_interval in _noted:
        if threading.gettrace() is not trace:
            threading.settrace(trace)
        if threading.getprofile() is not profile:
            threading.setprofile(profile)
        if threading.stack_size() != stack_size:
            threading.stack_size(stack_size)
        if sys.getswitchinterval() != switch_interval:
            # With a long one, a task that computes keeps the heartbeat of all others from being sent.
            sys.setswitchinterval(switch_interval)


class BegunThread(threading.Thread):
    """A daemon thread whose `start` returns when its function has begun.

    A function that user code has set for all future threads, by `threading.settrace` or `threading.setprofile`, is
    called before any code of the thread: if it raises, the thread ends before it begins, without notice. So `start`
    first undoes what was set since `note_thread_defaults`.
    """

    def __init__(self, function: Callable[..., object], name: str, *args: object) -> None:
        super().__init__(target=function, args=args, name=name, daemon=True)
        self._has_begun = threading.Event()

    def start(self) -> None:
        """Start the thread, and wait until its function begins.

        Raises:
            RuntimeError: The system has no thread left, or the thread has ended before it has begun.
        """
        restore_thread_defaults()
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
