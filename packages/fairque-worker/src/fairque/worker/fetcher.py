"""The fetch loop: one thread that reports endings and takes new tasks, as many as there are free slots, never more."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TypeAlias

from attrs import frozen

from fairque.protocol import clock
from fairque.protocol.calls import Granted, Popped, Released
from fairque.protocol.errors import FairqueError, ProtocolError, SchemaMismatch
from fairque.protocol.model.outcome import error_text
from fairque.worker.consumer import Consumer
from fairque.worker.executor import Executor
from fairque.worker.jobs import Ending, Failure, Job, Lease
from fairque.worker.log import log
from fairque.worker.metrics import Metrics
from fairque.worker.reclaimed import note_reclaimed
from fairque.worker.reporter import Reporter
from fairque.worker.waker import LONGEST_BLOCK_SECONDS, Taken, Wait, Waker

__all__ = ["Fetcher", "Wake"]

#: Endings reported in one call at most.
_BATCH = 100
_LEAST_BLOCK_SECONDS = 0.005
_RECONNECT_SECONDS = 1.0


@frozen
class Wake:
    """Look again at what there is to do."""


Event: TypeAlias = Ending | Wake | Taken


class Fetcher:
    """Runs in its own thread between `start` and `stop`.

    Args:
        consumer: The queue.
        executor: Runs the tasks; its endings come back through ``events``.
        reporter: Tells the queue of the endings.
        waker: Waits for work when there is none.
        events: Where endings and wake-ups arrive.
        metrics: Counts what was taken and lost.
        slots: How many tasks are held at a time.
        burst: Whether to count as idle as soon as nothing is runnable.
        on_idle: Called when no task is held and none will be taken.

    Attributes:
        crash: What ended the thread too early, if anything did: the queue became one of another version, or a defect
            of this package. It counts as idle then.
    """

    def __init__(
        self,
        *,
        consumer: Consumer,
        executor: Executor,
        reporter: Reporter,
        waker: Waker,
        events: SimpleQueue[Event],
        metrics: Metrics,
        slots: int,
        burst: bool,
        on_idle: Callable[[], None],
    ) -> None:
        self._consumer = consumer
        self._executor = executor
        self._reporter = reporter
        self._waker = waker
        self._events = events
        self._metrics = metrics
        self._slots = slots
        self._burst = burst
        self._on_idle = on_idle
        # A task whose lease was lost may be given to this worker again while its old attempt still runs.
        self._jobs: dict[tuple[str, str], Job] = {}
        self._endings: list[Ending] = []
        self._hungry = True
        # While the waker waits, it alone pops: it has been promised the slots that were free.
        self._waker_busy = False
        self._answer_lost = False
        self._turned = clock.monotonic()
        self._resting = False
        self._lock = threading.Lock()
        self._quiet = False
        self._stopped = False
        self.crash: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="fairque-fetch", daemon=True)

    def jobs(self) -> list[Job]:
        """Return the tasks that are held."""
        return list(self._jobs.values())

    @property
    def is_quiet(self) -> bool:
        """Whether it takes no tasks at present."""
        return self._quiet

    @property
    def loop_age(self) -> float:
        """Since how many seconds it has been at one call; 0 when it rests, since there is nothing that it could do."""
        return 0.0 if self._resting and not self._waker_busy else clock.monotonic() - self._turned

    def start(self) -> None:
        """Begin to take tasks."""
        self._thread.start()

    def quiet(self) -> None:
        """Take no more tasks."""
        with self._lock:
            self._quiet = True
        self._events.put(Wake())

    def resume(self) -> None:
        """Take tasks again after `quiet`."""
        with self._lock:
            self._quiet = self._stopped or self.crash is not None
        self._events.put(Wake())

    def take(self, taken: Taken) -> Wait | None:
        """Hold the tasks that a wait brought; called by the waker, so that a task waits for no other thread.

        Returns:
            The next wait, when there may be one right away; else the loop decides.
        """
        self._turned = clock.monotonic()
        again = None
        if taken.popped is not None:
            with self._lock:
                refused = self._quiet
                if not refused:
                    self._hold(taken.popped, taken.held_until)
                    again = self._next_wait(taken.popped, taken.count)
            if refused:
                self._return(taken.popped)
        self._answer_lost = taken.popped is None
        if again is None:
            self._events.put(taken)
        # The task goes first: this thread would keep the interpreter until it waits again.
        time.sleep(0)
        return again

    def return_what_was_lost(self) -> None:
        """Give back the tasks that a wait may have taken when it was interrupted; call it when all has stopped."""
        if self._answer_lost:
            with suppress(FairqueError):
                self._return(self._consumer.pop(1))

    def stop(self) -> None:
        """End, after the endings that are there have been reported."""
        self.quiet()
        self._stopped = True
        self._events.put(Wake())
        self._thread.join(timeout=10)

    def forget(self, job: Job) -> None:
        """Hold a task no longer: it was given back."""
        self._jobs.pop(_key(job.granted), None)

    def _run(self) -> None:
        try:
            self._loop()
        except BaseException as error:  # noqa: BLE001 - a defect, whatever it is, must not hold the tasks for ever
            self.crash = error
            self.quiet()
            log.error(
                "no tasks are taken any more: others get those that run when the leases end",
                error=error_text(error),
                exc_info=not isinstance(error, FairqueError),
            )
            for job in self.jobs():
                job.request_cancel("the worker ends", lease_lost=True)
            self._jobs.clear()
            self._on_idle()

    def _loop(self) -> None:
        while True:
            self._turned = clock.monotonic()
            self._collect()
            if self._stopped and not self._endings:
                return
            wanted = self._free() if self._may_pop() and (self._hungry or self._endings) else 0
            if self._endings or wanted:
                try:
                    self._exchange(wanted)
                except SchemaMismatch:
                    raise
                except FairqueError as error:
                    log.warning("the queue cannot be used now: trying again", error=str(error))
                    if self._stopped:
                        return
                    self._hungry = True
                    self._pause()
            if not self._jobs:
                with self._lock:  # or one that is told to resume would count as idle afterwards
                    if self._quiet or (self._burst and not self._hungry):
                        self._on_idle()

    def _exchange(self, wanted: int) -> None:
        # Anchored before the call: the server's leases can only end later than this.
        held_until = clock.monotonic() + self._consumer.lease_ms / 1000
        try:
            popped = self._reporter.exchange(self._endings, wanted)
        except ProtocolError:
            if not self._endings:
                raise
            self._report_one_by_one()
        else:
            self._settle(popped, wanted, held_until)

    def _report_one_by_one(self) -> None:
        """Give up only those endings of a batch that the queue refuses: kept, they would hold the others for ever."""
        while self._endings:
            ending = self._endings[0]
            try:
                self._reporter.exchange([ending], 0)
            except ProtocolError as error:
                log.error(
                    "ending refused: it is given up, and the task runs again when its lease ends",
                    task_id=ending.job.granted.task_id,
                    attempt=ending.job.granted.attempt,
                    error=str(error),
                )
            self.forget(ending.job)
            del self._endings[0]
        # The tasks of the same round trip are granted, and the next pop answers them.
        self._hungry = True

    def _may_pop(self) -> bool:
        return not self._quiet and not self._waker_busy

    def _free(self) -> int:
        return self._slots - len(self._jobs) + len(self._endings)

    def _collect(self) -> None:
        """Gather what has happened; wait for it when there is nothing else to do."""
        busy = self._stopped or self._endings or (self._hungry and self._may_pop() and self._free() > 0)
        try:
            if not busy:
                self._resting = True
                event = self._events.get()
                self._turned, self._resting = clock.monotonic(), False
                self._note(event)
            while len(self._endings) < _BATCH:
                self._note(self._events.get_nowait())
        except Empty:
            pass

    def _note(self, event: Event) -> None:
        if isinstance(event, Wake):
            self._hungry = True
        elif isinstance(event, Taken):
            self._waker_busy = False
            self._hungry = True
            if event.popped is not None:
                self._rest(event.popped, event.count)
        elif _key(event.job.granted) in self._jobs:
            self._note_ending(event)

    def _note_ending(self, ending: Ending) -> None:
        if isinstance(ending, Failure) and ending.broken_off:
            # Not the task's fault, so no failed attempt; the queue counts a delivery when it takes the task back.
            log.warning("lease lost: the task is left to others", task_id=ending.job.granted.task_id)
            self._metrics.ended(ending.job, "lost", ending.ran_us)
            self.forget(ending.job)
            self._hungry = True
        else:
            self._endings.append(ending)

    def _settle(self, popped: Popped | None, wanted: int, held_until: float) -> None:
        with self._lock:  # or the waker would count a slot twice
            for ending in self._endings:
                self.forget(ending.job)
            self._endings.clear()
        if popped is not None:
            self._hold(popped, held_until)
            self._rest(popped, wanted)

    def _hold(self, popped: Popped, held_until: float) -> None:
        new = [granted for granted in popped.tasks if _key(granted) not in self._jobs]
        self._metrics.taken(len(new))
        note_reclaimed(popped.reclaimed, self._metrics)
        for granted in new:
            job = self._jobs[_key(granted)] = Job(granted, Lease(held_until))
            self._executor.submit(job)

    def _return(self, popped: Popped) -> None:
        self._consumer.give_back([Released(granted.task_id, granted.token, 0) for granted in popped.tasks])

    def _rest(self, popped: Popped, wanted: int) -> None:
        """Let the waker wait when there was less than was wanted."""
        wait = None if self._quiet else self._next_wait(popped, wanted)
        self._hungry = len(popped.tasks) >= wanted
        if wait is not None:
            self._waker_busy = True
            self._waker.block(wait)

    def _next_wait(self, popped: Popped, wanted: int) -> Wait | None:
        free = self._free()
        if len(popped.tasks) >= wanted or free <= 0 or (self._burst and not self._jobs):
            return None
        seconds = LONGEST_BLOCK_SECONDS if popped.wait_ms is None else popped.wait_ms / 1000
        # Nobody knows when in the wait a lease began; the worker counts it from the beginning of the wait.
        longest = min(LONGEST_BLOCK_SECONDS, self._consumer.lease_ms / 1000 / 10)
        return Wait(free, max(_LEAST_BLOCK_SECONDS, min(seconds, longest)))

    def _pause(self) -> None:
        """Wait before the next try; endings that arrive meanwhile are kept, a call to stop is heard."""
        until = clock.monotonic() + _RECONNECT_SECONDS
        while (left := until - clock.monotonic()) > 0 and not self._stopped:
            try:
                self._note(self._events.get(timeout=left))
            except Empty:
                return


def _key(granted: Granted) -> tuple[str, str]:
    return granted.task_id, granted.token
