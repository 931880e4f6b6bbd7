"""The context variables of attempts: each starts with those with which the worker was created, and changes a copy."""

import decimal
from contextvars import Context, copy_context

__all__ = ["Contexts"]


class Contexts:
    """Creates contexts for attempts and hooks: copies of the one in which this object was created."""

    def __init__(self) -> None:
        self._base = copy_context()
        # A copy of a context shares its values. These are copied as well, since arithmetic with decimals changes them.
        self._shared = [(variable, value) for variable, value in self._base.items() if type(value) is decimal.Context]

    def fresh(self) -> Context:
        """Return a context for one attempt: what is set in it is invisible to others."""
        context = self._base.copy()
        for variable, value in self._shared:
            context.run(variable.set, value.copy())
        return context
