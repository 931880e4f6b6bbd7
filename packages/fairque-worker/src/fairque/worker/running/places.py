"""Where attempts run. Only the thread that takes an attempt out of this table reports its ending."""

import threading
from collections.abc import Iterable
from typing import TypeAlias

from fairque.worker.jobs import Job
from fairque.worker.processes.children import Child
from fairque.worker.running.loop import CoroutineAttempt
from fairque.worker.running.threads import Slot

__all__ = ["Place", "Places"]

#: None: it waits for a thread.
Place: TypeAlias = Slot | CoroutineAttempt | Child | None


class Places:
    """The attempts that have begun, or wait to begin, and have not ended. Threads may share it."""

    def __init__(self) -> None:
        self._places: dict[Job, Place] = {}
        self._lock = threading.Lock()

    def add(self, job: Job, place: Place = None) -> None:
        """Add an attempt."""
        self._places[job] = place

    def claim(self, job: Job, slot: Slot) -> bool:
        """Let the thread of a slot run an attempt that waits; only the first one may."""
        with self._lock:
            if self._places.get(job, slot) is not None:
                return False
            self._places[job] = slot
            return True

    def move(self, job: Job, slot: Slot, place: Place) -> bool:
        """Move an attempt from its thread to another place, unless it was given up before."""
        with self._lock:
            moved = self._places.get(job) is slot
            if moved:
                self._places[job] = place
            else:
                slot.given_up = True
        return moved

    def take_out(self, job: Job) -> bool:
        """Close an attempt; only the first caller gets True, and reports the ending."""
        return self._places.pop(job, job) is not job

    def take_back(self, job: Job) -> bool:
        """Close an attempt that waits, or was never added; False if it has begun."""
        with self._lock:
            if self._places.get(job) is not None:
                return False
            self._places.pop(job, None)
            return True

    def close_unless_moved(self, job: Job) -> tuple[bool, Place]:
        """Close an attempt that waits or that a thread runs.

        Returns:
            Whether it had not ended, and where it is. On a loop or in a child it is not closed.
        """
        with self._lock:
            held = job in self._places
            place = self._places.get(job)
            if isinstance(place, Slot | None):
                # Under the same lock: an attempt that has moved to a loop or a child is not left behind.
                self._places.pop(job, None)
        return held, place

    def get(self, job: Job) -> Place:
        """Return where an attempt runs; None also if it has ended."""
        return self._places.get(job)

    def children(self, jobs: Iterable[Job]) -> list[Child]:
        """Return the child processes in which some of these run."""
        with self._lock:
            return [place for job in jobs if isinstance(place := self._places.get(job), Child)]

    def waiting(self) -> list[Job]:
        """Return the attempts that wait for a thread."""
        return [job for job, place in tuple(self._places.items()) if place is None]
