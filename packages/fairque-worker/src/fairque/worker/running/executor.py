"""Runs tasks in threads, on an event loop, and in child processes, and ends those that exceed their timeout."""

import inspect
import math
import os
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from types import FrameType
from typing import Any

from fairque.protocol import clock
from fairque.protocol.errors import LeaseLost
from fairque.protocol.model.context import TaskContext, set_current_context
from fairque.protocol.model.progress import Progress
from fairque.protocol.model.stopping import StopReason
from fairque.protocol.model.task import Isolation, Task
from fairque.protocol.service.threads import note_thread_defaults
from fairque.worker.attempt import Later, late_error
from fairque.worker.forks import end_if_copy
from fairque.worker.handling.handler import Kind, TaskHandler, kind_of
from fairque.worker.handling.inputs import Inputs, task_of
from fairque.worker.jobs import Ending, Failure, Job, Postponed, Unstarted
from fairque.worker.log import log
from fairque.worker.processes.children import Child, Children
from fairque.worker.running.alarm import Alarm
from fairque.worker.running.attempts import Attempts
from fairque.worker.running.coroutines import Coroutines
from fairque.worker.running.in_children import InChildren
from fairque.worker.running.lane import Lanes
from fairque.worker.running.loop import CoroutineAttempt
from fairque.worker.running.loops import Loops
from fairque.worker.running.places import Places
from fairque.worker.running.short_functions import ShortFunctions
from fairque.worker.running.threads import Slot, Threads

__all__ = ["Executor"]

#: Types of values that cannot be awaited.
_VALUES = frozenset({type(None), bool, int, float, str, list, dict})
#: Bytes of the largest message that is decoded by the thread that gives jobs: it must not take long.
_MOST_BYTES = 65_536
#: Seconds that a task may wait for one of the existing threads when no other can be started; and, if there is none at
#: all, or no event loop, seconds until the task may be retried.
_PATIENCE_SECONDS = 5.0
_PAUSE_SECONDS = 1.0


class Executor:
    """Runs jobs and passes the ending of each to ``on_end``, once, in the thread where it ended.

    Whatever a task raises, SystemExit and CancelledError included, is its ending; no thread is lost.

    Args:
        handler: Runs the tasks.
        threads: How many tasks run at a time.
        result_limit: Bytes of the largest result.
        on_end: Gets the endings.
        inputs: Reads the outputs of other tasks.
        on_progress: Gets the progress of running tasks; it must not block.
        alarm: Rung when a timeout comes before the next check of the watch, which calls `enforce`.
        children: The child processes; None runs all tasks here.
        isolation: Where tasks run that do not set it themselves.
        kept: The kinds of endings that have hooks; for all others, objects of the task are dropped where it ran.
        cancel_timeout: Seconds that a coroutine may clean up after its timeout.
        max_abandoned: How many attempts that could not be stopped may still run.
        on_exhausted: Called when there are more.
        on_death: Called with the name of a thread that coroutines need, and the error that ended it.
        shared: Whether coroutines share an event loop; otherwise one may change it, and the next gets another loop.
        on_short_end: Gets the endings of short tasks; ``announce`` is called after some of them. By default they go to
            ``on_end`` like all others.
        announce: Called when there are endings that ``on_short_end`` has got.
    """

    def __init__(
        self,
        handler: TaskHandler,
        threads: int,
        result_limit: int,
        on_end: Callable[[Ending], None],
        *,
        inputs: Inputs,
        on_progress: Callable[[Job, Progress], None] = lambda *_: None,
        alarm: Alarm | None = None,
        children: Children | None = None,
        isolation: Isolation = "thread",
        kept: tuple[type[Ending], ...] = (),
        cancel_timeout: float = 5.0,
        max_abandoned: int = 16,
        on_exhausted: Callable[[int], None] = lambda _: None,
        on_death: Callable[[str, BaseException], None] = lambda *_: None,
        shared: bool = True,
        on_short_end: Callable[[Ending], None] | None = None,
        announce: Callable[[], None] = lambda: None,
    ) -> None:
        self._handler = handler
        self._on_end = on_end
        self._on_short_end = on_short_end or on_end
        self._inputs = inputs
        self._alarm = alarm or Alarm()
        self._cancel_timeout = cancel_timeout
        self._max_abandoned = max_abandoned
        self._on_exhausted = on_exhausted
        # Tasks that this worker already holds get a thread even beyond the limit.
        self._threads = Threads(threads, max_abandoned + threads)
        # Attempts that were given up; only the watch uses it.
        self._abandoned: list[Slot | CoroutineAttempt] = []
        self._loops = Loops(on_death, shared=shared)
        self._places = Places()
        self._short_functions = ShortFunctions()
        self._has_lane = not kept
        self._lanes = Lanes(
            self._threads,
            self._run_short,
            announce,
            self._recover,
            max(1, threads // 2),
            run_alone=self._submit,
            on_long=self._on_long,
        )
        self._attempts = Attempts(
            handler,
            inputs=inputs,
            alarm=self._alarm,
            places=self._places,
            result_limit=result_limit,
            kept=kept,
            on_progress=on_progress,
            on_end=on_end,
        )
        self._coroutines = Coroutines(
            self._attempts,
            self._places,
            self._loops,
            group=max(1, threads // 2),
            cancel_timeout=cancel_timeout,
            on_calls_continue=self._check_abandoned,
        )
        self._in_children = InChildren(
            children,
            self._attempts,
            self._places,
            inputs=inputs,
            alarm=self._alarm,
            isolation=isolation,
            cancel_timeout=cancel_timeout,
        )
        note_thread_defaults()

    @property
    def abandoned(self) -> int:
        """How many attempts that could not be ended still run."""
        return sum(not place.ended for place in self._abandoned) + self._loops.count_abandoned(self._cancel_timeout)

    def submit_all(self, jobs: Iterable[Job]) -> None:
        """Run jobs, each where it costs least; those that cannot be started now end as `Postponed`.

        One thread calls this, `watch` and `note_endings`.
        """
        short: list[Job] = []
        coroutines: list[Job] = []
        for job in jobs:
            try:
                kind = self._kind(job)
                if kind is Kind.COROUTINE:
                    coroutines.append(job)
                elif kind is Kind.CALL and self._is_short(job):
                    job.in_lane = True
                    self._places.add(job)
                    short.append(job)
                else:
                    self.submit(job)
            except BaseException as error:  # noqa: BLE001 - it is raised again unless it is an Exception
                self._attempts.postpone([job], error)
        for begin, some in ((self._lanes.add, short), (self._coroutines.begin_all, coroutines)):
            if some:
                try:
                    begin(some)
                except BaseException as error:  # noqa: BLE001 - it is raised again unless it is an Exception
                    self._attempts.postpone(some, error)

    def watch(self) -> float:
        """Let no short task hold up others for long.

        Returns:
            The seconds until the next call is due; infinite if no short tasks run.
        """
        return self._lanes.watch()

    def note_endings(self, endings: Iterable[Ending]) -> None:
        """Note from how attempts ended which functions are usually short."""
        for ending in endings:
            job = ending.job
            if (job.in_lane or job.measured) and job.task is not None and job.task.func is not None:
                self._short_functions.note(job.task.func, ending.ran_us, job.waited_us, in_lane=job.in_lane)

    def submit(self, job: Job) -> None:
        """Run a job as soon as a thread is free."""
        self._places.add(job)
        self._submit(job)

    def _submit(self, job: Job) -> None:
        if not self._threads.grow():
            self._attempts.end(Postponed(job, self._threads.shortage, _PAUSE_SECONDS, starts_nothing=True))
            return
        if self._threads.shortage:
            # Fewer threads than slots: earlier jobs may take forever, and other workers may have free threads.
            job.limit = clock.monotonic() + _PATIENCE_SECONDS
            self._alarm.ring()
        self._threads.put(partial(self._run, job))

    def _kind(self, job: Job) -> Kind:
        """Return what it means to run a job; decodes its task if that may matter."""
        if job.granted.solo or len(job.granted.message) > _MOST_BYTES:
            return Kind.OTHER
        try:
            task = job.task = task_of(job.granted)
            if task.depends_on or self._in_children.asked_for(task):
                return Kind.OTHER
            return kind_of(self._handler, task)
        except Exception:  # noqa: BLE001 - the attempt will fail in the same way, and says why
            return Kind.OTHER

    def _is_short(self, job: Job) -> bool:
        """Whether a job, whose task is decoded, is to be run one behind the other with others."""
        func = None if job.task is None else job.task.func
        # Hooks take threads, and without enough threads each job waits on its own.
        if func is None or not self._has_lane or self._threads.shortage:
            return False
        job.measured = self._short_functions.measures(func)
        return self._short_functions.is_short(func)

    def run_here(self, job: Job) -> None:
        """Run a job in this thread; if it is a coroutine, it continues after the return."""
        self._places.add(job)
        self._run(job, Slot())

    def call(self, work: Callable[[], None]) -> bool:
        """Run any function in one of the threads, in its own context; it must not raise.

        Returns:
            Whether it will run; False if no thread can be started.
        """
        if not self._threads.grow():
            log.error("a hook is not called", why=self._threads.shortage)
            return False
        self._threads.put(lambda _: self._attempts.contexts.fresh().run(work))
        return True

    def wait_for(self, awaitable: Awaitable[Any]) -> None:
        """Await an awaitable on the event loop, from one of the threads, and raise what it raises."""
        self._loops.current().wait_for(awaitable)

    def enforce(self, job: Job) -> None:
        """End an attempt whose limit is over, as far as that is possible; only the watch calls this.

        A thread is left behind and replaced; a coroutine is canceled, and left behind if it still runs after
        ``cancel_timeout``; a child process is killed.
        """
        job.limit = math.inf
        held, place = self._places.close_unless_moved(job)
        if held and place is None:
            why = self._threads.shortage or "all threads are busy"
            self._on_end(Postponed(job, why, _PAUSE_SECONDS, starts_nothing=True))
        elif isinstance(place, Slot):
            self._threads.replace(place)
            self._abandon(job, place, "a thread cannot be interrupted, so it continues, and its result is ignored")
        elif isinstance(place, CoroutineAttempt):
            if self._coroutines.enforce(job, place):
                self._abandon(job, place, "it was canceled, but continues, and its result is ignored")
        elif place is not None:
            if (context := job.context) and context.seconds_left <= 0:
                job.request_stop(StopReason.TIMEOUT)
            place.kill()

    def end_in_children(self, jobs: Iterable[Job], seconds: float) -> None:
        """Make sure that no child still runs one of these jobs, as `InChildren.end`."""
        self._in_children.end(jobs, seconds)

    def where(self, job: Job) -> tuple[str, list[FrameType]]:
        """Return where a job runs or what it waits for, and the stack of a coroutine."""
        place = self._places.get(job)
        if isinstance(place, CoroutineAttempt):
            return "event loop", place.stack()
        if isinstance(place, Child):
            return f"process {place.pid}", []
        if place is None:
            return "waits for a thread", []
        if job.task is not None and job.context is None and self._in_children.asked_for(job.task):
            return "waits for a child process", []
        return "thread", []

    def stop(self, seconds: float = 0.0) -> bool:
        """Let the threads end when they are free, kill the children, and cancel the coroutines; safe to call twice.

        Args:
            seconds: How long to wait for hooks, and for tasks that were released but do not end.

        Returns:
            Whether all threads have ended.
        """
        until = clock.monotonic() + seconds
        self._threads.stop()
        ended = self._threads.wait(seconds)
        if self._in_children.stop():
            ended = ended or self._threads.wait(1.0)
        # The loops last: a hook in a thread may wait for one.
        return self._loops.stop(until - clock.monotonic()) and ended

    def _run_short(self, job: Job, slot: Slot) -> None:
        self._run(job, slot, self._on_short_end)

    def _on_long(self, job: Job) -> None:
        """Note that a task has held up others."""
        if job.task is not None and job.task.func is not None:
            self._short_functions.mark_long(job.task.func)

    def _recover(self) -> None:
        """Queue all attempts again that wait for a thread, since one may be lost; the first claim of each counts."""
        for job in self._places.waiting():
            self._submit(job)

    def _run(self, job: Job, slot: Slot, on_end: Callable[[Ending], None] | None = None) -> None:
        if not self._places.claim(job, slot):
            return
        started = clock.monotonic()
        try:
            context = self._attempts.contexts.fresh()
            outcome = context.run(self._run_attempt, job, slot, started)
            if isinstance(outcome, Later):
                self._coroutines.move(job, slot, outcome.awaitable, started, context)
                return
            # This drops what the task has set in it, which may run user code: before the ending is reported.
            del context
            if not self._attempts.end(outcome, on_end):
                slot.given_up = True
        except BaseException as error:  # noqa: BLE001 - such as a MemoryError where the error of a task is written down
            self._attempts.end(
                Postponed(job, f"the ending of the attempt was lost: {type(error).__name__}", _PAUSE_SECONDS)
            )

    def _run_attempt(self, job: Job, slot: Slot, started: float) -> Ending | Later:
        pid = os.getpid()
        ending: Ending | Later
        try:
            ending = self._handle(job, slot, started)
        except Unstarted as unstarted:
            ending = Postponed(job, unstarted.why, unstarted.pause_seconds)
        except BaseException as error:  # noqa: BLE001 - whatever a task raises is the ending of its attempt
            end_if_copy(pid, error)
            ending = self._attempts.raised(job, error, started)
        # User code has returned here: that of the task, of its result, or of its error.
        end_if_copy(pid)
        return ending

    def _handle(self, job: Job, slot: Slot, started: float) -> Ending | Later:
        if not job.lease.held():
            raise LeaseLost(job.granted.task_id)
        task = job.task = job.task or task_of(job.granted)
        ending = self._in_children.run(job, task, slot)
        if ending is not None:
            return ending
        context = self._attempts.begin(job, task, started)
        # A child does this itself.
        task = job.task = self._inputs.filled(task)
        set_current_context(context)
        handle = partial(self._handle_measured, job) if job.measured else self._handler.handle
        value = handle(task, context)
        if type(value) not in _VALUES and inspect.isawaitable(value):
            return Later(value)
        return self._attempts.returned(job, value, started)

    def _handle_measured(self, job: Job, task: Task[Any], context: TaskContext) -> Any:
        """Run a task, and note for how long its thread has not computed in the meantime."""
        began, computed = clock.monotonic(), clock.thread_seconds()
        value = self._handler.handle(task, context)
        computed = clock.thread_seconds() - computed
        job.waited_us = max(0.0, clock.monotonic() - began - computed) * 1_000_000
        return value

    def _abandon(self, job: Job, place: Slot | CoroutineAttempt, end: str) -> None:
        """Report the timeout of an attempt that cannot be ended."""
        job.request_stop(StopReason.TIMEOUT)
        self._abandoned = [other for other in self._abandoned if not other.ended]
        self._abandoned.append(place)
        log.warning(
            "a task above its timeout continues",
            task_id=job.granted.task_id,
            attempt=job.granted.attempt,
            abandoned=len(self._abandoned),
        )
        self._on_end(Failure(job, late_error(job, end), job.ran_us))
        self._check_abandoned()

    def _check_abandoned(self) -> None:
        if (abandoned := self.abandoned) > self._max_abandoned:
            self._on_exhausted(abandoned)
