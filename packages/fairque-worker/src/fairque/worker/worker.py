"""The worker: takes tasks fairly, runs them, reports how they ended, and stops without losing any."""

import threading
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from fairque.protocol.calls import Released
from fairque.protocol.errors import FairqueError
from fairque.protocol.runners import Runner
from fairque.worker.consumer import Consumer
from fairque.worker.executor import Executor
from fairque.worker.fetcher import Event, Fetcher
from fairque.worker.handler import FunctionTaskHandler, TaskHandler
from fairque.worker.heart import Heart
from fairque.worker.inputs import Inputs
from fairque.worker.jobs import Job
from fairque.worker.loading import import_modules
from fairque.worker.log import log
from fairque.worker.progress import ProgressSender
from fairque.worker.reporter import Reporter
from fairque.worker.settings import WorkerSettings, settings_from_url
from fairque.worker.signals import Control
from fairque.worker.waker import Taken, Wait, Waker
from fairque.worker.watch import Watch

__all__ = ["Worker"]

#: How long tasks that were given back may take to clean up.
_LINGER_SECONDS = 1.0


class Worker:
    """Runs the tasks of one queue until it is stopped.

    One thread reports endings and takes new tasks in the same round trip; another renews the leases, a third tells
    the tasks whose lease is over, a fourth waits for the wake-up when there is nothing to do, and the tasks run in
    threads and on an event loop.

    Args:
        settings: Server, queue and worker. `start` imports ``worker.modules`` before it does anything else.
        handler: What running a task means; by default its function is called.
        burst: End when nothing is runnable any more. Delayed tasks and retries that are not due stay in the queue.
    """

    def __init__(self, settings: WorkerSettings, handler: TaskHandler | None = None, *, burst: bool = False) -> None:
        self.settings = settings
        handler = handler or FunctionTaskHandler(settings.worker.modules)
        events: SimpleQueue[Event] = SimpleQueue()
        self._consumer = Consumer(settings)
        self._progress = ProgressSender(self._consumer)
        self._executor = Executor(
            handler,
            settings.worker.concurrency,
            settings.queue.message_limit,
            events.put,
            inputs=Inputs(self._consumer.runner, self._consumer.keys),
            on_progress=self._progress.note,
        )
        self._waker = Waker(self._consumer, Runner(settings.redis), self._take)
        self._fetcher = Fetcher(
            consumer=self._consumer,
            executor=self._executor,
            reporter=Reporter(self._consumer, handler, self._executor.call, self._executor.wait_for),
            waker=self._waker,
            events=events,
            slots=settings.worker.concurrency,
            burst=burst,
            on_idle=self._on_idle,
        )
        self._heart = Heart(Consumer(settings), settings.worker.heartbeat_seconds, self._fetcher.jobs)
        self._watch = Watch(settings.worker.heartbeat_seconds, self._fetcher.jobs)
        self._idle = threading.Event()
        self._control = Control()
        self._lock = threading.Lock()
        self._started = False
        self._stopped = False
        self._all_ended = True

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        queue: str = "default",
        handler: TaskHandler | None = None,
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
    def all_ended(self) -> bool:
        """Whether no thread was left behind by `stop`.

        If one was, a task that was given back still runs in it, and keeps the interpreter from ending in any other
        way than `os._exit`.
        """
        return self._all_ended

    def run(self) -> None:
        """Start, work until a signal or the end of a burst, and stop. For the main thread of a process.

        SIGTERM and SIGINT stop taking tasks at once and let the running ones go on for the grace; after it, or at a
        second signal, those still running are given back.

        Raises:
            SchemaMismatch: The queue is of another version, from the beginning or all of a sudden.
            FairqueError: A module cannot be imported, or the server or the queue cannot be worked with, and nothing was
                started; or the worker crashed.
        """
        # Here already, since a signal must end an import that never does.
        import_modules(self.settings.worker.modules)
        with self._control.hearing():
            self.start()
            self._control.wait()
            self.quiet()
            log.info("worker stops", worker=self._consumer.worker, in_flight=self.in_flight)
            if not self._idle.is_set():
                self._control.wait(self.settings.worker.grace_seconds)
            self.stop(0)
        crash = self._fetcher.crash
        if isinstance(crash, FairqueError):
            raise crash
        if crash is not None:
            raise FairqueError(f"the worker crashed: {crash!r}") from crash

    def start(self) -> None:
        """Import ``worker.modules`` and begin to take tasks, in threads of its own; safe to call twice.

        Raises:
            FairqueError: A module cannot be imported, the server or the queue cannot be worked with, or the worker was
                stopped; nothing was started.
        """
        with self._lock:
            if self._stopped:
                raise FairqueError("this worker was stopped: make a new Worker")
            if self._started:
                return
            import_modules(self.settings.worker.modules)
            try:
                self._consumer.check()
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
            queue=self._consumer.keys.name,
            concurrency=self.settings.worker.concurrency,
        )

    def quiet(self) -> None:
        """Take no more tasks; those that run go on."""
        self._fetcher.quiet()

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
            self._consumer.runner.close()
        log.info("worker stopped", worker=self._consumer.worker)

    def _on_idle(self) -> None:
        self._idle.set()
        self._control.tell()

    def _take(self, taken: Taken) -> Wait | None:
        return self._fetcher.take(taken)

    def _give_back(self, jobs: list[Job]) -> None:
        if not jobs:
            return
        log.warning("giving back tasks that still run", tasks=[job.granted.task_id for job in jobs])
        for job in jobs:
            self._fetcher.forget(job)
            job.request_cancel("the worker stops", lease_lost=True)
        self._consumer.give_back([Released(job.granted.task_id, job.granted.token, job.ran_us) for job in jobs])
