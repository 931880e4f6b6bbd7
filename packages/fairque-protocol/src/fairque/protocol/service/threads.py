"""Threads whose start only succeeds if they really begin."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

__all__ = ["BegunThread", "note_thread_defaults", "restore_thread_attributes", "restore_thread_defaults"]

_CHECK_SECONDS: Final = 0.05
#: Seconds in which a thread must begin: it dies unseen if there is no memory for it.
_BEGIN_SECONDS: Final = 20.0

#: What `note_thread_defaults` has noted: functions and stack size of new threads, and the switch interval.
_noted: list[tuple[Any, Any, int, float]] = []
#: Its signal mask, processors (None: the system has no such choice) and priority.
_attributes: list[tuple[set[Any], set[int] | None, int]] = []


def note_thread_defaults() -> None:
    """Note what applies to new threads now.

    That is functions for tracing and profiling, stack size, and switch interval; and signal mask, processors and
    priority of this thread, which the threads that it starts inherit.
    """
    _noted[:] = [(threading.gettrace(), threading.getprofile(), threading.stack_size(), sys.getswitchinterval())]
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    processors = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    _attributes[:] = [(mask, processors, os.getpriority(os.PRIO_PROCESS, 0))]


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


def restore_thread_attributes() -> None:
    """Give the current thread the signal mask, processors and priority that `note_thread_defaults` has noted.

    A new thread inherits those of the one that starts it, in which a task may have changed them. A lower priority can
    only be undone with the right to do so.
    """
    for mask, processors, priority in _attributes:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        with suppress(OSError):
            if processors is not None:
                os.sched_setaffinity(0, processors)
        with suppress(OSError):
            if os.getpriority(os.PRIO_PROCESS, 0) != priority:
                os.setpriority(os.PRIO_PROCESS, 0, priority)


class _BoundedEvent(threading.Event):
    """An event for which nobody waits longer than a thread needs to begin, however busy the machine is."""

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait(_BEGIN_SECONDS if timeout is None else timeout)


class BegunThread(threading.Thread):
    """A daemon thread whose `start` returns when its function has begun.

    A function that user code has set for all future threads, by `threading.settrace` or `threading.setprofile`, is
    called before any code of the thread: if it raises, the thread ends before it begins, without notice. So `start`
    first undoes what was set since `note_thread_defaults`.
    """

    def __init__(self, function: Callable[..., object], name: str, *args: object) -> None:
        super().__init__(target=function, args=args, name=name, daemon=True)
        self._has_begun = threading.Event()
        # For this event `start` of the base class waits forever if the thread dies before it sets it.
        self._started = _BoundedEvent()
        self._deciding = threading.Lock()
        self._given_up = False

    def start(self) -> None:
        """Start the thread, and wait until its function begins.

        Raises:
            RuntimeError: The system has no thread left, or the thread has ended before it has begun.
        """
        restore_thread_defaults()
        super().start()
        while not self._has_begun.wait(_CHECK_SECONDS):
            if not self.is_alive():
                break
        with self._deciding:
            self._given_up = not self._has_begun.is_set()
        if self._given_up:
            raise RuntimeError(
                f"thread {self.name!r} ended before it had begun: memory is short, or code in this process has called "
                "threading.settrace or threading.setprofile with a function that raises"
            )

    def run(self) -> None:
        """Signal that the thread has begun, and call its function."""
        restore_thread_attributes()
        with self._deciding:
            if self._given_up:
                return
            self._has_begun.set()
        super().run()
