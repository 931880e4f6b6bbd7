"""Waiting in a test for another thread or process."""

import time
from collections.abc import Callable
from typing import TypeVar

from fairque.protocol.clock import monotonic

__all__ = ["eventually"]

T = TypeVar("T")


def eventually(predicate: Callable[[], T], timeout: float = 10, *, what: str = "") -> T:
    """Wait until a condition holds, checked every 10 ms.

    Args:
        predicate: Returns a truthy value once it holds.
        timeout: Seconds to wait.
        what: The expected condition, for the message.

    Returns:
        The truthy value.

    Raises:
        AssertionError: It did not hold in time.
    """
    deadline = monotonic() + timeout
    while not (value := predicate()):
        if monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what or predicate}")
        time.sleep(0.01)
    return value
