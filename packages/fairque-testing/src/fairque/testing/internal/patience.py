"""How long our own tests wait: they may run on a busy machine."""

from collections.abc import Callable
from typing import TypeVar

from fairque.testing import waiting

__all__ = ["PATIENCE", "eventually"]

T = TypeVar("T")

#: Seconds after which a test gives up waiting: more than any machine needs, however busy it is.
PATIENCE = 300.0


def eventually(predicate: Callable[[], T], timeout: float = PATIENCE, *, what: str = "") -> T:
    """Wait as `fairque.testing.eventually` does, for longer."""
    return waiting.eventually(predicate, timeout, what=what)
