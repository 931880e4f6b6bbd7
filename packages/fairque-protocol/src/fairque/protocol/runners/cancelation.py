"""Makes coroutines end when they are canceled, even if code inside them drops the cancelation."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import wraps
from typing import Any, ParamSpec, TypeVar

__all__ = ["cancelable"]

P = ParamSpec("P")
T = TypeVar("T")


def cancelable(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Make a coroutine function end as canceled whenever a cancelation was requested while it ran.

    `asyncio.wait_for` of Python 3.11 drops a cancelation that arrives together with the result, and redis-py reads
    answers with it: a canceled wait would continue, and a listener would never end.
    """

    @wraps(function)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        before = _requested()
        try:
            result = await function(*args, **kwargs)
        except Exception:
            if _requested() > before:
                raise asyncio.CancelledError from None
            raise
        if _requested() > before:
            raise asyncio.CancelledError
        return result

    return run


def _requested() -> int:
    """Return how many cancelations of this task are requested and not withdrawn."""
    with suppress(RuntimeError):  # no event loop runs, as in a forked child: the call itself reports that
        if (task := asyncio.current_task()) is not None:
            return task.cancelling()
    return 0
