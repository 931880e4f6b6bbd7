"""Coroutines that end when they are canceled, whatever the code in them does with a cancelation."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import wraps
from typing import Any, ParamSpec, TypeVar

__all__ = ["cancelable"]

P = ParamSpec("P")
T = TypeVar("T")


def cancelable(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Let a coroutine function end as canceled whenever that was asked for while it ran.

    `asyncio.wait_for` of Python 3.11 drops a cancelation that comes together with what it waits for, and redis-py reads
    answers with it: a wait that was canceled would wait on, and a listener would never end.
    """

    @wraps(function)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        before = _asked()
        try:
            result = await function(*args, **kwargs)
        except Exception:
            if _asked() > before:
                raise asyncio.CancelledError from None
            raise
        if _asked() > before:
            raise asyncio.CancelledError
        return result

    return run


def _asked() -> int:
    """Return how many cancelations of this task are asked for and not taken back."""
    with suppress(RuntimeError):  # no event loop runs, as in a forked child: the call says so
        if (task := asyncio.current_task()) is not None:
            return task.cancelling()
    return 0
