"""The state that Python keeps for a thread or for new threads: noted before user code runs there, restored after it."""

import sys
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any, TypeAlias

from attrs import frozen

from fairque.protocol.service.threads import restore_thread_defaults

__all__ = ["ThreadState"]

_GeneratorHook: TypeAlias = Callable[[AsyncGenerator[Any, Any]], None] | None


@frozen
class ThreadState:
    """The state of one thread.

    Attributes:
        trace: The function for tracing.
        profile: The function for profiling.
        first_iteration: Called when an asynchronous generator is iterated for the first time.
        finalizer: Called when an asynchronous generator is dropped.
        origin_depth: How many frames a coroutine keeps of its creation.
        name: The name of the thread.
    """

    trace: Any
    profile: Any
    first_iteration: _GeneratorHook
    finalizer: _GeneratorHook
    origin_depth: int
    name: str

    @classmethod
    def current(cls) -> "ThreadState":
        """Return the state of the current thread."""
        hooks, depth = sys.get_asyncgen_hooks(), sys.get_coroutine_origin_tracking_depth()
        return cls(sys.gettrace(), sys.getprofile(), *hooks, depth, threading.current_thread().name)

    def restore(self) -> None:
        """Restore it in the current thread, and undo what user code has set for new threads; it does not raise."""
        try:
            self._restore()
        except BaseException:  # noqa: BLE001 - a function for tracing or profiling may raise here
            # Then Python removes it: there are two of them at most.
            for _ in range(2):
                with suppress(BaseException):
                    self._restore()
                    return

    def _restore(self) -> None:
        if sys.gettrace() is not self.trace:
            sys.settrace(self.trace)
        if sys.getprofile() is not self.profile:
            sys.setprofile(self.profile)
        hooks = sys.get_asyncgen_hooks()
        if hooks.firstiter is not self.first_iteration or hooks.finalizer is not self.finalizer:
            sys.set_asyncgen_hooks(self.first_iteration, self.finalizer)
        if sys.get_coroutine_origin_tracking_depth() != self.origin_depth:
            sys.set_coroutine_origin_tracking_depth(self.origin_depth)
        thread = threading.current_thread()
        if thread.name is not self.name:
            thread.name = self.name
        restore_thread_defaults()
