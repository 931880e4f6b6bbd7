"""Operations of several calls, as generators without I/O; a link runs them, with or without asyncio."""

from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeAlias, TypeVar

from fairque.protocol.wire.call import Call

__all__ = ["Steps", "run_steps"]

T = TypeVar("T")

#: Yields a call and receives its answer, or yields several independent calls and receives a list of answers. Errors of
#: a call are raised at the yield. The return value is the result of the operation.
Steps: TypeAlias = Generator[Call[Any] | Sequence[Call[Any]], Any, T]


def run_steps(
    run: Callable[[Call[Any]], Any], run_all: Callable[[Sequence[Call[Any]]], Sequence[Any]], steps: Steps[T]
) -> T:
    """Run steps in order and return their result.

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
            except Exception as error:  # noqa: BLE001 - the steps decide how to handle it
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result
