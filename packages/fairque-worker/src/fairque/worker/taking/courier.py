"""The courier: the one thread that reports endings, takes tasks, and keeps the book of what the worker holds."""

import math
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from fairque.protocol import clock
from fairque.protocol.calls import Popped, Released
from fairque.protocol.calls.pop import MAX_POP_TASKS
from fairque.protocol.errors import FairqueError, ProtocolError, SchemaMismatch
from fairque.protocol.model.stopping import StopReason
from fairque.protocol.runners.wait import WaitLine
from fairque.protocol.service.supervision import Service
from fairque.worker.consumer import Consumer
from fairque.worker.jobs import Ending, Failure, GivenBack, Job, Lease
from fairque.worker.keeping.reclaimed import note_reclaimed
from fairque.worker.log import log
from fairque.worker.metrics import Metrics
from fairque.worker.phases import Phase, Phases
from fairque.worker.running.executor import Executor
from fairque.worker.taking.book import Book
from fairque.worker.taking.doorbell import Doorbell
from fairque.worker.taking.reporter import Reporter
from fairque.worker.taking.turn import Deed, View, next_deed

__all__ = ["LONGEST_WAIT_SECONDS", "Courier"]

#: A worker that died with the wake-up in its hands holds the others up for so long at most.
LONGEST_WAIT_SECONDS = 2.0
#: When there may be more, but nothing was granted: long enough that a broken queue keeps no processor busy.
_LEAST_WAIT_SECONDS = 0.005
_RECONNECT_SECONDS = 1.0
#: How long a shortage, as of memory, may keep the courier from its work before the worker counts as crashed.
_PATIENCE_SECONDS = 5.0
#: Endings reported in one call at most.
_BATCH = 100


class Courier:
    """Owns every conversation about tasks; code of users never runs in its thread.

    Endings come from any thread by `put`. A wait for work is a call whose answer comes late: the courier sleeps on its
    connection and on a bell, so that it hears of both.

    Args:
        consumer: The queue.
        executor: Runs the tasks; its endings come back through `put`.
        reporter: Tells the queue of the endings.
        phases: Whether tasks are taken.
        metrics: Counts what was taken and lost.
        slots: How many tasks are held at a time.
        burst: Whether to drain as soon as nothing is runnable any more.
        on_idle: Called when no task is held and none will be taken.
        on_death: Called when the thread ends without being told to.
        linger_seconds: How long tasks that are given back may clean up in child processes.

    Attributes:
        book: The tasks that are held.
        service: The thread.
    """

    def __init__(
        self,
        *,
        consumer: Consumer,
        executor: Executor,
        reporter: Reporter,
        phases: Phases,
        metrics: Metrics,
        slots: int,
        burst: bool,
        on_idle: Callable[[], None],
        on_death: Callable[[str, BaseException], None],
        linger_seconds: float,
    ) -> None:
        self._consumer = consumer
        self._executor = executor
        self._reporter = reporter
        self._phases = phases
        self._metrics = metrics
        self._burst = burst
        self._on_idle = on_idle
        self._linger_seconds = linger_seconds
        self.book = Book(slots)
        self._outbox: deque[Ending] = deque()
        self._endings: list[Ending] = []
        self._hooks = 0
        self._hooks_ended: deque[None] = deque()
        self._bell = Doorbell()
        self._line: WaitLine[Popped] = WaitLine(consumer.runner.settings)
        self._next_wait_ms, self._landing_at, self._held_until = 0, math.inf, 0.0
        self._interrupted = False
        self._hungry = True
        # What the last answer said, and whether it, and the one to come, knows of all that has happened.
        self._current = self._knows_all = False
        self._more = True
        # Whether a pop may have granted tasks that nobody here knows of; the next one gets them.
        self._answer_lost = False
        self._paused_until = -math.inf
        # Until when nothing is taken, since no thread can be started that would run it.
        self._crippled_until = -math.inf
        self.service = Service(
            "fairque-courier",
            self.step,
            patience=_PATIENCE_SECONDS,
            on_death=on_death,
            log=log,
            wake=self._bell.ring,
            fatal=(SchemaMismatch,),
        )

    def start(self) -> None:
        """Begin.

        Raises:
            FairqueError: There is no descriptor or no thread left.
        """
        try:
            self._bell.open()
        except OSError as error:
            raise FairqueError(f"the worker cannot start: {error}. Raise the limit of open files") from error
        self.service.start()

    def put(self, ending: Ending) -> None:
        """Have an ending reported; from any thread."""
        self._outbox.append(ending)
        self._bell.ring()

    def ring(self) -> None:
        """Look again at what there is to do; from any thread."""
        self._bell.ring()

    def call_hook(self, hook: Callable[[], None]) -> None:
        """Run a hook in one of the threads of the executor: a burst is not over while it runs, since it may push."""

        def run() -> None:
            try:
                hook()
            finally:
                self._hooks_ended.append(None)
                self._bell.ring()

        if self._executor.call(run):
            self._hooks += 1

    def close(self) -> None:
        """Close the connection of the waits; when the thread has ended."""
        self._line.close()
        self._bell.close()

    def abandon(self) -> None:
        """Let all tasks that are held to others, who get them when the leases end; after a crash."""
        for job in self.book.snapshot():
            job.request_stop(StopReason.WORKER_STOPS)
        self.book.clear()
        self._endings.clear()
        self._outbox.clear()
        self._note_idle()

    def step(self) -> None:
        """Do the next deed. The thread runs this again and again."""
        self._gather()
        if self._phases.phase is Phase.STOPPING:
            self._wind_up()
            self.service.end()
            return
        if self._phases.phase is Phase.CRASHED:
            self.abandon()
        if not (len(self.book) or self._outbox or self._line.busy):
            self._note_idle()
        try:
            if self._phases.phase is Phase.CRASHED:
                self._sleep(math.inf)
            elif (pause := self._paused_until - clock.monotonic()) > 0:
                self._sleep(pause)
            else:
                self._do(next_deed(self._view()))
        except SchemaMismatch:
            raise
        except FairqueError as error:
            log.warning("the queue cannot be used now: trying again", error=str(error))
            self._hungry = True
            self._paused_until = clock.monotonic() + _RECONNECT_SECONDS

    def _do(self, deed: Deed) -> None:
        if deed in (Deed.REPORT, Deed.TAKE):
            self._exchange(self._wanted() if deed is Deed.TAKE else 0)
        elif deed is Deed.WAIT:
            self._wait()
        elif deed is Deed.INTERRUPT:
            # Often the answer is there already: what was just reported has made work.
            if not self._sleep(0.0):
                self._consumer.interrupt()
                self._interrupted = True
        elif deed is Deed.FINISH:
            self._tell_burst()
            self._phases.move(Phase.DRAINING, "the burst is over")
        else:
            self._sleep(math.inf)

    def _tell_burst(self) -> None:
        """Say what a burst leaves: what waits for a time, a rate, a cap, or for other tasks."""
        stats = self._consumer.read_stats()
        log.info(
            "the burst is over",
            queued=stats.queued,
            scheduled=stats.scheduled,
            deferred=stats.deferred,
            running_elsewhere=stats.running,
        )

    def _view(self) -> View:
        return View(
            takes=self._phases.takes and clock.monotonic() >= self._crippled_until,
            burst=self._burst,
            endings=len(self._endings),
            held=len(self.book) - len(self._endings),
            free=self._free(),
            waiting=self._line.busy,
            interrupted=self._interrupted,
            hungry=self._hungry,
            current=self._current,
            more=self._more,
            hooks=self._hooks,
        )

    def _wanted(self) -> int:
        return min(self._free(), MAX_POP_TASKS)

    def _free(self) -> int:
        return self.book.slots - len(self.book) + len(self._endings)

    def _gather(self) -> None:
        """Take note of what has ended since the last time."""
        while self._hooks_ended:
            self._hooks_ended.popleft()
            self._hooks -= 1
            self._outdate()
        while self._outbox and len(self._endings) < _BATCH:
            ending = self._outbox.popleft()
            # What was given back, or left to others, is told to nobody.
            if ending.job in self.book:
                self._note(ending)
            else:
                self._reporter.drop(ending)

    def _outdate(self) -> None:
        """Note that something has happened which no answer to a pop that has departed yet can know of."""
        self._current = self._knows_all = False

    def _note(self, ending: Ending) -> None:
        self._outdate()
        if isinstance(ending, Failure) and ending.broken_off:
            # Not the task's fault, so no failed attempt; the queue counts a delivery when it takes the task back.
            log.warning("lease lost: the task is left to others", task_id=ending.job.granted.task_id)
            self._metrics.ended(ending.job, "lost", ending.ran_us)
            self.book.forget(ending.job)
            self._reporter.drop(ending)
            self._hungry = True
        else:
            self._endings.append(ending)
            if isinstance(ending, GivenBack) and ending.crippled:
                self._crippled_until = clock.monotonic() + ending.pause_seconds
                self._hungry = True

    def _exchange(self, count: int) -> None:
        # Anchored before the call: the server's leases can only end later than this.
        held_until = clock.monotonic() + self._consumer.lease_ms / 1000
        self._answer_lost = self._answer_lost or count > 0
        try:
            popped = self._reporter.exchange(self._endings, count)
        except ProtocolError:
            if not self._endings:
                raise
            self._report_one_by_one()
            return
        for ending in self._endings:
            self.book.forget(ending.job)
        self._endings.clear()
        if popped is not None:
            # The pop was behind the endings in the same request.
            self._knows_all = True
            self._settle(popped, count, held_until)

    def _report_one_by_one(self) -> None:
        """Give up only those endings of a batch that the queue refuses: kept, they would hold the others forever."""
        # The tasks of the same round trip are granted, and the next pop answers them.
        self._hungry = True
        self._outdate()
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
                self._reporter.drop(ending)
            self.book.forget(ending.job)
            del self._endings[0]

    def _settle(self, popped: Popped, count: int, held_until: float) -> None:
        """Take in what a pop returned, and note what it said."""
        self._answer_lost = False
        note_reclaimed(popped.reclaimed, self._metrics)
        self._more, self._current = popped.more, self._knows_all
        self._hungry = bool(popped.tasks) and (popped.more or len(popped.tasks) >= count)
        self._next_wait_ms = self._wait_ms(popped)
        if not self._phases.takes:
            self._give_back(popped)
            return
        new = [granted for granted in popped.tasks if not self.book.holds(granted)]
        self._metrics.taken(len(new))
        for granted in new:
            job = Job(granted, Lease(held_until))
            self.book.hold(job)
            self._executor.submit(job)

    def _wait_ms(self, popped: Popped) -> int:
        if popped.more:
            return round(_LEAST_WAIT_SECONDS * 1000)
        # Nobody knows when in the wait a lease began; the worker counts it from the beginning of the wait.
        longest = min(round(LONGEST_WAIT_SECONDS * 1000), self._consumer.lease_ms // 10)
        return longest if popped.wait_ms is None else max(1, min(popped.wait_ms, longest))

    def _wait(self) -> None:
        seconds = self._next_wait_ms / 1000
        now = clock.monotonic()
        self._held_until = now + self._consumer.lease_ms / 1000
        self._landing_at = now + seconds + self._consumer.runner.settings.socket_timeout
        self._interrupted = False
        self._answer_lost = self._knows_all = True
        self._consumer.begin_wait(self._line, self._wanted(), seconds)

    def _sleep(self, seconds: float) -> bool:
        """Sleep until a ring or the end of the wait, so long at most; return whether a wait has ended."""
        line = self._line if self._line.busy else None
        if line is not None:
            seconds = min(seconds, max(0.0, self._landing_at - clock.monotonic()))
        if (crippled := self._crippled_until - clock.monotonic()) > 0:
            seconds = min(seconds, crippled)
        self.service.rests(seconds)
        if line is None:
            self._bell.sleep(seconds)
            return False
        if not self._bell.sleep(seconds, line) and clock.monotonic() < self._landing_at:
            return False
        self._land(0.0)
        return True

    def _land(self, seconds: float) -> None:
        count, popped = self._consumer.land(self._line, seconds)
        self._settle(popped, count, self._held_until)

    def _wind_up(self) -> None:
        """Tell what there is to tell, give back what still runs, and end what is under way."""
        with suppress(FairqueError):
            if self._line.busy:
                self._consumer.interrupt()
                self._land(self._consumer.runner.settings.socket_timeout)
        with suppress(FairqueError):
            if self._answer_lost:
                self._give_back(self._consumer.pop(1))
        self._gather()
        while self._endings:
            try:
                self._exchange(0)
            except FairqueError as error:
                log.warning("endings cannot be reported: the tasks run again when their leases end", error=str(error))
                break
            self._gather()
        self._give_back_all()

    def _give_back_all(self) -> None:
        jobs = [job for job in self.book.snapshot() if all(ending.job is not job for ending in self._endings)]
        if not jobs:
            return
        log.warning("giving back tasks that still run", tasks=[job.granted.task_id for job in jobs])
        for job in jobs:
            job.request_stop(StopReason.WORKER_STOPS)
        # Before others can get them, and while their leases are still renewed: a process can be ended, so none runs
        # twice.
        self._executor.end_apart(jobs, self._linger_seconds)
        self.book.clear()
        self._consumer.give_back([Released(job.granted.task_id, job.granted.token, job.ran_us) for job in jobs])

    def _give_back(self, popped: Popped) -> None:
        self._outdate()
        self._consumer.give_back([Released(granted.task_id, granted.token, 0) for granted in popped.tasks])

    def _note_idle(self) -> None:
        if self._phases.note_idle():
            self._on_idle()
