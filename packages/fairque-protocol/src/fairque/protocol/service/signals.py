"""The signals of a service: heard wherever in the process they arrive, and given back in a forked child."""

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
    """What the main thread of a service is told."""

    STOP = auto()
    PAUSE = auto()
    RESUME = auto()
    DUMP = auto()


#: The signals that stop any service.
STOPPING: Mapping[signal.Signals, Order] = {signal.SIGTERM: Order.STOP, signal.SIGINT: Order.STOP}

#: Python carries out a handler when its main thread is awake, and a signal wakes it only while it is asleep already
#: and by itself the receiver: one that came just before, or that another thread got, is heard at the next look.
_LOOK_SECONDS = 0.25

#: What the signals did before a service listened to them; empty when none does.
_replaced: dict[int, Any] = {}
#: Whether this process ends with its service.
_kept = False
_masks = threading.local()


class Control:
    """Tells the main thread of a service what to do.

    Args:
        signals: What each signal means that it hears.
    """

    def __init__(self, signals: Mapping[signal.Signals, Order] = STOPPING) -> None:
        self._signals = signals
        # A plain queue, since its put is safe inside a signal handler and an Event's set is not.
        self._told: SimpleQueue[Order] = SimpleQueue()

    def tell(self, order: Order = Order.STOP) -> None:
        """End one `wait`."""
        self._told.put(order)

    def wait(self, seconds: float = math.inf) -> Order | None:
        """Wait until it is told something, at most so long; return what it was."""
        until = clock.monotonic() + seconds
        while True:
            left = until - clock.monotonic()
            try:
                return self._told.get(timeout=max(0.0, min(left, _LOOK_SECONDS)))
            except Empty:
                if left <= _LOOK_SECONDS:
                    return None

    @contextmanager
    def hearing(self) -> Iterator[None]:
        """Be told by the signals while the context lasts, if this is the main thread: no other one may ask."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def on_signal(number: int, _: FrameType | None) -> None:
            self.tell(self._signals[signal.Signals(number)])

        try:
            for number in self._signals:
                _replace(number, on_signal)
            yield
        finally:
            if not _kept:
                _give_back()


def keep_hearing() -> None:
    """Hear the signals also when the service is over, and do nothing: for a process that ends with it.

    Given back, one that came by then would end the process with a code that means something else, or suspend it.
    """
    global _kept  # noqa: PLW0603 - as are the handlers of a process
    _kept = True


def ignore_from_now_on() -> None:
    """Do nothing at any signal that stops a service, or that one has heard here: this process ends."""
    for number in {*STOPPING, *_replaced}:
        signal.signal(number, signal.SIG_IGN)


def ignore_until_fork(*numbers: int) -> None:
    """Do nothing at these signals; what this process forks or executes has the handlers from before."""
    for number in numbers:
        _replace(number, lambda _, __: None)


def _replace(number: int, handler: Callable[[int, FrameType | None], None]) -> None:
    # First noted, then replaced: a child that is forked in between gets its handlers back, too.
    _replaced[number] = signal.getsignal(number)
    signal.signal(number, handler)


def _give_back() -> None:
    for number, handler in _replaced.items():
        # None stands for a handler that is not Python's, and cannot be set again.
        signal.signal(number, signal.SIG_DFL if handler is None else handler)
    _replaced.clear()


def _before_fork() -> None:
    # Until the child has its handlers back: a signal that came in between would be heard by nobody.
    _masks.old = signal.pthread_sigmask(signal.SIG_BLOCK, tuple(_replaced))


def _in_parent() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _masks.old)


def _in_child() -> None:
    global _kept  # noqa: PLW0603 - as above
    _kept = False
    # What a task forks is not a service: it ends at a signal, as it would without one.
    _give_back()
    _in_parent()


os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
