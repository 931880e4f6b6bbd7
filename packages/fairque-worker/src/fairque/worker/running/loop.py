"""An event loop in its own thread, and an attempt of a task that runs on it as a coroutine."""

import asyncio
import inspect
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from contextvars import Context
from functools import partial
from types import FrameType
from typing import Any

from fairque.protocol import clock
from fairque.protocol.descriptors import fill_standard_numbers
from fairque.protocol.forks import inherits
from fairque.protocol.service.threads import BegunThread
from fairque.worker.forks import end_copy, end_if_copy
from fairque.worker.jobs import Job
from fairque.worker.running.thread_state import ThreadState
from fairque.worker.running.to_thread import ToThreadPool

__all__ = ["CoroutineAttempt", "Loop"]

#: Methods that would change the loop for all tasks on it. `stop` is not among them: the loop continues at once.
_CHANGES_FOR_ALL = (
    "set_task_factory",
    "set_exception_handler",
    "set_default_executor",
    "set_debug",
    "shutdown_default_executor",
    "shutdown_asyncgens",
)


class Loop:
    """Runs coroutines until it is stopped.

    Args:
        on_death: Called in the loop's thread, with its name and the error, when it ends without being stopped.
        shared: Whether tasks share the loop, so that none may change it for the others.

    Attributes:
        changed: Whether a task has changed the loop, if it is not shared.
        to_thread_pool: The threads of `asyncio.to_thread`.
    """

    def __init__(self, on_death: Callable[[str, BaseException], None], *, shared: bool = True) -> None:
        self._on_death = on_death
        self.changed = False
        # A task in a thread may have closed one of them, and the loop opens descriptors.
        fill_standard_numbers()
        self._loop = asyncio.new_event_loop()
        # A test may freeze asyncio's own clock, and then no wait on the loop would ever end. Loops of other libraries
        # have their own clocks, which tests do not freeze.
        with suppress(AttributeError):
            self._loop.time = clock.monotonic  # type: ignore[method-assign]
        # Calls that a coroutine passes to a thread must not continue in a copy of this process either.
        self.to_thread_pool = ToThreadPool()
        self._loop.set_default_executor(self.to_thread_pool)
        for name in _CHANGES_FOR_ALL:
            with suppress(AttributeError):
                setattr(self._loop, name, partial(self._change, name, None if shared else getattr(self._loop, name)))
        self._state: ThreadState | None = None
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        inherits(self)
        try:
            self._thread = BegunThread(self._run, "fairque-loop")
            self._thread.start()
        except BaseException:
            self._loop.close()
            raise

    def start_over(self) -> None:
        """In a forked child: end the process as soon as the coroutine that forked it ends or waits.

        All others continue in the parent. A coroutine that waits cannot continue here: the parent shares the selector.
        """
        if threading.current_thread() is not self._thread:
            return
        forker = asyncio.current_task(self._loop)
        # Loops of other libraries hide what is ready: one step of another coroutine may run, but no second one.
        ready = getattr(self._loop, "_ready", None)
        if ready is not None:
            ready.clear()
        self._loop.call_soon(self._end_copy, forker)

    @staticmethod
    def _end_copy(forker: "asyncio.Task[Any] | None") -> None:
        if forker is None:
            end_copy()
        elif forker.done():
            end_copy(asyncio.CancelledError() if forker.cancelled() else forker.exception())
        else:
            sys.stderr.write("a forked copy cannot wait on the event loop of its parent: it ends\n")
            end_copy(SystemExit(1))

    def _change(self, name: str, change: Callable[..., Any] | None, *args: Any, **kwargs: Any) -> Any:
        if change is None:
            raise RuntimeError(
                f"{name}() would change the event loop for other tasks as well, since they share it: "
                "run a task that needs it with isolation='process'"
            )
        self.changed = True
        return change(*args, **kwargs)

    def call(self, function: Callable[[], None]) -> None:
        """Call a function on the loop soon, in the context of the caller.

        Raises:
            RuntimeError: The loop is closed.
        """
        self._loop.call_soon_threadsafe(function)

    def create_task(
        self,
        coroutine: Coroutine[Any, Any, None],
        name: str,
        context: Context,
        on_done: "Callable[[asyncio.Task[None]], None]",
    ) -> "asyncio.Task[None]":
        """Start a coroutine in a context; only on the loop itself.

        Args:
            coroutine: What runs.
            name: The name of its asyncio task.
            context: The context variables in which it runs.
            on_done: Called in that context with the asyncio task once it is done.
        """
        task = asyncio.Task(coroutine, loop=self._loop, name=name, context=context)
        task.add_done_callback(on_done, context=context)
        return task

    def wait_for(self, awaitable: Awaitable[Any]) -> None:
        """Await an awaitable on the loop, from another thread, and raise what it raises."""

        async def run() -> None:
            self.restore()
            try:
                await awaitable
            finally:
                self.restore()

        with self._lock:
            # Before the loop is stopped, so that stopping it ends this one, too.
            if self._stopped.is_set():
                raise RuntimeError("the worker has stopped: its event loop is closed")
            future = asyncio.run_coroutine_threadsafe(run(), self._loop)
        future.result()

    def restore(self) -> None:
        """Restore the state of the loop's thread, which user code may have changed for all; only on the loop itself."""
        if self._state is not None:
            self._state.restore()

    def stop(self) -> None:
        """Cancel what still runs, and end the loop; safe to call twice."""
        with self._lock:
            if not self._stopped.is_set():
                self._stopped.set()
                with suppress(RuntimeError):  # it has died, and is closed
                    self._loop.call_soon_threadsafe(self._loop.stop)

    def join(self, seconds: float) -> bool:
        """Wait for the thread to end, and return whether it has."""
        self._thread.join(max(0.0, seconds))
        return not self._thread.is_alive()

    def _note_state(self) -> None:
        self._state = ThreadState.current()

    def _run(self) -> None:
        loop, pid = self._loop, os.getpid()
        asyncio.set_event_loop(loop)
        # On the loop, since it sets hooks of its own when it begins to run.
        loop.call_soon(self._note_state)
        death: BaseException | None = None
        try:
            while not self._stopped.is_set():
                # asyncio lets these two through if an asyncio task raises them; its awaiting coroutine gets them, too.
                with suppress(SystemExit, KeyboardInterrupt):
                    loop.run_forever()
            unfinished = asyncio.all_tasks(loop)
            for task in unfinished:
                # Not twice: a second cancelation would interrupt the clean-up after the first one.
                if not task.cancelling():
                    task.cancel()
            if unfinished:
                loop.run_until_complete(asyncio.wait(unfinished, timeout=1))
        except BaseException as error:  # noqa: BLE001 - for example if a task has closed the selector
            end_if_copy(pid, error)
            death = error
        # At once: the number of a descriptor that a task has closed may soon belong to another one.
        with suppress(OSError):
            loop.close()
        if death is not None:
            # The coroutines that wait here can no longer continue.
            self._on_death(self._thread.name, death)


class CoroutineAttempt:
    """A coroutine on a loop, which any thread may cancel.

    Args:
        loop: Where it runs.
        job: Its task.
        create: Called there; what it returns is awaited, if that is possible.
        on_end: Called on the loop with this attempt and its value, or None and what it raised.
        context: The context variables in which it runs.

    Attributes:
        loop: Where it runs.
        job: Its task.
        started: When it began, on the monotonic clock; 0 if it begins with its first step.
        overdue: Whether its timeout is over, so that its ending is a failure in any case.
        cancels: How often it was canceled.
        cancel_delivered: Whether the loop has run the last cancelation: if not, something blocks the loop.
        ended: Whether it has ended.
    """

    def __init__(
        self,
        loop: Loop,
        job: Job,
        create: Callable[[], Any],
        on_end: "Callable[[CoroutineAttempt, Any, BaseException | None], None]",
        context: Context,
    ) -> None:
        self.loop = loop
        self.job = job
        self.started = 0.0
        self.overdue = False
        self.cancels = 0
        self.cancel_delivered = True
        self.ended = False
        self._create = create
        self._on_end = on_end
        self._context = context
        self._task: asyncio.Task[None] | None = None
        self._awaiting = False

    def begin(self) -> None:
        """Start it, on the loop; no other thread may still use its context."""
        name = f"fairque-{self.job.granted.task_id}"
        self._task = self.loop.create_task(self._run(), name, self._context, self._end_unbegun)

    def cancel(self) -> None:
        """Cancel it, from any thread."""
        self.cancels += 1
        self.cancel_delivered = False
        with suppress(RuntimeError):  # the loop is closed, and it has ended
            self.loop.call(self._cancel)

    def stack(self) -> list[FrameType]:
        """Return where it waits or runs, the innermost frame last; the snapshot may be slightly out of date."""
        stack = []
        coroutine: Any = None if self._task is None else self._task.get_coro()
        while (frame := getattr(coroutine, "cr_frame", None)) is not None:
            stack.append(frame)
            coroutine = coroutine.cr_await
        return stack

    def _cancel(self) -> None:
        self.cancel_delivered = True
        if self.ended:
            return
        if self._task is None or not self._awaiting:
            # Not before its first step, or it would end without calling `on_end`.
            self.loop.call(self._cancel)
        else:
            self._task.cancel()

    def _end_unbegun(self, task: "asyncio.Task[None]") -> None:
        """End it if its coroutine never ran: another one, which finds it by `asyncio.all_tasks`, has prevented that."""
        if self.ended:
            return
        self._awaiting = True
        self.started = self.started or clock.monotonic()
        unbegun = asyncio.CancelledError("it was canceled before it began")
        try:
            self._on_end(self, None, unbegun if task.cancelled() else task.exception() or unbegun)
        finally:
            self._forget()

    async def _run(self) -> None:
        self._awaiting = True
        # Not before: others of its group that came first are not its run time.
        self.started = self.started or clock.monotonic()
        pid = os.getpid()
        # Another attempt, which still runs, may have changed it.
        self.loop.restore()
        # Caught inside the coroutine: a SystemExit that leaves it would end the loop for all others.
        try:
            try:
                value = self._create()
                if inspect.isawaitable(value):
                    value = await value
            except BaseException as error:  # noqa: BLE001 - whatever a task raises is the ending of its attempt
                end_if_copy(pid, error)
                self._on_end(self, None, error)
            else:
                end_if_copy(pid)
                self._on_end(self, value, None)
        finally:
            # User code may also run while the ending is created.
            end_if_copy(pid)
            self.loop.restore()
            self._forget()

    def _forget(self) -> None:
        self.ended = True
        # Remaining references to this attempt must not keep objects of user code alive.
        del self._create, self._context
        self._task = None
