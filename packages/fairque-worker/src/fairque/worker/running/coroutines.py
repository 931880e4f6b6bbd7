"""Runs attempts as coroutines on an event loop."""

from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from functools import partial
from typing import Any

from fairque.protocol import clock
from fairque.protocol.errors import LeaseLost
from fairque.protocol.model.context import TaskContext, context_here, set_current_context
from fairque.protocol.model.stopping import StopReason
from fairque.protocol.model.task import Task
from fairque.worker.attempt import drop, late_error
from fairque.worker.jobs import Job, Postponed
from fairque.worker.running.attempts import Attempts
from fairque.worker.running.loop import CoroutineAttempt
from fairque.worker.running.loops import Loops
from fairque.worker.running.places import Places
from fairque.worker.running.threads import Slot

__all__ = ["Coroutines"]

#: Seconds until a task may be retried for which no event loop could be started.
_PAUSE_SECONDS = 1.0


class Coroutines:
    """The attempts on event loops.

    Args:
        attempts: Begins and ends attempts.
        places: Where attempts run.
        loops: The event loops.
        group: How many attempts begin together at most.
        cancel_timeout: Seconds that a coroutine may clean up after its timeout.
        on_calls_continue: Called when an attempt has ended and left calls in threads behind.
    """

    def __init__(
        self,
        attempts: Attempts,
        places: Places,
        loops: Loops,
        *,
        group: int,
        cancel_timeout: float,
        on_calls_continue: Callable[[], None],
    ) -> None:
        self._attempts = attempts
        self._places = places
        self._loops = loops
        self._group = group
        self._cancel_timeout = cancel_timeout
        self._on_calls_continue = on_calls_continue

    def begin_all(self, jobs: Sequence[Job]) -> None:
        """Begin attempts straight on the loop: their tasks are decoded, and only create coroutines."""
        for first in range(0, len(jobs), self._group):
            self._begin_group(jobs[first : first + self._group])

    def move(self, job: Job, slot: Slot, awaitable: Awaitable[Any], started: float, context: Context) -> None:
        """Await on the loop what a task has returned in a thread, which then has no part in it."""
        try:
            attempt = self._attempt(job, lambda: awaitable, context)
            attempt.started = started
            if not self._places.move(job, slot, attempt):
                drop(awaitable)
                return
            attempt.loop.call(attempt.begin)
        except (RuntimeError, OSError, MemoryError) as error:
            drop(awaitable)
            self._postpone(job, error)
            return
        job.stop.when_given(attempt.cancel)

    def enforce(self, job: Job, attempt: CoroutineAttempt) -> bool:
        """End an attempt whose limit is over; return whether it has to be left behind.

        The first time it is canceled, and may clean up for a while.
        """
        if not attempt.overdue:
            attempt.overdue = True
            before = attempt.cancels
            job.request_stop(StopReason.TIMEOUT)
            if before:  # it was canceled before, and continued; else it is canceled now, or once its thread gets there
                attempt.cancel()
            job.limit = clock.monotonic() + self._cancel_timeout
            return False
        if not self._places.take_out(job):
            return False
        if not attempt.cancel_delivered:
            self._loops.replace(attempt.loop)
        return True

    def _begin_group(self, jobs: Sequence[Job]) -> None:
        begun: list[CoroutineAttempt] = []
        for job in jobs:
            try:
                attempt = self._prepare(job)
            except (RuntimeError, OSError, MemoryError) as error:
                self._places.add(job)
                self._postpone(job, error)
                continue
            self._places.add(job, attempt)
            begun.append(attempt)
        if not begun:
            return

        def begin() -> None:
            for attempt in begun:
                try:
                    attempt.begin()
                except Exception as error:  # noqa: BLE001 - the others begin anyway
                    self._postpone(attempt.job, error)

        try:
            begun[0].loop.call(begin)
        except RuntimeError as error:
            for attempt in begun:
                self._postpone(attempt.job, error)
            return
        for attempt in begun:
            attempt.job.stop.when_given(attempt.cancel)

    def _prepare(self, job: Job) -> CoroutineAttempt:
        task = job.task
        if task is None:
            raise RuntimeError("the task of the job is not decoded")
        context = self._attempts.begin(job, task, clock.monotonic())
        variables = self._attempts.contexts.fresh()
        variables.run(set_current_context, context)
        return self._attempt(job, partial(self._handle, job, task, context), variables)

    def _handle(self, job: Job, task: Task[Any], context: TaskContext) -> Any:
        if not job.lease.held():
            raise LeaseLost(job.granted.task_id)
        return self._attempts.handler.handle(task, context)

    def _attempt(self, job: Job, create: Callable[[], Any], context: Context) -> CoroutineAttempt:
        return CoroutineAttempt(self._loops.current(), job, create, self._on_end, context)

    def _on_end(self, attempt: CoroutineAttempt, value: Any, error: BaseException | None) -> None:
        job, started = attempt.job, attempt.started
        calls_continue = attempt.loop.to_thread_pool.note_end(context_here())
        if attempt.overdue:
            late = late_error(job, "it was canceled")
            late.__cause__ = error
            error = late
        attempts = self._attempts
        attempts.end(attempts.returned(job, value, started) if error is None else attempts.raised(job, error, started))
        if calls_continue:
            self._on_calls_continue()

    def _postpone(self, job: Job, error: BaseException) -> None:
        self._attempts.end(Postponed(job, f"no event loop can be started: {error}", _PAUSE_SECONDS))
