"""Limits how many calls of one runner are under way at a time, so that a thousand threads open few connections."""

from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Self

__all__ = ["Turns"]

#: A turn that an exception of a signal took away, between two lines, is missed no longer than this.
_LONGEST_SECONDS = 5.0


class Turns:
    """A context manager that only so many threads can be in at a time: the others wait until one leaves.

    Unlike a semaphore of `threading` it may be entered by the handler of a signal, at any moment: it has no lock that
    the interrupted thread may hold. After a long wait a thread enters anyway, since a turn may have been lost.

    Args:
        number: How many may enter.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(number):
            self._free.put(None)

    def __enter__(self) -> Self:
        with suppress(Empty):
            self._free.get(timeout=_LONGEST_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        if self._free.qsize() < self._number:
            self._free.put(None)
