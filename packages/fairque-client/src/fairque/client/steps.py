"""Calls of several steps: generators that know no I/O, run by a link with or without asyncio."""

from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeAlias, TypeVar

from fairque.protocol.wire.call import Call

__all__ = ["Steps", "carried_out"]

T = TypeVar("T")

#: Yields a call and receives its answer, or several independent calls and receives the list of their answers; an error
#: of theirs is raised at the yield. What it returns is the result of all steps.
Steps: TypeAlias = Generator[Call[Any] | Sequence[Call[Any]], Any, T]


def carried_out(
    run: Callable[[Call[Any]], Any], run_all: Callable[[Sequence[Call[Any]]], Sequence[Any]], steps: Steps[T]
) -> T:
    """Carry out steps one after the other, and return their result.

    Args:
        run: Sends a call.
        run_all: Sends several calls that do not depend on each other.
        steps: The steps.
    """
    try:
        step = next(steps)
        while True:
            try:
                answer = run(step) if isinstance(step, Call) else run_all(step)
            except Exception as error:  # noqa: BLE001 - the steps decide what it means to them
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result
