"""Passes a function the values that it pulls, and pushes its result, as its decorators declare."""

import inspect
from collections.abc import Awaitable
from typing import Any

from fairque.protocol.errors import OutputMissing
from fairque.protocol.model.context import TaskContext
from fairque.protocol.model.xcom import XComUse
from fairque.worker.handling.inputs import patiently

__all__ = ["pulled", "pushed"]


def pulled(use: XComUse, ctx: TaskContext) -> dict[str, Any]:
    """Return the arguments that a function pulls.

    Raises:
        OutputMissing: A value is missing; the message names the task and the argument.
        Snooze: The server did not answer.
    """
    found: dict[str, Any] = {}
    for pull in use.pulls:
        try:
            with patiently():
                found[pull.parameter] = ctx.xcom.pull(pull.key, pull.func)
        except OutputMissing as error:
            raise OutputMissing(f"argument {pull.parameter!r} of {ctx.func}: {error}", error.task_id) from None
    return found


def pushed(use: XComUse, value: Any, ctx: TaskContext) -> Any:
    """Push and return what a function returned; for an awaitable, return one that pushes its result."""
    if inspect.isawaitable(value):
        return _pushed_later(use, value, ctx)
    for key in use.pushes:
        ctx.xcom.push(key, value)
    return value


async def _pushed_later(use: XComUse, awaitable: Awaitable[Any], ctx: TaskContext) -> Any:
    return pushed(use, await awaitable, ctx)
