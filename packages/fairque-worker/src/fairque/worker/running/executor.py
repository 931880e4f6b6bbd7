"""Runs tasks in threads, on an event loop, and in child processes, and ends those that exceed their timeout."""

import inspect
import math
import os
import threading
from collections.abc import Awaitable, Callable, Iterable
from contextvars import Context
from functools import partial
from types import FrameType
from typing import Any, TypeAlias

from fairque.protocol import clock
from fairque.protocol.errors import LeaseLost
from fairque.protocol.model.context import TaskContext, context_here, set_current_context
from fairque.protocol.model.progress import Progress
from fairque.protocol.model.stopping import StopReason
from fairque.protocol.model.task import Isolation, Task
from fairque.protocol.service.threads import note_thread_defaults
from fairque.worker.attempt import Later, drop, late_error, returned, us_since
from fairque.worker.forks import end_if_copy
from fairque.worker.handling.handler import TaskHandler
from fairque.worker.handling.inputs import Inputs, task_of
from fairque.worker.jobs import Ending, Failure, GivenBack, Job, Unstarted, let_go
from fairque.worker.log import log
from fairque.worker.processes.children import Child, Children
from fairque.worker.running.alarm import Alarm
from fairque.worker.running.contexts import Contexts
from fairque.worker.running.loop import Attempt
from fairque.worker.running.loop_host import Loops
from fairque.worker.running.threads import Slot, Threads

__all__ = ["Executor"]

#: Where an attempt runs; only the code that removes it from the table reports its ending. None: it waits for a thread.
_Place: TypeAlias = Slot | Attempt | Child | None

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
    ) -> None:
        self._handler = handler
        self._result_limit = result_limit
        self._on_end = on_end
        self._inputs = inputs
        self._on_progress = on_progress
        self._alarm = alarm or Alarm()
        self._children = children
        self._isolation = isolation
        self._kept = kept
        self._cancel_timeout = cancel_timeout
        self._max_abandoned = max_abandoned
        self._on_exhausted = on_exhausted
        # Tasks that this worker already holds get a thread even beyond the limit.
        self._threads = Threads(threads, max_abandoned + threads)
        self._contexts = Contexts()
        self._places: dict[Job, _Place] = {}
        # Attempts that were given up; only the watch uses it.
        self._abandoned: list[Slot | Attempt] = []
        self._loops = Loops(on_death, shared=shared)
        self._lock = threading.Lock()
        note_thread_defaults()

    @property
    def abandoned(self) -> int:
        """How many attempts that could not be ended still run."""
        return sum(not place.ended for place in self._abandoned) + self._loops.left(self._cancel_timeout)

    def submit(self, job: Job) -> None:
        """Run a job as soon as a thread is free; if there can be none, it ends as `GivenBack`."""
        self._places[job] = None
        if not self._threads.grow():
            self._end(GivenBack(job, self._threads.shortage, _PAUSE_SECONDS, crippled=True))
            return
        if self._threads.shortage:
            # Fewer threads than slots: earlier jobs may take forever, and other workers may have free threads.
            job.limit = clock.monotonic() + _PATIENCE_SECONDS
            self._alarm.ring()
        self._threads.put(partial(self._run, job))

    def run_here(self, job: Job) -> None:
        """Run a job in this thread; if it is a coroutine, it continues after the return."""
        self._places[job] = None
        self._run(job, Slot())

    def call(self, work: Callable[[], None]) -> bool:
        """Run any function in one of the threads, in its own context; it must not raise.

        Returns:
            Whether it will run; False if no thread can be started.
        """
        if not self._threads.grow():
            log.error("a hook is not called", why=self._threads.shortage)
            return False
        self._threads.put(lambda _: self._contexts.fresh().run(work))
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
        with self._lock:
            held = job in self._places
            place = self._places.get(job)
            if isinstance(place, Slot | None):
                # Removed under the same lock: an attempt that has moved to a loop or a child is not left behind.
                self._places.pop(job, None)
        if held and place is None:
            why = self._threads.shortage or "all threads are busy"
            self._on_end(GivenBack(job, why, _PAUSE_SECONDS, crippled=True))
        elif isinstance(place, Slot):
            self._threads.replace(place)
            self._leave(job, place, "a thread cannot be interrupted, so it continues, and its result is ignored")
        elif isinstance(place, Attempt):
            self._enforce_coroutine(job, place)
        elif place is not None:
            if (context := job.context) and context.seconds_left <= 0:
                job.request_stop(StopReason.TIMEOUT)
            place.kill()

    def end_in_children(self, jobs: Iterable[Job], seconds: float) -> None:
        """Make sure that no child still runs one of these jobs, all of which were asked to stop.

        Args:
            jobs: The jobs; their leases are lost, so none of them starts in a child after this.
            seconds: How long they may clean up before their children are killed.
        """
        with self._lock:
            places = [self._places.get(job) for job in jobs]
        if self._children is not None:
            self._children.end([place for place in places if isinstance(place, Child)], seconds)

    def where(self, job: Job) -> tuple[str, list[FrameType]]:
        """Return where a job runs or what it waits for, and the stack of a coroutine."""
        place = self._places.get(job)
        if isinstance(place, Attempt):
            return "event loop", place.stack()
        if isinstance(place, Child):
            return f"process {place.pid}", []
        if job.task is not None and job.context is None and (job.task.isolation or self._isolation) == "process":
            return "waits for a child process", []
        return "waits for a thread" if place is None else "thread", []

    def stop(self, seconds: float = 0.0) -> bool:
        """Let the threads end when they are free, kill the children, and cancel the coroutines; safe to call twice.

        Args:
            seconds: How long to wait for hooks, and for tasks that were given back but do not end.

        Returns:
            Whether all threads have ended.
        """
        until = clock.monotonic() + seconds
        self._threads.stop()
        ended = self._threads.wait(seconds)
        if self._children is not None:
            self._children.stop()
            ended = ended or self._threads.wait(1.0)
        # The loops last: a hook in a thread may wait for one.
        return self._loops.stop(until - clock.monotonic()) and ended

    def _run(self, job: Job, slot: Slot) -> None:
        with self._lock:
            if job not in self._places:
                return
            self._places[job] = slot
        started = clock.monotonic()
        try:
            context = self._contexts.fresh()
            outcome = context.run(self._attempted, job, slot, started)
            if isinstance(outcome, Later):
                self._await(job, slot, outcome.awaitable, started, context)
                return
            # This drops what the task has set in it, which may run user code: before the ending is reported.
            del context
            if not self._end(outcome):
                slot.given_up = True
        except BaseException as error:  # noqa: BLE001 - such as a MemoryError where the error of a task is written down
            self._end(GivenBack(job, f"the ending of the attempt was lost: {type(error).__name__}", _PAUSE_SECONDS))

    def _attempted(self, job: Job, slot: Slot, started: float) -> Ending | Later:
        pid = os.getpid()
        ending: Ending | Later
        try:
            ending = self._tried(job, slot, started)
        except Unstarted as unstarted:
            ending = GivenBack(job, unstarted.why, unstarted.pause_seconds)
        except BaseException as error:  # noqa: BLE001 - whatever a task raises is the ending of its attempt
            end_if_copy(pid, error)
            ending = self._released(Failure(job, error, us_since(started)))
        # User code has returned here: that of the task, of its result, or of its error.
        end_if_copy(pid)
        return ending

    def _tried(self, job: Job, slot: Slot, started: float) -> Ending | Later:
        if not job.lease.held():
            raise LeaseLost(job.granted.task_id)
        task = job.task = task_of(job.granted)
        if self._children is not None and self._runs_in_child(job, task, self._children):
            return self._in_child(job, task, slot, self._children)
        context = self._begin(job, task, started)
        # A child does this itself.
        task = job.task = self._inputs.filled(task)
        set_current_context(context)
        value = self._handler.handle(task, context)
        if inspect.isawaitable(value):
            return Later(value)
        return self._released(returned(job, value, self._result_limit, started))

    def _begin(self, job: Job, task: Task[Any], started: float) -> TaskContext:
        deadline = started + task.timeout_ms / 1000
        context = job.context = TaskContext(
            task,
            attempt=job.granted.attempt,
            fence=job.granted.fence,
            deadline=deadline,
            stop=job.stop,
            held=job.lease.held,
            read=self._inputs.pushed_values,
            pushed=job.pushed,
            on_progress=partial(self._on_progress, job),
        )
        job.limit = deadline
        if deadline < self._alarm.until:
            self._alarm.ring()
        return context

    def _end(self, ending: Ending) -> bool:
        """Report an ending, unless the attempt was given up before; return whether it was reported."""
        if not self._take_out(ending.job):
            return False
        self._on_end(ending)
        return True

    def _take_out(self, job: Job) -> bool:
        """Close an attempt; only the first caller gets True, and reports the ending."""
        return self._places.pop(job, job) is not job

    def _move(self, job: Job, slot: Slot, place: _Place) -> bool:
        """Move an attempt from its thread to another place, unless it was given up before."""
        with self._lock:
            moved = self._places.get(job) is slot
            if moved:
                self._places[job] = place
            else:
                slot.given_up = True
        return moved

    def _released(self, ending: Ending) -> Ending:
        if not isinstance(ending, self._kept):
            let_go(ending)
        return ending

    def _runs_in_child(self, job: Job, task: Task[Any], children: Children) -> bool:
        """Whether a task runs in a child: the task or the worker asks for it, or it may have killed its last worker."""
        if (task.isolation or self._isolation) == "process":
            return True
        if job.granted.solo and children.impossible:
            log.warning("runs beside other tasks after a lost lease", task_id=task.task_id, why=children.impossible)
            return False
        return job.granted.solo

    def _in_child(self, job: Job, task: Task[Any], slot: Slot, children: Children) -> Ending:
        # Before the timeout of the attempt begins: the first child has to import the modules.
        with children.lend() as child:
            if not job.lease.held():
                raise LeaseLost(task.task_id)
            context = self._begin(job, task, clock.monotonic())

            def on_stop() -> None:
                child.request_stop(job)
                job.limit = min(job.limit, clock.monotonic() + self._cancel_timeout)
                self._alarm.ring()

            # The lease last: giving the job back ends the children known by then, and this one may be added later.
            if not self._move(job, slot, child) or not job.lease.held():
                child.kill()
            return children.run(child, job, context, on_stop, self._inputs.read)

    def _await(self, job: Job, slot: Slot, awaitable: Awaitable[Any], started: float, context: Context) -> None:
        def on_end(value: Any, error: BaseException | None) -> None:
            ran_us = us_since(started)
            calls_continue = attempt.loop.helpers.leave(context_here())
            if attempt.overdue:
                late = late_error(job, "it was canceled")
                late.__cause__ = error
                error = late
            limit = self._result_limit
            ending = returned(job, value, limit, started) if error is None else Failure(job, error, ran_us)
            self._end(self._released(ending))
            if calls_continue:
                self._check_abandoned()

        try:
            attempt = Attempt(self._loops.current(), awaitable, on_end, context)
            if not self._move(job, slot, attempt):
                drop(awaitable)
                return
            attempt.begin(f"fairque-{job.granted.task_id}")
        except (RuntimeError, OSError, MemoryError) as error:
            drop(awaitable)
            self._end(GivenBack(job, f"no event loop can be started: {error}", _PAUSE_SECONDS))
            return
        job.stop.when_given(attempt.cancel)

    def _enforce_coroutine(self, job: Job, attempt: Attempt) -> None:
        if not attempt.overdue:
            attempt.overdue = True
            before = attempt.cancels
            job.request_stop(StopReason.TIMEOUT)
            if before:  # it was canceled before, and continued; else it is canceled now, or once its thread gets there
                attempt.cancel()
            job.limit = clock.monotonic() + self._cancel_timeout
            return
        if not self._take_out(job):
            return
        if not attempt.cancel_delivered:
            self._loops.replace(attempt.loop)
        self._leave(job, attempt, "it was canceled, but continues, and its result is ignored")

    def _leave(self, job: Job, place: Slot | Attempt, end: str) -> None:
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
