"""The conversation with the queue about tasks: endings are reported, and tasks taken, by one request at a time."""

from collections.abc import Callable, Iterable, Sequence

from fairque.protocol import clock
from fairque.protocol.calls.pop import MAX_POP_TASKS, Popped
from fairque.protocol.errors import FairqueError, ProtocolError
from fairque.protocol.runners.wait import WaitLine
from fairque.worker.consumer import Consumer
from fairque.worker.jobs import Ending, Failure, Postponed
from fairque.worker.log import log
from fairque.worker.metrics import Metrics
from fairque.worker.taking.book import Book
from fairque.worker.taking.outbox import Outbox
from fairque.worker.taking.outlook import Outlook
from fairque.worker.taking.reporter import Report, Reporter
from fairque.worker.taking.trip import Trip
from fairque.worker.taking.turn import count_to_report

__all__ = ["LONGEST_WAIT_SECONDS", "Exchange"]

#: A worker that died after it took the wake-up delays the others by at most so many seconds.
LONGEST_WAIT_SECONDS = 2.0
#: Most endings in one call.
_BATCH = 100


class Exchange:
    """Sends requests and acts on their answers; only the thread of the courier calls its methods.

    A request is sent, and its answers are read later: meanwhile tasks run. After a lost answer the same request is sent
    again, with the same claim and tokens, so that it has the same effect.

    Args:
        consumer: The queue.
        reporter: Creates the reports, and acts on the answers.
        metrics: Counts the tasks that were lost.
        book: The tasks that are held.
        outbox: What has ended.
        takes: Whether tasks may be taken.
        on_popped: Called with the answer of a pop, and until when its leases last.
        on_ended: Called with all endings when they are collected.

    Attributes:
        outlook: What is known about the queue.
        endings: What is still to be reported.
        trip: The request under way.
        line: The connection on which requests are sent.
    """

    def __init__(
        self,
        consumer: Consumer,
        reporter: Reporter,
        metrics: Metrics,
        book: Book,
        outbox: Outbox,
        *,
        takes: Callable[[], bool],
        on_popped: Callable[[Popped, float], None],
        on_ended: Callable[[Sequence[Ending]], None],
    ) -> None:
        self._consumer = consumer
        self._reporter = reporter
        self._metrics = metrics
        self._book = book
        self._outbox = outbox
        self._takes = takes
        self._on_popped = on_popped
        self._on_ended = on_ended
        self.outlook = Outlook()
        self.endings: list[Ending] = []
        self.trip: Trip | None = None
        self.line: WaitLine[Popped] = WaitLine(consumer.runner.settings)
        # Whether requests may be sent on it: only after the runner, which checks what the server allows, has made one.
        self._may_send = False

    @property
    def held(self) -> int:
        """How many tasks are held that have not ended."""
        reported = 0 if self.trip is None else len(self.trip.endings)
        return len(self._book) - len(self.endings) - reported

    @property
    def free(self) -> int:
        """How many more tasks could be held once the endings are reported."""
        return self._book.slots - len(self._book) + len(self.endings)

    def distrust(self) -> None:
        """Make the next request by the runner, after an error."""
        self._may_send = False

    def outdate(self) -> None:
        """Note that something has happened that the answers of earlier pops do not reflect."""
        self.outlook.current = False
        if self.trip is not None:
            self.trip.current = False

    def gather(self) -> None:
        """Collect what has ended since the last call."""
        ended = self._outbox.count_hooks()
        if self.outlook.end_postponement(clock.monotonic()) or ended:
            self.outdate()
        endings = self._outbox.take(_BATCH - len(self.endings))
        if not endings:
            return
        self._on_ended(endings)
        for ending in endings:
            # Tasks that were released or lost are not reported.
            if ending.job in self._book:
                self._note_ending(ending)
            else:
                self._reporter.drop(ending)

    def request(self, *, takes: bool) -> None:
        """Report what has ended, and take tasks if ``takes``; the answers are for `receive`, unless they have arrived.

        Raises:
            FairqueError: It failed; nothing is lost.
        """
        if self.trip is not None or not self._may_send:
            # Beside a wait, or after an error.
            self.call(min(self.free, MAX_POP_TASKS) if takes else 0)
        else:
            self._send(count_to_report(len(self.endings), self.held) if takes else len(self.endings), takes=takes)

    def call(self, count: int) -> None:
        """Report all endings, take up to ``count`` tasks (0: none), and act on the answers.

        Raises:
            FairqueError: It failed; nothing is lost.
        """
        held_until = self._held_until()
        self.outlook.answer_lost = self.outlook.answer_lost or count > 0
        try:
            popped = self._reporter.exchange(self.endings, count)
        except ProtocolError:
            if not self.endings:
                raise
            self._report_one_by_one()
            return
        self._may_send = True
        self._forget(self.endings)
        self.endings = []
        if popped is not None:
            # The pop came after the endings in the same request.
            self._settle(popped, count, held_until, current=True)

    def wait(self) -> None:
        """Begin to wait for work; the answer is for `receive`.

        Raises:
            FairqueError: The request could not be sent.
        """
        seconds, count = self.outlook.wait_ms / 1000, min(self.free, MAX_POP_TASKS)
        held_until = self._held_until()
        self.outlook.answer_lost = True
        self._consumer.begin_wait(self.line, count, seconds)
        self.trip = Trip((), count, held_until, self._overdue_at(seconds))

    def interrupt(self) -> None:
        """End the wait under way, if there is one.

        Raises:
            FairqueError: The server does not answer.
        """
        if self.trip is not None and self.trip.waits:
            self._consumer.interrupt()
            self.trip.interrupted = True

    def receive(self, seconds: float | None = None) -> None:
        """Act on the answers of the request under way, if there is one.

        Args:
            seconds: How long to wait for them; None for as long as a call may take.

        Raises:
            FairqueError: They are lost, or report an error; nothing else is lost.
        """
        trip = self.trip
        if trip is None:
            return
        if trip.report is None:
            self.trip = None
            longest = self._consumer.runner.settings.socket_timeout
            popped = self._consumer.receive_wait(self.line, longest if seconds is None else seconds)
            self._settle(popped, trip.count, trip.held_until, current=trip.current)
        else:
            self._receive_report(trip, trip.report, seconds)

    def _receive_report(self, trip: Trip, report: Report, seconds: float | None) -> None:
        self._outbox.patient = False
        lost, failed = False, None
        try:
            self._reporter.receive(self.line, report, seconds)
            self.gather()
            # The next request is sent before the answers are decoded, so that the server works meanwhile.
            if self.endings and (granted := self._reporter.accept(report)) is not None:
                others = self.held + granted
                self.trip = None
                takes = self._takes()
                number = count_to_report(len(self.endings), others) if takes else len(self.endings)
                try:
                    lost = not self._send(number, takes=takes, granted=granted, reported=len(trip.endings))
                except Exception as error:  # noqa: BLE001 - such as a shortage: what was granted has to be started
                    failed = error
            self.trip = None if self.trip is trip else self.trip
            popped = self._reporter.settle(report)
        except BaseException as error:
            self.trip = None if self.trip is trip else self.trip
            self.endings[:0] = trip.endings
            self.outdate()
            self.outlook.answer_lost = self.outlook.answer_lost or trip.count > 0
            if not isinstance(error, ProtocolError) or not trip.endings:
                raise
            self._report_one_by_one()
            return
        self._forget(trip.endings)
        if popped is not None:
            self._settle(popped, trip.count, trip.held_until, current=trip.current)
        self.outlook.answer_lost = self.outlook.answer_lost or lost
        if failed is not None:
            raise failed

    def _send(self, number: int, *, takes: bool, granted: int = 0, reported: int = 0) -> bool:
        """Send the first endings, and take as many tasks as are free then; do not wait for the answers.

        Args:
            number: How many endings.
            takes: Whether to take tasks.
            granted: How many tasks were granted that are not in the book yet.
            reported: How many tasks in the book have been reported before.

        Returns:
            Whether it could be sent.
        """
        free = self._book.slots - len(self._book) - granted + reported + number
        count = max(0, min(free, MAX_POP_TASKS)) if takes else 0
        endings = self.endings[:number]
        held_until = self._held_until()
        try:
            report = self._reporter.send(self.line, endings, count)
        except FairqueError:
            # The runner makes the same request, and says what is wrong.
            self._may_send, self.outlook.answer_lost = False, self.outlook.answer_lost or count > 0
            return False
        del self.endings[:number]
        self.trip = Trip(endings, count, held_until, self._overdue_at(0.0), report, current=not self.endings)
        self._outbox.patient = True
        return True

    def _held_until(self) -> float:
        # Anchored before the call: the server's leases can only end later than this.
        return clock.monotonic() + self._consumer.lease_ms / 1000

    def _overdue_at(self, seconds: float) -> float:
        return clock.monotonic() + seconds + self._consumer.runner.settings.socket_timeout

    def _note_ending(self, ending: Ending) -> None:
        self.outdate()
        if isinstance(ending, Failure) and ending.interrupted:
            # Not the task's fault, so not a failed attempt; the queue counts a lost worker when it reclaims the task.
            log.warning("the lease was lost: another worker runs the task", task_id=ending.job.granted.task_id)
            self._metrics.ended(ending.job, "lost", ending.ran_us)
            self._book.forget(ending.job)
            self._reporter.drop(ending)
            self.outlook.expects_tasks = True
        else:
            self.endings.append(ending)
            if isinstance(ending, Postponed) and ending.starts_nothing:
                self.outlook.starts_nothing_until = clock.monotonic() + ending.pause_seconds
                self.outlook.expects_tasks = True

    def _report_one_by_one(self) -> None:
        """Drop only those endings of a batch that the queue refuses: they would block the others forever."""
        # The tasks of the same round trip are granted, and the next pop returns them.
        self.outlook.expects_tasks = True
        self.outdate()
        while self.endings:
            ending = self.endings[0]
            try:
                self._reporter.exchange([ending], 0)
            except ProtocolError as error:
                log.error(
                    "the queue refused an ending: it is dropped, and the task runs again when its lease ends",
                    task_id=ending.job.granted.task_id,
                    attempt=ending.job.granted.attempt,
                    error=str(error),
                )
                self._reporter.drop(ending)
            self._forget([ending])
            del self.endings[0]

    def _forget(self, endings: Iterable[Ending]) -> None:
        """Forget tasks whose endings were reported."""
        for ending in endings:
            self._book.forget(ending.job)
            if isinstance(ending, Postponed) and not ending.starts_nothing:
                # From now on: on the server, the pause has begun earlier.
                until = clock.monotonic() + ending.pause_seconds
                self.outlook.postponed_until = max(self.outlook.postponed_until, until)

    def _settle(self, popped: Popped, count: int, held_until: float, *, current: bool) -> None:
        # When a lease began within a wait is unknown; the worker counts it from the beginning of the wait.
        longest_ms = min(round(LONGEST_WAIT_SECONDS * 1000), self._consumer.lease_ms // 10)
        self.outlook.note(popped, count, current=current, longest_ms=longest_ms)
        self._on_popped(popped, held_until)
