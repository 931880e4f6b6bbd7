"""The signals of a service: received wherever in the process they arrive, and restored in a forked child."""

import math
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum, auto
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any

from fairque.protocol import clock

__all__ = ["STOPPING", "Control", "Order", "ignore_from_now_on", "ignore_until_fork", "keep_hearing"]


class Order(Enum):
    """A request to the main thread of a service."""

    STOP = auto()
    PAUSE = auto()
    RESUME = auto()
    DUMP = auto()


#: The signals that stop any service; SIGHUP is that of a terminal that is closed.
STOPPING: Mapping[signal.Signals, Order] = dict.fromkeys((signal.SIGTERM, signal.SIGINT, signal.SIGHUP), Order.STOP)

#: Seconds between two checks. Python runs a handler when its main thread is awake, and a signal wakes that thread only
#: while it sleeps and receives the signal itself: a signal just before, or to another thread, waits for the next check.
_CHECK_SECONDS = 0.25

#: The handlers before a service replaced them; empty if none has.
_replaced: dict[int, Any] = {}
#: Whether this process ends with its service.
_kept = False
_masks = threading.local()


class Control:
    """Passes requests to the main thread of a service.

    Args:
        signals: The signals to handle, and what each requests.
    """

    def __init__(self, signals: Mapping[signal.Signals, Order] = STOPPING) -> None:
        self._signals = signals
        # A plain queue, since its put is safe inside a signal handler and an Event's set is not.
        self._told: SimpleQueue[Order] = SimpleQueue()

    def tell(self, order: Order = Order.STOP) -> None:
        """End one `wait`."""
        self._told.put(order)

    def wait(self, seconds: float = math.inf) -> Order | None:
        """Wait at most so many seconds for a request, and return it; None if there was none."""
        until = clock.monotonic() + seconds
        while True:
            seconds = until - clock.monotonic()
            try:
                return self._told.get(timeout=max(0.0, min(seconds, _CHECK_SECONDS)))
            except Empty:
                if seconds <= _CHECK_SECONDS:
                    return None

    @contextmanager
    def hearing(self) -> Iterator[None]:
        """Handle the signals while the context lasts, if this is the main thread: only that one may set handlers."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def on_signal(number: int, _: FrameType | None) -> None:
            self.tell(self._signals[signal.Signals(number)])

        try:
            for number in self._signals:
                # `nohup` ignores SIGHUP for the programs that it starts.
                if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                    _replace(number, on_signal)
            if signal.getsignal(signal.SIGPIPE) is signal.SIG_DFL:
                # Set by a module, as for a program whose output is piped into `head`: it would end the process when it
                # writes to a server or to a child process that is gone.
                _replace(signal.SIGPIPE, signal.SIG_IGN)
            yield
        finally:
            if not _kept:
                _restore_handlers()


def keep_hearing() -> None:
    """Keep the handlers after the service has ended, without effect: for a process that ends with it.

    With the handlers restored, a late signal would end the process with a misleading exit code, or suspend it.
    """
    global _kept  # noqa: PLW0603 - as are the handlers of a process
    _kept = True


def ignore_from_now_on() -> None:
    """Ignore all signals that stop a service or that one has handled here: this process ends."""
    for number in {*STOPPING, *_replaced}:
        signal.signal(number, signal.SIG_IGN)


def ignore_until_fork(*numbers: int) -> None:
    """Ignore these signals; processes that this one forks or executes have the previous handlers."""
    for number in numbers:
        _replace(number, lambda _, __: None)


def _replace(number: int, handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    # First recorded, then replaced: a child that is forked in between restores its handlers, too.
    _replaced[number] = signal.getsignal(number)
    signal.signal(number, handler)


def _restore_handlers() -> None:
    for number, handler in _replaced.items():
        # None is a handler that was not set from Python, and cannot be restored.
        signal.signal(number, signal.SIG_DFL if handler is None else handler)
    _replaced.clear()


def _before_fork() -> None:
    # Until the child has restored its handlers: a signal in between would be lost.
    _masks.old = signal.pthread_sigmask(signal.SIG_BLOCK, tuple(_replaced))


def _in_parent() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _masks.old)


def _in_child() -> None:
    global _kept  # noqa: PLW0603 - as above
    _kept = False
    # A process that a task forks is not a service: a signal ends it, as it would without a service.
    _restore_handlers()
    _in_parent()


os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
