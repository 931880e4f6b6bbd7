"""The courier: the thread that reports endings, takes tasks, and keeps the book of the tasks that the worker holds."""

import math
from collections.abc import Callable
from contextlib import suppress

from fairque.protocol import clock
from fairque.protocol.calls.pop import Popped
from fairque.protocol.errors import FairqueError, SchemaMismatch
from fairque.protocol.model.stopping import StopReason
from fairque.protocol.service.supervision import Service
from fairque.worker.consumer import Consumer
from fairque.worker.jobs import Ending, Job, Lease
from fairque.worker.keeping.reclaimed import note_reclaimed
from fairque.worker.log import log
from fairque.worker.metrics import Metrics
from fairque.worker.phases import Phase, Phases
from fairque.worker.running.executor import Executor
from fairque.worker.taking.book import Book
from fairque.worker.taking.bursts import log_end_of_burst
from fairque.worker.taking.doorbell import Doorbell
from fairque.worker.taking.exchange import Exchange
from fairque.worker.taking.outbox import Outbox
from fairque.worker.taking.releasing import release_granted, release_running
from fairque.worker.taking.reporter import Reporter
from fairque.worker.taking.turn import Action, CourierState, next_action

__all__ = ["Courier"]

_RECONNECT_SECONDS = 1.0
#: Seconds that a shortage, for example of memory, may block the courier before the worker counts as crashed.
_PATIENCE_SECONDS = 5.0


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
        linger_seconds: How long tasks that are released may clean up in child processes.

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
        self._phases = phases
        self._metrics = metrics
        self._burst = burst
        self._on_idle = on_idle
        self._linger_seconds = linger_seconds
        self.book = Book(slots)
        self._bell = Doorbell()
        self._outbox = Outbox(self._bell)
        self._exchange = Exchange(
            consumer,
            reporter,
            metrics,
            self.book,
            self._outbox,
            takes=self._takes,
            on_popped=self._on_popped,
            on_ended=executor.note_endings,
        )
        # The request for whose answer it has begun to sleep.
        self._awaited: object = None
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
        self._outbox.put(ending)

    def add(self, ending: Ending) -> None:
        """Add an ending to report, without waking the courier: `ring` follows; from any thread."""
        self._outbox.add(ending)

    def ring(self) -> None:
        """Make the courier check again what there is to do; from any thread."""
        self._bell.ring()

    def call_hook(self, hook: Callable[[], None]) -> None:
        """Run a hook in a thread of the executor: a burst is not over while it runs, since it may push tasks."""
        if self._executor.call(self._outbox.counted(hook)):
            self._outbox.hooks += 1

    def close(self) -> None:
        """Close the connection of the waits; after the thread has ended."""
        self._exchange.line.close()
        self._bell.close()

    def abandon(self) -> None:
        """Give up all tasks after a crash: other workers get them when the leases end."""
        for job in self.book.snapshot():
            job.request_stop(StopReason.WORKER_STOPS)
        self.book.clear()
        self._exchange.endings.clear()
        self._outbox.clear()
        self._note_idle()

    def step(self) -> None:
        """Do the next action. The thread calls this in a loop."""
        exchange = self._exchange
        exchange.gather()
        if self._phases.phase is Phase.STOPPING:
            self._wind_up()
            self.service.end()
            return
        if self._phases.phase is Phase.CRASHED:
            self.abandon()
        if not (len(self.book) or len(self._outbox) or exchange.trip):
            self._note_idle()
        self._bell.check()
        try:
            if self._phases.phase is Phase.CRASHED:
                self._sleep(math.inf)
            elif (pause := exchange.outlook.paused_until - clock.monotonic()) > 0:
                self._sleep(pause)
            else:
                self._do(next_action(self._view()))
        except SchemaMismatch:
            raise
        except FairqueError as error:
            log.warning("the queue cannot be used now: trying again", error=str(error))
            exchange.distrust()
            exchange.outlook.expects_tasks = True
            exchange.outlook.paused_until = clock.monotonic() + _RECONNECT_SECONDS

    def _do(self, action: Action) -> None:
        if action is Action.TAKE:
            self._exchange.request(takes=True)
        elif action is Action.REPORT:
            self._exchange.request(takes=False)
        elif action is Action.WAIT:
            self._exchange.wait()
        elif action is Action.INTERRUPT:
            # Often the answer has already arrived: what was just reported made a task runnable.
            if not self._sleep(0.0):
                self._exchange.interrupt()
        elif action is Action.FINISH:
            log_end_of_burst(self._consumer.read_stats())
            self._phases.move(Phase.DRAINING, "the burst is over")
        else:
            self._sleep(math.inf)

    def _view(self) -> CourierState:
        exchange = self._exchange
        trip, outlook = exchange.trip, exchange.outlook
        return CourierState(
            takes=self._takes(),
            burst=self._burst,
            endings=len(exchange.endings),
            held=exchange.held,
            free=exchange.free,
            in_flight=trip is not None and not trip.waits,
            waiting=trip is not None and trip.waits,
            interrupted=trip is not None and trip.interrupted,
            expects_tasks=outlook.expects_tasks,
            current=outlook.current,
            more=outlook.more,
            hooks=self._outbox.hooks,
            postponed=outlook.postponed,
            short_tasks_run=self._executor.watch() < math.inf,
        )

    def _takes(self) -> bool:
        return self._phases.takes and clock.monotonic() >= self._exchange.outlook.starts_nothing_until

    def _on_popped(self, popped: Popped, held_until: float) -> None:
        """Start the tasks that a pop returned."""
        note_reclaimed(popped.reclaimed, self._metrics)
        if not self._phases.takes:
            self._release(popped)
            return
        jobs = [Job(granted, Lease(held_until)) for granted in popped.tasks if not self.book.holds(granted)]
        self._metrics.taken(len(jobs))
        for job in jobs:
            self.book.hold(job)
        self._executor.submit_all(jobs)

    def _sleep(self, seconds: float) -> bool:
        """Sleep until a ring or an answer, or for ``seconds``; return whether there was an answer, on which it acts."""
        exchange, now = self._exchange, clock.monotonic()
        trip, next_watch = exchange.trip, self._executor.watch()
        seconds = min(seconds, next_watch)
        if trip is not None:
            seconds = min(seconds, max(0.0, trip.overdue_at - now))
        if (blocked := exchange.outlook.starts_nothing_until - now) > 0:
            seconds = min(seconds, blocked)
        self.service.rests(seconds)
        first, self._awaited = trip is not self._awaited, trip
        # While short tasks run they need the interpreter more than this thread does: it waits until they announce
        # their endings, or for too long, and then for the answer, which usually has arrived.
        if trip is None or (first and not trip.waits and next_watch < math.inf):
            self._bell.sleep(seconds)
            return False
        arrived = self._bell.sleep(seconds, exchange.line)
        if not arrived and clock.monotonic() < trip.overdue_at:
            return False
        exchange.receive(0.0 if trip.waits or not arrived else None)
        return True

    def _wind_up(self) -> None:
        """Receive the answer under way, report the endings, and release the tasks that still run."""
        exchange = self._exchange
        with suppress(FairqueError):
            exchange.interrupt()
        # More than once, since the next request is sent before the answer of the last one is acted upon.
        while exchange.trip is not None:
            with suppress(FairqueError):
                exchange.receive()
        with suppress(FairqueError):
            if exchange.outlook.answer_lost:
                self._release(self._consumer.pop(1))
        exchange.gather()
        while exchange.endings:
            try:
                exchange.call(0)
            except FairqueError as error:
                log.warning("endings cannot be reported: the tasks run again when their leases end", error=str(error))
                break
            exchange.gather()
        jobs = [job for job in self.book.snapshot() if all(ending.job is not job for ending in exchange.endings)]
        self.book.clear()
        release_running(self._consumer, self._executor, jobs, self._linger_seconds)

    def _release(self, popped: Popped) -> None:
        self._exchange.outdate()
        release_granted(self._consumer, popped)

    def _note_idle(self) -> None:
        if self._phases.note_idle():
            self._on_idle()
