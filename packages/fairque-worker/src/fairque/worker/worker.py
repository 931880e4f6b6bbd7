"""The worker: takes tasks fairly, runs them, reports how they ended, and stops without losing any."""

import math
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Unpack

from fairque.protocol import clock
from fairque.protocol.config import mask_url
from fairque.protocol.durations import as_seconds
from fairque.protocol.errors import FairqueError, TooManyAbandoned
from fairque.protocol.model.tracebacks import error_text
from fairque.protocol.runners import Runner
from fairque.protocol.service.crashes import close_all, crash_of
from fairque.protocol.service.ending import ProgramEnd
from fairque.protocol.service.patches import refuse_patches
from fairque.protocol.service.settings import filed_settings
from fairque.protocol.service.signals import Control, Order
from fairque.protocol.service.threads import note_thread_defaults
from fairque.protocol.wire.scripts import load_scripts
from fairque.worker.consumer import Consumer
from fairque.worker.handling.handler import FunctionTaskHandler, TaskHandler, hooked
from fairque.worker.handling.inputs import Inputs
from fairque.worker.isolation import children_of
from fairque.worker.jobs import Ending
from fairque.worker.keeping.deadlines import Watch
from fairque.worker.keeping.leases import Heartbeat
from fairque.worker.keeping.progress import ProgressSender
from fairque.worker.loading import import_task_modules, load_handler
from fairque.worker.log import log
from fairque.worker.metrics import Metrics
from fairque.worker.phases import Phase, Phases
from fairque.worker.processes.surroundings import absolute_path, working_folder
from fairque.worker.running.alarm import Alarm
from fairque.worker.running.executor import Executor
from fairque.worker.serving.activity_log import log_activity
from fairque.worker.serving.port import Port
from fairque.worker.serving.probes import Probes, with_short_timeouts
from fairque.worker.settings import WorkerOptions, WorkerSettings, settings_from_url
from fairque.worker.signals import SIGNALS
from fairque.worker.taking.courier import Courier
from fairque.worker.taking.reporter import Reporter

__all__ = ["Worker"]

#: Seconds that tasks that were released may take to clean up.
_LINGER_SECONDS = 1.0
#: Seconds that the last calls may take if the server does not answer.
_LONGEST_STOP_SECONDS = 30.0

#: Seconds for releasing the tasks of a worker that the program did not stop before it ended.
_PROGRAM_END_SECONDS = 2.0
#: The reason of a pause that a signal can end.
_BY_SIGNAL = "a signal came"


class Worker:
    """Runs the tasks of one queue until it is stopped.

    One thread, the courier, reports endings, takes new tasks in the same round trip, and waits for work when there is
    none; another renews the leases; a third notifies tasks whose lease has ended, and ends those that exceed their
    timeouts. Tasks run in threads, on an event loop, and in child processes. If one of its own threads dies, the worker
    crashes.

    Args:
        settings: Server, queue and worker. `start` first imports ``worker.modules``.
        handler: Runs the tasks; by default their functions are called. ``MODULE:ATTR`` names a handler, a class or an
            instance, which is imported at once, and which child processes can use, too.
        burst: End when nothing is runnable, nor will become so by what this worker still has to do, such as a task that
            it could not start at first. Tasks that wait for a delay, a retry, a rate, a cap that other workers use up,
            or other tasks stay in the queue.

    Raises:
        ConfigurationError: ``worker.isolation`` is ``process``, but a child process could not run the tasks.
        FairqueError: The named handler cannot be imported or created.

    Attributes:
        settings: The settings in use.
        metrics: The metrics of this worker.
    """

    def __init__(
        self, settings: WorkerSettings | None = None, handler: TaskHandler | str | None = None, *, burst: bool = False
    ) -> None:
        self.settings = settings = settings or WorkerSettings()
        options = settings.worker
        children = children_of(settings, handler)
        if isinstance(handler, str):
            handler = load_handler(handler)
        handler = handler or FunctionTaskHandler(options.modules)
        alarm = Alarm()
        self._phases = Phases(self._ring)
        self._begins_paused = False
        self._consumer = Consumer(settings)
        self._progress = ProgressSender(self._consumer, self._on_death)
        self._children = children
        self._executor = Executor(
            handler,
            options.concurrency,
            settings.queue.message_limit,
            self._on_end,
            inputs=Inputs(self._consumer.read_outputs, settings.queue.input_limit),
            on_progress=self._progress.note,
            alarm=alarm,
            children=children,
            isolation=options.isolation,
            kept=hooked(handler),
            cancel_timeout=options.cancel_timeout,
            max_abandoned=options.max_abandoned,
            on_exhausted=self._on_exhausted,
            on_death=self._on_death,
            on_short_end=self._on_short_end,
            announce=self._ring,
        )
        self._reader = Consumer(settings, Runner(with_short_timeouts(settings.redis)))
        self.metrics = Metrics(
            settings.queue.name,
            options.concurrency,
            running=lambda: self.running,
            abandoned=lambda: self._executor.abandoned,
            loop_age=lambda: self._courier.service.overdue,
            read_stats=self._reader.read_stats,
        )
        self._courier = Courier(
            consumer=self._consumer,
            executor=self._executor,
            reporter=Reporter(self._consumer, handler, self.metrics, self._call_hook, self._executor.wait_for),
            phases=self._phases,
            metrics=self.metrics,
            slots=options.concurrency,
            burst=burst,
            on_idle=self._on_idle,
            on_death=self._on_death,
            linger_seconds=_LINGER_SECONDS,
        )
        jobs = self._courier.book.snapshot
        self._heart = Heartbeat(Consumer(settings), options.heartbeat, jobs, self.metrics, self._on_death)
        self._watch = Watch(options.heartbeat, jobs, alarm, self._executor.enforce, self._on_death)
        self._probes = Probes(settings, self._phases, self._courier, self._heart, self._watch, self.metrics)
        self._control = Control(SIGNALS)
        self._again = False
        self._port = Port(self._probes.listen, self._on_death)
        #: Whether `stop` left no thread behind. A task that was released may still run in one; nothing waits for it.
        self._all_ended = True
        self._exhausted = False
        self._program_end = ProgramEnd(self._end_with_program)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        queue: str = "default",
        handler: TaskHandler | str | None = None,
        burst: bool = False,
        **options: Unpack[WorkerOptions],
    ) -> "Worker":
        """Create a worker for a queue of the server at ``url``; ``options`` are the fields of `WorkerSection`.

        Raises:
            ConfigurationError: Some are invalid; the message names all of them.
            TypeError: There is no such option; the message suggests a similar one.
        """
        return cls(settings_from_url(url, queue, options), handler, burst=burst)

    @classmethod
    def from_config(
        cls,
        path: str | os.PathLike[str],
        *,
        queue: str | None = None,
        handler: TaskHandler | str | None = None,
        burst: bool = False,
        **options: Unpack[WorkerOptions],
    ) -> "Worker":
        """Make a worker from a configuration file, over which ``FAIRQUE_SECTION_KEY`` variables and ``options`` win.

        Raises:
            ConfigurationError: With every problem of the file, each with its place.
            TypeError: There is no such option; the message says which may be meant.
        """
        return cls(filed_settings(WorkerSettings, path, queue, "worker", options), handler, burst=burst)

    @property
    def running(self) -> int:
        """How many tasks this worker holds."""
        return len(self._courier.book)

    @property
    def http_port(self) -> int | None:
        """The port of ``/livez``, ``/readyz`` and ``/metrics``; None if the worker does not listen."""
        return self._port.number

    def run(self, *, again: bool = False) -> None:
        """Start, work until a signal or the end of a burst, and stop. Call it in the main thread of a process.

        SIGTERM, SIGINT and SIGHUP stop taking tasks at once and let running ones continue for ``stop_timeout``; then,
        or at a second signal, they are released. SIGTSTP is `pause`, SIGCONT is `resume`, SIGUSR1 is `dump`.

        Args:
            again: Whether it replaces a process that has ended: then a port that is taken is logged as an error, and
                the worker waits for it.

        Raises:
            TooManyAbandoned: More than ``worker.max_abandoned`` tasks continued after their timeouts.
            SchemaMismatch: The queue has another version, at the start or suddenly later.
            FairqueError: A module cannot be imported, or the server or the queue cannot be used, and nothing was
                started; or the worker crashed.
        """
        # Before the handlers of signals are set: a signal must be able to end an import that hangs.
        import_task_modules(self.settings.worker.modules)
        self._again = again
        with self._control.hearing():
            self.start()
            self._attend()
            self._phases.move(Phase.DRAINING, "a stop was requested")
            log.info("worker stops", worker=self._consumer.worker, reason=self._phases.reason, running=self.running)
            if not self._phases.wait_idle(0):
                self._attend(self.settings.worker.stop_timeout)
            self.stop(0)
        if self._phases.error is not None:
            raise crash_of("the worker", self._phases.error)
        if self._exhausted:
            raise TooManyAbandoned(
                f"more than {self.settings.worker.max_abandoned} tasks (worker.max_abandoned) continued after their "
                'timeouts: restart the worker, and let such tasks check their context, or use isolation="process"'
            )

    def start(self) -> None:
        """Import ``worker.modules`` and begin to take tasks, in threads of the worker; safe to call twice.

        Raises:
            FairqueError: A module cannot be imported, the server or the queue cannot be used, the port is taken, or the
                worker was stopped; nothing was started.
        """
        with self._phases.turn:
            if self._phases.phase in (Phase.STOPPING, Phase.ENDED):
                raise FairqueError("this worker was stopped: create a new Worker")
            if self._phases.phase is not Phase.STARTING:
                return
            # So that modules are still found when a task changes the working folder.
            sys.path[:] = absolute_path(working_folder())
            import_task_modules(self.settings.worker.modules)
            refuse_patches("worker")
            # Again: the modules may have started a profiler.
            note_thread_defaults()
            # Read now: an upgrade in place must not give a running worker scripts of another version.
            load_scripts()
            try:
                self._consumer.check()
                self._port.open(patient=self._again)
                self._heart.start()
                self._watch.start()
                self._courier.start()
                self._program_end.watch()
                self._phases.move(Phase.PAUSED if self._begins_paused else Phase.RUNNING)
            except BaseException:
                self._phases.move(Phase.ENDED, "it could not start")
                self._close()
                raise
        log.info(
            "worker started",
            worker=self._consumer.worker,
            server=mask_url(self.settings.redis.url),
            queue=self._consumer.keys.name,
            concurrency=self.settings.worker.concurrency,
        )

    def pause(self) -> None:
        """Stop taking tasks; running ones continue. Before `start`: begin without taking any, until `resume`."""
        self._begins_paused = True
        if self._phases.phase is not Phase.STARTING:
            self._phases.move(Phase.PAUSED, "pause was called")

    def resume(self) -> None:
        """Take tasks again after `pause`; not once the worker is being stopped."""
        self._begins_paused = False
        if self._phases.phase is Phase.PAUSED:
            self._phases.move(Phase.RUNNING, "resume was called")

    def dump(self) -> None:
        """Write the current activity of this worker to its log: its tasks, its threads, and its child processes."""
        log_activity(self._consumer.worker, self._executor, self._courier.book.snapshot())
        self._children.dump()

    def wait_idle(self, timeout: float | timedelta | None = None) -> bool:
        """Wait until a burst is over, or no task runs after `pause`; return whether that is so.

        Args:
            timeout: Seconds to wait at most, or a timedelta; None waits forever, 0 only checks.
        """
        return self._phases.wait_idle(as_seconds(timeout))

    def stop(self, timeout: float | timedelta | None = None) -> None:
        """Stop, in this order; safe to call twice. In a forked child it does nothing: the worker belongs to the parent.

        1. take no more tasks, 2. wait for running ones, 3. release those that do not end in time, without counting a
        retry, 4. wait for hooks, end the threads, pass the wake-up on, and close the connections.

        Args:
            timeout: Seconds for step 2, or a timedelta; None is ``worker.stop_timeout``.
        """
        with self._phases.turn:
            if self._phases.phase in (Phase.STARTING, Phase.STOPPING, Phase.ENDED):
                return
            self._phases.move(Phase.DRAINING, "stop was called")
            seconds = as_seconds(timeout)
            self._phases.wait_idle(self.settings.worker.stop_timeout if seconds is None else seconds)
            given_up = self._phases.phase is Phase.CRASHED or self.running > 0
            self._phases.move(Phase.STOPPING)
            self._courier.service.join(_LONGEST_STOP_SECONDS)
            self._all_ended = self._executor.stop(_LINGER_SECONDS if given_up else self.settings.worker.stop_timeout)
            with suppress(FairqueError):
                self._consumer.rouse()
            self._phases.move(Phase.ENDED)
            self._close()
        log.info("worker stopped", worker=self._consumer.worker)

    def _end_with_program(self) -> None:
        """Release the tasks of this worker, since the program ends without having stopped it."""
        self._phases.move(Phase.DRAINING, "the program ends")
        self._phases.move(Phase.STOPPING)
        self._courier.service.join(_PROGRAM_END_SECONDS)

    def _close(self) -> None:
        self._program_end.cancel()
        close_all(
            log,
            *(part.stop for part in (self._heart, self._watch, self._progress, self._courier.service)),
            self._courier.close,
            self._port.close,
            self._reader.runner.close,
            self._consumer.runner.close,
        )

    def _attend(self, seconds: float = math.inf) -> None:
        """Follow signals until a stop is requested, all work is done, or the time is over."""
        stopping = seconds < math.inf
        until = clock.monotonic() + seconds
        while (order := self._control.wait(until - clock.monotonic())) not in (None, Order.STOP):
            if order is Order.DUMP:
                try:
                    self.dump()
                except Exception:  # noqa: BLE001 - a dump must not end a worker
                    log.exception("what runs could not be written")
            elif stopping:
                continue
            elif order is Order.PAUSE:
                self._phases.move(Phase.PAUSED, _BY_SIGNAL)
                log.info("worker is paused", worker=self._consumer.worker, running=self.running)
            elif self._phases.reason == _BY_SIGNAL:
                self.resume()
                log.info("worker takes tasks again", worker=self._consumer.worker)

    def _ring(self) -> None:
        self._courier.ring()

    def _on_end(self, ending: Ending) -> None:
        self._courier.put(ending)

    def _on_short_end(self, ending: Ending) -> None:
        self._courier.add(ending)

    def _call_hook(self, hook: Callable[[], None]) -> None:
        self._courier.call_hook(hook)

    def _on_idle(self) -> None:
        if self._phases.phase is not Phase.PAUSED:
            self._control.tell()

    def _on_death(self, name: str, error: BaseException) -> None:
        """End the worker, since one of its threads has died."""
        self._phases.crash(f"thread {name} died", error)
        with suppress(Exception):
            log.error(
                "the worker crashed: others get its tasks when the leases end",
                worker=self._consumer.worker,
                service_thread=name,
                error=error_text(error),
                exc_info=None if isinstance(error, FairqueError) else error,
            )
        if name == self._courier.service.name:
            # This thread would have done it.
            self._courier.abandon()

    def _on_exhausted(self, abandoned: int) -> None:
        if self._exhausted:
            return
        self._exhausted = True
        log.error(
            "too many tasks continue after their timeouts: the worker ends, to be started again",
            worker=self._consumer.worker,
            abandoned=abandoned,
            max_abandoned=self.settings.worker.max_abandoned,
        )
        self._phases.move(Phase.DRAINING, "too many tasks continue after their timeouts")
        self._control.tell()
