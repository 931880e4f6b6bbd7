"""The context variables of attempts: each begins with those that the worker was made with, and changes only its own."""

import decimal
from contextvars import Context, copy_context

__all__ = ["Contexts"]


class Contexts:
    """Makes contexts for attempts and hooks. They begin like the one in which this object was made."""

    def __init__(self) -> None:
        self._base = copy_context()
        # A copy of a context shares the values. These, which arithmetic with decimals changes, are copied as well.
        self._shared = [(variable, value) for variable, value in self._base.items() if type(value) is decimal.Context]

    def fresh(self) -> Context:
        """Return a context for one attempt: what is set in it is seen by no other one."""
        context = self._base.copy()
        for variable, value in self._shared:
            context.run(variable.set, value.copy())
        return context
