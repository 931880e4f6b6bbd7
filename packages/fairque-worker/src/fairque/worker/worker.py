"""The worker: takes tasks fairly, runs them, reports how they ended, and stops without losing any."""

import math
import threading
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from fairque.protocol import clock
from fairque.protocol.calls import Released
from fairque.protocol.config import mask_url
from fairque.protocol.errors import ConfigurationError, FairqueError
from fairque.protocol.runners import Runner
from fairque.protocol.service.signals import Control, Order
from fairque.worker.consumer import Consumer
from fairque.worker.dump import dump
from fairque.worker.executor import Executor
from fairque.worker.fetcher import Event, Fetcher
from fairque.worker.handler import FunctionTaskHandler, TaskHandler
from fairque.worker.heart import Heart
from fairque.worker.inputs import Inputs
from fairque.worker.jobs import Job
from fairque.worker.loading import import_task_modules, load_handler
from fairque.worker.log import log
from fairque.worker.metrics import Metrics
from fairque.worker.probes import Probes, impatient
from fairque.worker.processes.pool import Children
from fairque.worker.processes.process import Recipe
from fairque.worker.progress import ProgressSender
from fairque.worker.reporter import Reporter
from fairque.worker.settings import WorkerSettings, settings_from_url
from fairque.worker.signals import SIGNALS
from fairque.worker.waker import Taken, Wait, Waker
from fairque.worker.watch import Alarm, Watch

if TYPE_CHECKING:
    from fairque.protocol.service.web import Web

__all__ = ["TooManyAbandoned", "Worker"]

#: How long tasks that were given back may take to clean up.
_LINGER_SECONDS = 1.0


class TooManyAbandoned(FairqueError):
    """The worker has stopped since too many tasks went on after their timeouts: its process should be started again."""


class Worker:
    """Runs the tasks of one queue until it is stopped.

    One thread reports endings and takes new tasks in the same round trip; another renews the leases, a third tells
    the tasks whose lease is over and ends those above their timeouts, a fourth waits for the wake-up when there is
    nothing to do, and the tasks run in threads, on an event loop, and in child processes.

    Args:
        settings: Server, queue and worker. `start` imports ``worker.modules`` before it does anything else.
        handler: What running a task means; by default its function is called. ``MODULE:ATTR`` names a handler, a class
            or an object, which is imported at once, and which child processes can have, too.
        burst: End when nothing is runnable any more. Delayed tasks and retries that are not due stay in the queue.

    Raises:
        ConfigurationError: ``worker.isolation`` is ``process``, but a child process could not run the tasks.
        FairqueError: The named handler cannot be had.

    Attributes:
        settings: The same.
        metrics: What it counts.
    """

    def __init__(
        self, settings: WorkerSettings, handler: TaskHandler | str | None = None, *, burst: bool = False
    ) -> None:
        self.settings = settings
        options = settings.worker
        children = _children(settings, handler)
        if isinstance(handler, str):
            handler = load_handler(handler)
        handler = handler or FunctionTaskHandler(options.modules)
        events: SimpleQueue[Event] = SimpleQueue()
        alarm = Alarm()
        self._consumer = Consumer(settings)
        self._progress = ProgressSender(self._consumer)
        self._children = children
        self._executor = Executor(
            handler,
            options.concurrency,
            settings.queue.message_limit,
            events.put,
            inputs=Inputs(self._consumer.read_outputs),
            on_progress=self._progress.note,
            alarm=alarm,
            children=children,
            isolation=options.isolation,
            grace_seconds=options.cancel_grace_seconds,
            max_abandoned=options.max_abandoned,
            on_exhausted=self._on_exhausted,
        )
        self._waker = Waker(self._consumer, Runner(settings.redis), self._take)
        self._reader = Consumer(settings, Runner(impatient(settings.redis)))
        self.metrics = Metrics(
            settings.queue.name,
            options.concurrency,
            running=lambda: self.in_flight,
            abandoned=lambda: self._executor.abandoned,
            loop_age=lambda: self._fetcher.loop_age,
            read_stats=self._reader.read_stats,
        )
        self._fetcher = Fetcher(
            consumer=self._consumer,
            executor=self._executor,
            reporter=Reporter(self._consumer, handler, self.metrics, self._executor.call, self._executor.wait_for),
            waker=self._waker,
            events=events,
            metrics=self.metrics,
            slots=options.concurrency,
            burst=burst,
            on_idle=self._on_idle,
        )
        self._heart = Heart(Consumer(settings), options.heartbeat_seconds, self._fetcher.jobs, self.metrics)
        self._probes = Probes(settings, self._fetcher, self._heart, self.metrics)
        self._watch = Watch(options.heartbeat_seconds, self._fetcher.jobs, alarm, self._executor.enforce)
        self._idle = threading.Event()
        self._control = Control(SIGNALS)
        self._web: Web | None = None
        self._lock = threading.Lock()
        self._started = False
        self._stopped = False
        self._all_ended = True
        # Quiet by a signal: it goes on when there is nothing left to do.
        self._paused = False
        self._exhausted = False

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        queue: str = "default",
        handler: TaskHandler | str | None = None,
        burst: bool = False,
        **options: Any,
    ) -> "Worker":
        """Make a worker for a queue of the server at ``url``; ``options`` are the fields of `WorkerOptions`.

        Raises:
            ConfigurationError: One of them cannot be used, or is no option; the message names it.
        """
        return cls(settings_from_url(url, queue, options), handler, burst=burst)

    @property
    def in_flight(self) -> int:
        """How many tasks this worker holds."""
        return len(self._fetcher.jobs())

    @property
    def http_port(self) -> int | None:
        """The port on which it answers ``/livez``, ``/readyz`` and ``/metrics``; None where it does not."""
        return None if self._web is None else self._web.port

    @property
    def all_ended(self) -> bool:
        """Whether no thread was left behind by `stop`.

        If one was, a task that was given back still runs in it, and keeps the interpreter from ending in any other
        way than `os._exit`.
        """
        return self._all_ended

    def run(self) -> None:
        """Start, work until a signal or the end of a burst, and stop. For the main thread of a process.

        SIGTERM and SIGINT stop taking tasks at once and let the running ones go on for the grace; after it, or at a
        second signal, those still running are given back. SIGTSTP is `quiet`, SIGCONT `resume`, SIGUSR1 `dump`.

        Raises:
            TooManyAbandoned: More than ``worker.max_abandoned`` tasks went on after their timeouts.
            SchemaMismatch: The queue is of another version, from the beginning or all of a sudden.
            FairqueError: A module cannot be imported, or the server or the queue cannot be worked with, and nothing was
                started; or the worker crashed.
        """
        # Here already, since a signal must end an import that never does.
        import_task_modules(self.settings.worker.modules)
        with self._control.hearing():
            self.start()
            self._attend()
            self._paused = False
            self.quiet()
            log.info("worker stops", worker=self._consumer.worker, in_flight=self.in_flight)
            if not self._idle.is_set():
                self._attend(self.settings.worker.grace_seconds)
            self.stop(0)
        crash = self._fetcher.crash
        if isinstance(crash, FairqueError):
            raise crash
        if crash is not None:
            raise FairqueError(f"the worker crashed: {crash!r}") from crash
        if self._exhausted:
            raise TooManyAbandoned(
                f"more than {self.settings.worker.max_abandoned} tasks (worker.max_abandoned) went on after their "
                "timeouts: start the worker again, and let such tasks look at their context, or give them "
                'isolation="process"'
            )

    def start(self) -> None:
        """Import ``worker.modules`` and begin to take tasks, in threads of its own; safe to call twice.

        Raises:
            FairqueError: A module cannot be imported, the server or the queue cannot be worked with, the port is taken,
                or the worker was stopped; nothing was started.
        """
        with self._lock:
            if self._stopped:
                raise FairqueError("this worker was stopped: make a new Worker")
            if self._started:
                return
            import_task_modules(self.settings.worker.modules)
            try:
                self._consumer.check()
                self._web = self._probes.listen()
            except FairqueError:
                self._consumer.runner.close()
                raise
            self._started = True
            self._heart.start()
            self._watch.start()
            self._waker.start()
            self._fetcher.start()
        log.info(
            "worker started",
            worker=self._consumer.worker,
            server=mask_url(self.settings.redis.url),
            queue=self._consumer.keys.name,
            concurrency=self.settings.worker.concurrency,
        )

    def quiet(self) -> None:
        """Take no more tasks; those that run go on."""
        self._fetcher.quiet()

    def resume(self) -> None:
        """Take tasks again after `quiet`; not once the worker is being stopped."""
        if self._stopped or self._exhausted:
            return
        self._paused = False
        self._fetcher.resume()
        self._idle.clear()

    def dump(self) -> None:
        """Write what this worker does right now to its log: its tasks, its threads, and its child processes."""
        dump(self._consumer.worker, self._executor, self._fetcher.jobs())
        self._children.dump()

    def wait_idle(self, seconds: float | None = None) -> bool:
        """Wait until a burst is over, or no task runs after `quiet`; return whether that is so."""
        return self._idle.wait(seconds)

    def stop(self, deadline: float | None = None) -> None:
        """Stop, in this order; safe to call twice.

        1. take no more tasks, 2. wait for those that run, 3. give back those that do not end in time, uncounted,
        4. wait for hooks, end the threads, pass the wake-up on, and close the connections.

        Args:
            deadline: Seconds for step 2; None takes the settings' grace.
        """
        with self._lock:
            if self._stopped or not self._started:
                return
            self._stopped = True
            self.quiet()
            self._idle.wait(self.settings.worker.grace_seconds if deadline is None else deadline)
            # Before the rest is given back, so that no task is taken and no ending reported meanwhile.
            self._fetcher.stop()
            self._waker.stop()
            self._fetcher.return_what_was_lost()
            left = self._fetcher.jobs()
            self._give_back(left)
            self._heart.stop()
            self._watch.stop()
            self._progress.stop()
            given_up = left or self._fetcher.crash is not None
            linger = _LINGER_SECONDS if given_up else self.settings.worker.grace_seconds
            self._all_ended = self._executor.stop(linger)
            with suppress(FairqueError):
                self._consumer.rouse()
            if self._web is not None:
                self._web.close()
            self._reader.runner.close()
            self._consumer.runner.close()
        log.info("worker stopped", worker=self._consumer.worker)

    def _attend(self, seconds: float = math.inf) -> None:
        """Do what signals say until one, or the end of all work, says stop, or the time is over."""
        stopping = seconds < math.inf
        until = clock.monotonic() + seconds
        while (order := self._control.wait(until - clock.monotonic())) not in (None, Order.STOP):
            if order is Order.DUMP:
                try:
                    self.dump()
                except Exception:  # noqa: BLE001 - who only looks must not end a worker
                    log.exception("what runs could not be written")
            elif stopping:
                continue
            elif order is Order.QUIET:
                self._paused = True
                self.quiet()
                log.info("worker is quiet", worker=self._consumer.worker, in_flight=self.in_flight)
            elif self._paused:
                self.resume()
                log.info("worker takes tasks again", worker=self._consumer.worker)

    def _on_idle(self) -> None:
        self._idle.set()
        if not self._paused:
            self._control.tell()

    def _on_exhausted(self, abandoned: int) -> None:
        if self._exhausted:
            return
        self._exhausted = True
        log.error(
            "too many tasks go on after their timeouts: the worker ends, to be started again",
            worker=self._consumer.worker,
            abandoned=abandoned,
            max_abandoned=self.settings.worker.max_abandoned,
        )
        self.quiet()
        self._control.tell()

    def _take(self, taken: Taken) -> Wait | None:
        return self._fetcher.take(taken)

    def _give_back(self, jobs: list[Job]) -> None:
        if not jobs:
            return
        log.warning("giving back tasks that still run", tasks=[job.granted.task_id for job in jobs])
        for job in jobs:
            job.request_cancel("the worker stops", lease_lost=True)
        # Before others can get them, and while the heart still keeps them: a process can be ended, so none runs twice.
        self._executor.end_apart(jobs, _LINGER_SECONDS)
        for job in jobs:
            self._fetcher.forget(job)
        self._consumer.give_back([Released(job.granted.task_id, job.granted.token, job.ran_us) for job in jobs])


def _children(settings: WorkerSettings, handler: TaskHandler | str | None) -> Children:
    """Return the child processes of a worker, none of which has begun.

    Raises:
        ConfigurationError: There can be none, but all tasks should run in them.
    """
    options = settings.worker
    recipe, why_not = None, ""
    if isinstance(handler, TaskHandler):
        why_not = (
            "its handler is an object, which a child process cannot have. Name it: Worker(settings, 'MODULE:ATTR')"
        )
    elif handler is None and not options.modules:
        why_not = "child processes import worker.modules, and there are none: list the modules with task functions"
    else:
        recipe = Recipe(
            worker=options.name,
            modules=options.modules,
            handler=handler,
            result_limit=settings.queue.message_limit,
        )
    if recipe is None and options.isolation == "process":
        raise ConfigurationError([f"worker.isolation is 'process', but this worker has no child processes: {why_not}"])
    return Children(recipe, why_not, options.cancel_grace_seconds)
