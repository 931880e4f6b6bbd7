"""The threads in which tasks and hooks run: they share one plain queue, and one that hangs can be replaced."""

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import count as counted
from queue import SimpleQueue
from typing import ParamSpec, TypeAlias, TypeVar

from attrs import define

from fairque.protocol import clock
from fairque.protocol.forks import inherits
from fairque.protocol.service.threads import BegunThread
from fairque.worker.forks import end_copy, end_if_copy
from fairque.worker.running.thread_state import ThreadState

__all__ = ["Slot", "Threads", "Work"]

P = ParamSpec("P")
T = TypeVar("T")

#: Seconds between attempts to start a thread after a failure: each costs the system as much as a success.
_PAUSE_SECONDS = 1.0


@define(eq=False)
class Slot:
    """One of the threads.

    Attributes:
        given_up: Whether it was replaced: it ends as soon as the code that it runs returns.
        ended: Whether it has ended.
        state: The state of the thread before any task ran in it; None for a thread of others.
    """

    given_up: bool = False
    ended: bool = False
    state: ThreadState | None = None

    def restore(self) -> None:
        """Restore, in the thread, what belongs to it and not to a task."""
        if self.state is None:
            return
        with suppress(BaseException):
            self.state.restore()
        with suppress(BaseException):
            asyncio.set_event_loop(None)


#: What a thread runs; it must not raise.
Work: TypeAlias = Callable[[Slot], None]


class _WorkQueue:
    """The queue of work. None is lost to an exception that user code raises in a thread that waits here.

    `PyThreadState_SetAsyncExc`, which libraries use for timeouts of threads, does that: a late one hits whatever the
    thread does by then. It is raised after the waiting call, so that call must not be the one that returns the work.
    """

    def __init__(self) -> None:
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._works: deque[Work | None] = deque()

    def put(self, work: Work | None) -> None:
        """Add work; None ends one of the threads."""
        self._works.append(work)
        self._bell.put(None)

    def get(self) -> Work | None:
        """Wait for the next work, and return it."""
        while True:
            with suppress(BaseException):
                self._bell.get()
            with suppress(IndexError):
                return self._works.popleft()

    def clear(self) -> None:
        """Drop all work."""
        self._works.clear()


class Threads(ThreadPoolExecutor):
    """A ThreadPoolExecutor of plain daemon threads that share one queue.

    The threads of the base class are not used. The interpreter joins them when it ends, so a task that hangs would keep
    a stopped worker alive. A process that a task forks joins them as well, and runs in one of them: on some releases of
    Python a `multiprocessing.Process` of a task would end with exit code 1. A task has no future either, which makes
    handing it over cheap.

    Args:
        count: How many threads there are; each is started when there is work for it.
        spare: How many threads may be replaced while the replaced ones still run.
        name: Prefix of the threads' names.

    Attributes:
        shortage: Why the last thread could not be started; empty if it could.
    """

    def __init__(self, count: int, spare: int = 0, name: str = "fairque-task") -> None:
        super().__init__(max_workers=count + spare, thread_name_prefix=name)
        self.shortage = ""
        self._count, self._most = count, count + spare
        self._name, self._numbers = name, counted()
        self._waiting = _WorkQueue()
        self._slots: dict[Slot, threading.Thread] = {}
        # Those that are not given up.
        self._begun = 0
        self._next_try_at = 0.0
        self._over = False
        self._guard = threading.Lock()
        inherits(self)

    def start_over(self) -> None:
        """Drop all work in a forked child, which has none of the threads."""
        self._waiting = _WorkQueue()
        self._guard = threading.Lock()
        self._over = True

    def grow(self) -> int:
        """Start another thread if the limit allows it, and return how many there are."""
        if self._begun < self._count:
            with self._guard:
                if self._begun < self._count and not self._over:
                    self._begin()
        return self._begun

    def put(self, work: Work) -> None:
        """Run work as soon as a thread is free. If `grow` returned 0 none ever is."""
        self._waiting.put(work)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """Run a function as soon as a thread is free, and return its future.

        Raises:
            RuntimeError: The pool was shut down, or no thread can be started.
        """
        future: Future[T] = Future()

        def run(_: Slot) -> None:
            if not future.set_running_or_notify_cancel():
                return
            pid = os.getpid()
            try:
                value = fn(*args, **kwargs)
                end_if_copy(pid)
            except BaseException as error:  # noqa: BLE001 - it belongs to the code that waits for the future
                end_if_copy(pid, error)
                future.set_exception(error)
            else:
                future.set_result(value)

        self._hand_over(run)
        return future

    def replace(self, slot: Slot) -> None:
        """Start another thread in place of one that hangs; if that is impossible now, when there is more work."""
        with self._guard:
            slot.given_up = True
            self._begun -= 1
            if not self._over:
                self._begin()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - as the base
        """Let the threads end when no work is left."""
        if cancel_futures:
            self._waiting.clear()
        self.stop()
        if wait:
            self.wait(threading.TIMEOUT_MAX)

    def stop(self) -> None:
        """Let the threads end when they are free; safe to call twice."""
        with self._guard:
            if self._over:
                return
            self._over = True
            for _ in self._slots:
                self._waiting.put(None)

    def wait(self, seconds: float) -> bool:
        """Wait for the threads that were not given up; return whether all have ended, those given up included."""
        until = clock.monotonic() + seconds
        for slot, thread in list(self._slots.items()):
            if not slot.given_up:
                thread.join(max(0.0, until - clock.monotonic()))
        return not any(thread.is_alive() for thread in self._slots.values())

    def _hand_over(self, work: Work) -> None:
        self._refuse_if_over()
        if not self.grow():
            raise RuntimeError(self.shortage)
        self.put(work)

    def _refuse_if_over(self) -> None:
        if self._over:
            raise RuntimeError("cannot schedule new futures after shutdown")

    def _begin(self) -> None:
        # Drop the threads that have ended.
        self._slots = {slot: thread for slot, thread in self._slots.items() if thread.is_alive()}
        if len(self._slots) >= self._most or clock.monotonic() < self._next_try_at:
            return
        slot = Slot()
        name = f"{self._name}_{next(self._numbers)}"
        try:
            thread = BegunThread(self._run, name, slot)
            thread.start()
        except (RuntimeError, MemoryError) as error:
            self.shortage = f"no thread can be started: {error or type(error).__name__}"
            self._next_try_at = clock.monotonic() + _PAUSE_SECONDS
            return
        self.shortage = ""
        self._slots[slot] = thread
        self._begun += 1

    def _run(self, slot: Slot) -> None:
        pid, slot.state = os.getpid(), ThreadState.current()
        while not slot.ended:
            # An exception may be thrown into this thread here, too.
            with suppress(BaseException):
                while not slot.given_up and (work := self._waiting.get()) is not None:
                    self._do(work, slot)
                    if os.getpid() != pid:
                        end_copy()
                slot.ended = True

    @staticmethod
    def _do(work: Work, slot: Slot) -> None:
        """Run work, and restore what belongs to the thread and not to a task."""
        # An exception that raises while it is logged gets this far: even that must not end the thread.
        with suppress(BaseException):
            work(slot)
        slot.restore()
