"""Short tasks run one behind the other in one thread: a hand-over to a thread would cost more than they do.

The thread owns nothing but the task that it runs. If that takes long, another thread takes its place without a
hand-over: everything else is where every thread can take it.
"""

import math
import os
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress

from fairque.protocol import clock
from fairque.worker.forks import end_copy
from fairque.worker.jobs import Job
from fairque.worker.running.threads import Slot, Threads

__all__ = ["STUCK_SECONDS", "Lane", "Lanes"]

#: A task that takes longer is run by its thread alone, and another thread runs those behind it.
STUCK_SECONDS = 0.005
#: After so long without a thread the tasks wait for threads of their own.
_UNSERVED_SECONDS = 1.0
#: Endings are announced after so many seconds, also while others run.
_ANNOUNCE_SECONDS = 0.001


class Lane:
    """One thread's way through the queue of short tasks.

    Args:
        short: The queue; several lanes may share it.
        attempt: Runs a task in a thread; it adds the ending to those that are reported.
        announce: Tells that there are new endings, or that the queue is empty.
        recover: Makes sure that all tasks still run after an exception that was thrown into the thread.
        put: Runs work in another thread.
        max_unannounced: How many endings are announced together.

    Attributes:
        begun: How many tasks it has begun.
        current: The task that it runs.
        retired: Whether it leaves as soon as that task has ended.
    """

    def __init__(
        self,
        short: deque[Job],
        attempt: Callable[[Job, Slot], None],
        announce: Callable[[], None],
        recover: Callable[[], None],
        put: Callable[[Callable[[Slot], None]], None],
        *,
        max_unannounced: int,
    ) -> None:
        self._queue = short
        self._attempt = attempt
        self._announce = announce
        self._recover = recover
        self._put = put
        self._max_unannounced = max_unannounced
        self.begun = 0
        self.current: Job | None = None
        self.retired = False
        # Holds one element while no thread is in the lane. Whoever takes it starts one, or stays.
        self._entry_token: deque[None] = deque([None], maxlen=1)
        self._unannounced = 0
        self._announced_at = 0.0

    @property
    def vacant(self) -> bool:
        """Whether no thread is in the lane."""
        return bool(self._entry_token)

    def enter(self) -> bool:
        """Take the right to send a thread into the lane; return whether it was there."""
        try:
            self._entry_token.popleft()
        except IndexError:
            return False
        return True

    def run(self, slot: Slot) -> None:
        """Run tasks until there are none, or until the lane is retired; the thread has the right of `enter`."""
        pid = os.getpid()
        self._announced_at = clock.monotonic()
        while True:
            try:
                while self.step(slot):
                    if os.getpid() != pid:
                        end_copy()
            except BaseException:  # noqa: BLE001 - user code may throw an exception into a thread, and it comes late
                self.current = None
                with suppress(BaseException):
                    self._recover()
                continue
            return

    def step(self, slot: Slot) -> bool:
        """Run the next task; return whether to continue."""
        if self.retired:
            self._announce_endings()
            return False
        if slot.given_up:
            self._pass_on()
            return False
        job = self.take()
        if job is None:
            return self._stay_or_leave()
        self._attempt(job, slot)
        self.current = None
        slot.restore()
        self._unannounced += 1
        if self._unannounced >= self._max_unannounced or clock.monotonic() - self._announced_at >= _ANNOUNCE_SECONDS:
            self._announce_endings()
        return True

    def take(self) -> Job | None:
        """Take the next task out of the queue: only the thread that has taken it runs it."""
        try:
            job = self._queue.popleft()
        except IndexError:
            return None
        self.current = job
        self.begun += 1
        return job

    def _stay_or_leave(self) -> bool:
        """Leave the lane, since the queue is empty, unless a task has been added in the meantime."""
        self._announce_endings()
        self._entry_token.append(None)
        return bool(self._queue) and self.enter()

    def _pass_on(self) -> None:
        """Leave the lane to another thread, since this one was replaced."""
        self._announce_endings()
        self._entry_token.append(None)
        if self._queue and self.enter():
            self._put(self.run)

    def _announce_endings(self) -> None:
        if self._unannounced:
            self._unannounced = 0
            self._announced_at = clock.monotonic()
            self._announce()


class Lanes:
    """The queue of short tasks, and the lane that serves it at present. One thread calls its methods.

    Args:
        threads: The threads that run lanes, and tasks that turn out to be long.
        attempt: As of `Lane`.
        announce: As of `Lane`.
        recover: As of `Lane`.
        max_unannounced: As of `Lane`.
        run_alone: Runs a task in a thread of its own.
        on_long: Called with a task that held up others.
    """

    def __init__(
        self,
        threads: Threads,
        attempt: Callable[[Job, Slot], None],
        announce: Callable[[], None],
        recover: Callable[[], None],
        max_unannounced: int,
        *,
        run_alone: Callable[[Job], None],
        on_long: Callable[[Job], None],
    ) -> None:
        self._threads = threads
        self._attempt = attempt
        self._announce = announce
        self._recover = recover
        self._max_unannounced = max_unannounced
        self._run_alone = run_alone
        self._on_long = on_long
        self._queue: deque[Job] = deque()
        self._lane: Lane | None = None
        # The last task of the lane that was seen, and when for the first time.
        self._seen, self._seen_at = 0, 0.0

    def add(self, jobs: Iterable[Job]) -> None:
        """Run tasks that are usually short."""
        self._queue.extend(jobs)
        self._serve()

    def watch(self) -> float:
        """Replace the lane if a task has held it up for too long.

        Returns:
            The seconds until the next call is due; infinite if there is no lane to watch.
        """
        lane = self._lane
        if lane is None or lane.vacant:
            return math.inf
        now = clock.monotonic()
        if lane.begun != self._seen:
            self._seen, self._seen_at = lane.begun, now
            return STUCK_SECONDS
        job = lane.current
        # Without a task it waits for a thread.
        if (seconds := self._seen_at + (_UNSERVED_SECONDS if job is None else STUCK_SECONDS) - now) > 0:
            return min(seconds, STUCK_SECONDS)
        self._retire(lane, job)
        return STUCK_SECONDS if self._lane is not None else math.inf

    def _retire(self, lane: Lane, job: Job | None) -> None:
        """Leave a lane to its task. This is safe at any moment: at worst there are two lanes for a while."""
        lane.retired = True
        self._lane = None
        func = None if job is None or job.task is None else job.task.func
        if job is not None:
            self._on_long(job)
        self._threads.grow()
        for other in self._drained():
            # Without a thread for the new lane each of them waits on its own, and not forever.
            if self._threads.shortage or other.task is None or other.task.func == func:
                self._run_alone(other)
            else:
                self._queue.append(other)
        self._serve()

    def _drained(self) -> list[Job]:
        """Take all tasks out of the queue."""
        jobs: list[Job] = []
        with suppress(IndexError):
            while True:
                jobs.append(self._queue.popleft())
        return jobs

    def _serve(self) -> None:
        if not self._queue:
            return
        if self._lane is None:
            if not self._threads.grow():
                for job in self._drained():
                    self._run_alone(job)
                return
            parts = self._queue, self._attempt, self._announce, self._recover, self._threads.put
            self._lane = Lane(*parts, max_unannounced=self._max_unannounced)
            self._seen, self._seen_at = 0, clock.monotonic()
        if self._lane.enter():
            self._seen, self._seen_at = self._lane.begun, clock.monotonic()
            self._threads.put(self._lane.run)
