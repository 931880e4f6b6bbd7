"""The courier: the thread that reports endings, takes tasks, and keeps the book of the tasks that the worker holds."""

import math
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from fairque.protocol import clock
from fairque.protocol.calls.endings import Released
from fairque.protocol.calls.pop import MAX_POP_TASKS, Popped
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
from fairque.worker.taking.bursts import log_end_of_burst
from fairque.worker.taking.doorbell import Doorbell
from fairque.worker.taking.reporter import Reporter
from fairque.worker.taking.turn import Action, View, next_action

__all__ = ["LONGEST_WAIT_SECONDS", "Courier"]

#: A worker that died after it took the wake-up delays the others by at most so many seconds.
LONGEST_WAIT_SECONDS = 2.0
#: Seconds to wait if there may be more tasks, but none were granted: so a broken queue keeps no processor busy.
_LEAST_WAIT_SECONDS = 0.005
_RECONNECT_SECONDS = 1.0
#: Seconds that a shortage, for example of memory, may block the courier before the worker counts as crashed.
_PATIENCE_SECONDS = 5.0
#: Most endings in one call.
_BATCH = 100


class Courier:
    """Makes all calls that take or end tasks; user code never runs in its thread.

    Any thread adds endings by `put`. A wait for work is a call whose answer comes late: the courier sleeps on both its
    connection and a bell.

    Args:
        consumer: The queue.
        executor: Runs the tasks; their endings return through `put`.
        reporter: Reports the endings to the queue.
        phases: Whether tasks are taken.
        metrics: Counts the tasks that were taken and lost.
        slots: How many tasks are held at a time.
        burst: Whether to drain as soon as nothing is runnable.
        on_idle: Called when no task is held and none will be taken.
        on_death: Called when the thread ends without being stopped.
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
        # Whether the last answer, and the one under way, reflect all endings and hooks; and what the last one said.
        self._current = self._knows_all = False
        self._more = True
        # Whether a pop may have granted tasks in an answer that was lost; the next pop gets them.
        self._answer_lost = False
        self._paused_until = -math.inf
        # Until when nothing is taken, since no thread can be started to run it.
        self._crippled_until = -math.inf
        # When the last task that could not be started here may be taken again; minus infinity if there is none.
        self._postponed_until = -math.inf
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
        """Start the thread.

        Raises:
            FairqueError: There is no descriptor or no thread left.
        """
        try:
            self._bell.open()
        except OSError as error:
            raise FairqueError(f"the worker cannot start: {error}. Raise the limit of open files") from error
        self.service.start()

    def put(self, ending: Ending) -> None:
        """Add an ending to report; from any thread."""
        self._outbox.append(ending)
        self._bell.ring()

    def ring(self) -> None:
        """Make the courier check again what there is to do; from any thread."""
        self._bell.ring()

    def call_hook(self, hook: Callable[[], None]) -> None:
        """Run a hook in a thread of the executor: a burst is not over while it runs, since it may push tasks."""

        def run() -> None:
            try:
                hook()
            finally:
                self._hooks_ended.append(None)
                self._bell.ring()

        if self._executor.call(run):
            self._hooks += 1

    def close(self) -> None:
        """Close the connection of the waits; after the thread has ended."""
        self._line.close()
        self._bell.close()

    def abandon(self) -> None:
        """Give up all tasks after a crash: other workers get them when the leases end."""
        for job in self.book.snapshot():
            job.request_stop(StopReason.WORKER_STOPS)
        self.book.clear()
        self._endings.clear()
        self._outbox.clear()
        self._note_idle()

    def step(self) -> None:
        """Do the next action. The thread calls this in a loop."""
        self._gather()
        if self._phases.phase is Phase.STOPPING:
            self._wind_up()
            self.service.end()
            return
        if self._phases.phase is Phase.CRASHED:
            self.abandon()
        if not (len(self.book) or self._outbox or self._line.busy):
            self._note_idle()
        self._bell.check()
        try:
            if self._phases.phase is Phase.CRASHED:
                self._sleep(math.inf)
            elif (pause := self._paused_until - clock.monotonic()) > 0:
                self._sleep(pause)
            else:
                self._do(next_action(self._view()))
        except SchemaMismatch:
            raise
        except FairqueError as error:
            log.warning("the queue cannot be used now: trying again", error=str(error))
            self._hungry = True
            self._paused_until = clock.monotonic() + _RECONNECT_SECONDS

    def _do(self, action: Action) -> None:
        if action in (Action.REPORT, Action.TAKE):
            self._exchange(self._wanted() if action is Action.TAKE else 0)
        elif action is Action.WAIT:
            self._wait()
        elif action is Action.INTERRUPT:
            # Often the answer has already arrived: what was just reported made a task runnable.
            if not self._sleep(0.0):
                self._consumer.interrupt()
                self._interrupted = True
        elif action is Action.FINISH:
            log_end_of_burst(self._consumer.read_stats())
            self._phases.move(Phase.DRAINING, "the burst is over")
        else:
            self._sleep(math.inf)

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
            postponed=self._postponed_until > -math.inf,
        )

    def _wanted(self) -> int:
        return min(self._free(), MAX_POP_TASKS)

    def _free(self) -> int:
        return self.book.slots - len(self.book) + len(self._endings)

    def _gather(self) -> None:
        """Collect what has ended since the last call."""
        while self._hooks_ended:
            self._hooks_ended.popleft()
            self._hooks -= 1
            self._outdate()
        if -math.inf < self._postponed_until <= clock.monotonic():
            self._postponed_until = -math.inf
            self._outdate()
        while self._outbox and len(self._endings) < _BATCH:
            ending = self._outbox.popleft()
            # Tasks that were given back or lost are not reported.
            if ending.job in self.book:
                self._note(ending)
            else:
                self._reporter.drop(ending)

    def _outdate(self) -> None:
        """Note that something has happened that the answers of earlier pops do not reflect."""
        self._current = self._knows_all = False

    def _note(self, ending: Ending) -> None:
        self._outdate()
        if isinstance(ending, Failure) and ending.interrupted:
            # Not the task's fault, so not a failed attempt; the queue counts a lost worker when it reclaims the task.
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
            self._close(ending)
        self._endings.clear()
        if popped is not None:
            # The pop came after the endings in the same request.
            self._knows_all = True
            self._settle(popped, count, held_until)

    def _report_one_by_one(self) -> None:
        """Give up only those endings of a batch that the queue refuses: they would block the others forever."""
        # The tasks of the same round trip are granted, and the next pop returns them.
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
            self._close(ending)
            del self._endings[0]

    def _close(self, ending: Ending) -> None:
        """Forget a task whose ending was reported."""
        self.book.forget(ending.job)
        if isinstance(ending, GivenBack) and not ending.crippled:
            # From now on: on the server, the pause has begun earlier.
            self._postponed_until = max(self._postponed_until, clock.monotonic() + ending.pause_seconds)

    def _settle(self, popped: Popped, count: int, held_until: float) -> None:
        """Start the tasks that a pop returned, and note the rest of its answer."""
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
        # When a lease began within the wait is unknown; the worker counts it from the beginning of the wait.
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
        """Sleep until a ring or the end of the wait, or for ``seconds``; return whether a wait has ended."""
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
        """End the wait under way, report the endings, and give back the tasks that still run."""
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
        # Before others can get them, while their leases are still renewed: as processes can be killed, none runs twice.
        self._executor.end_in_children(jobs, self._linger_seconds)
        self.book.clear()
        self._consumer.give_back([Released(job.granted.task_id, job.granted.token, job.ran_us) for job in jobs])

    def _give_back(self, popped: Popped) -> None:
        self._outdate()
        self._consumer.give_back([Released(granted.task_id, granted.token, 0) for granted in popped.tasks])

    def _note_idle(self) -> None:
        if self._phases.note_idle():
            self._on_idle()
