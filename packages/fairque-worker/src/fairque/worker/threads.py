"""The threads in which tasks and hooks run: they wait on one plain queue, and one that hangs can be replaced."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from queue import SimpleQueue
from threading import Lock
from typing import TypeAlias

from attrs import define

__all__ = ["Slot", "Threads", "Work"]


@define(eq=False)
class Slot:
    """One of the threads.

    Attributes:
        given_up: Another one has taken its place: it ends as soon as what it runs lets it.
        ended: Whether it has.
    """

    given_up: bool = False
    ended: bool = False


#: What a thread runs; it must not raise.
Work: TypeAlias = Callable[[Slot], None]


class Threads:
    """The threads of a ThreadPoolExecutor, each of which takes from one queue.

    No task gets a future: that is what makes handing over a task cheap.

    Args:
        count: How many there are, begun one by one as there is something to do.
        spare: How many may be replaced in all while those that they replace still run.
    """

    def __init__(self, count: int, spare: int) -> None:
        self._count = count
        self._work: SimpleQueue[Work | None] = SimpleQueue()
        self._pool = ThreadPoolExecutor(max_workers=count + spare, thread_name_prefix="fairque-task")
        self._slots: dict[Slot, Future[None]] = {}
        self._begun = 0
        self._stopped = False
        self._lock = Lock()

    def put(self, work: Work) -> None:
        """Run something as soon as a thread is free."""
        if self._begun < self._count:
            with self._lock:
                if self._begun < self._count and not self._stopped:
                    self._begun += 1
                    self._begin()
        self._work.put(work)

    def replace(self, slot: Slot) -> None:
        """Begin another thread instead of one that hangs."""
        slot.given_up = True
        with self._lock:
            if not self._stopped:
                self._begin()

    def stop(self) -> None:
        """Let the threads end when they are free; safe to call twice."""
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
            for _ in self._slots:
                self._work.put(None)
            self._pool.shutdown(wait=False)

    def wait(self, seconds: float) -> bool:
        """Wait for the end of those that were not given up; return whether all have ended, the given up ones too."""
        wait([future for slot, future in self._slots.items() if not slot.given_up], timeout=seconds)
        return all(future.done() for future in self._slots.values())

    def _begin(self) -> None:
        # What has ended long ago is not kept for ever.
        self._slots = {slot: future for slot, future in self._slots.items() if not slot.ended}
        slot = Slot()
        self._slots[slot] = self._pool.submit(self._run, slot)

    def _run(self, slot: Slot) -> None:
        while not slot.given_up and (work := self._work.get()) is not None:
            # An exception that raises while it is logged gets this far: not even that may cost a thread.
            with suppress(BaseException):
                work(slot)
        slot.ended = True
