"""Calls of several steps: generators that know no I/O, carried out by a link with or without asyncio."""

from collections.abc import Generator, Sequence
from typing import Any, TypeAlias, TypeVar

from fairque.protocol.wire.call import Call

__all__ = ["Steps"]

T = TypeVar("T")

#: Yields a call and receives its answer, or several independent calls and receives the list of their answers. What it
#: returns is the result of all steps.
Steps: TypeAlias = Generator[Call[Any] | Sequence[Call[Any]], Any, T]
