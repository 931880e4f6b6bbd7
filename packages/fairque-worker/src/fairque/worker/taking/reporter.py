"""Reports endings to the queue. If the queue accepts one, its hook is called; if not, a line is logged."""

import inspect
import os
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

from attrs import define, field, frozen

from fairque.protocol.calls.endings import Ended, Failed, Finished
from fairque.protocol.calls.pop import Popped
from fairque.protocol.calls.progress import Reported
from fairque.protocol.errors import FairqueError, OutputMissing, TaskTimeout, UnknownFunction
from fairque.protocol.model.context import TaskContext, set_current_context
from fairque.protocol.model.outcome import Decision, describe_error
from fairque.protocol.model.retry import Cancel, Retry, Snooze
from fairque.protocol.model.states import TaskState
from fairque.protocol.model.task import Task
from fairque.protocol.model.tracebacks import ErrorText, error_kind, error_text, error_traceback
from fairque.protocol.runners.line import Line
from fairque.protocol.wire.status import Status
from fairque.worker.consumer import Consumer, Request
from fairque.worker.forks import end_if_copy
from fairque.worker.handling.handler import TaskHandler, hooked
from fairque.worker.jobs import Ending, Failure, Postponed, Success, drop_user_objects
from fairque.worker.log import log
from fairque.worker.metrics import Metrics
from fairque.worker.processes.process import ChildDied

__all__ = ["Report", "Reporter"]

_Hook: TypeAlias = Callable[[Task[Any], TaskContext], Awaitable[None] | None]


#: Errors that are logged without a traceback: decisions about the task, and errors from outside its code.
_PLAIN = (Retry, Snooze, Cancel, UnknownFunction, OutputMissing, TaskTimeout, ChildDied)


@frozen
class _JudgedFailure:
    failure: Failure
    decision: Decision


@define
class Report:
    """A request with endings.

    Attributes:
        endings: The endings, in the order in which they came.
        successes: Those that succeeded.
        judged: Those that failed.
        postponed: Those of tasks that could not be started.
        request: The calls.
        answers: The answers, once they have arrived.
        decoded: Whether they are decoded.
        accepted: Whether the queue is known to have accepted all calls.
    """

    endings: Sequence[Ending]
    successes: list[Success]
    judged: list[_JudgedFailure]
    postponed: list[Postponed]
    request: Request
    answers: list[Any] = field(factory=list, init=False)
    decoded: bool = field(default=False, init=False)
    accepted: bool = field(default=False, init=False)


class Reporter:
    """Reports endings in batches, and takes the next tasks in the same round trip.

    Args:
        consumer: The queue.
        handler: The handler whose hooks are called.
        metrics: Counts the endings.
        call: Runs a hook in one of the worker's threads.
        wait_for: Awaits there what an asynchronous hook returned.
    """

    def __init__(
        self,
        consumer: Consumer,
        handler: TaskHandler,
        metrics: Metrics,
        call: Callable[[Callable[[], None]], None],
        wait_for: Callable[[Awaitable[Any]], None],
    ) -> None:
        self._consumer = consumer
        self._handler = handler
        self._metrics = metrics
        self._call = call
        self._wait_for = wait_for
        self._hooked = hooked(handler)

    def exchange(self, endings: Sequence[Ending], count: int) -> Popped | None:
        """Report endings, and take up to ``count`` tasks (0: none) in the same round trip.

        Raises:
            FairqueError: The call failed, with unknown effect; it is safe to report the same endings again.
        """
        report = self._report(endings, count)
        self._ask(report)
        return self.settle(report)

    def send(self, line: Line, endings: Sequence[Ending], count: int) -> Report:
        """Do what `exchange` does, without waiting for the answers: they are for `receive`, and then for `settle`.

        Raises:
            FairqueError: As `exchange`.
        """
        report = self._report(endings, count)
        line.send(report.request.calls)
        return report

    def receive(self, line: Line, report: Report, seconds: float | None = None) -> None:
        """Wait for the answers to a report. If they are lost, it is sent again.

        Args:
            line: The connection on which it was sent.
            report: The report.
            seconds: How long to wait for the first answer; None for as long as a call may take.

        Raises:
            FairqueError: As `exchange`.
        """
        try:
            report.answers = line.receive(seconds)
        except FairqueError:
            self._ask(report)

    def accept(self, report: Report) -> int | None:
        """Check, before the answers are decoded, that the queue has accepted all calls, so that another may follow.

        Returns:
            How many tasks it has granted; None if that is unknown.
        """
        if report.accepted:
            return None
        granted = report.request.granted_in(report.answers)
        if granted is not None:
            self._accept(report)
        return granted

    def settle(self, report: Report) -> Popped | None:
        """Act on the answers to a report, and return the tasks that it took, if it asked for any.

        Raises:
            FairqueError: The queue has refused one of the calls, and changed nothing.
        """
        request, answers = report.request, report.answers
        if not report.decoded:
            answers = [call.decode(answer) for call, answer in zip(request.calls, answers, strict=True)]
        if not report.accepted:
            self._accept(report)
        finished, failed, popped = request.meaning(answers)
        self._note_successes(report.successes, finished)
        judged = report.judged
        for back, answer in zip(report.postponed, failed[len(judged) :], strict=True):
            self._note_postponed(back, answer)
        for verdict, answer in zip(judged, failed[: len(judged)], strict=True):
            failure = verdict.failure
            if not self._accepted(failure, answer):
                self._metrics.ended(failure.job, "lost", failure.ran_us)
                self.drop(failure)
            else:
                # The queue's answer, and not the decision: a task whose cancelation was requested ends anyway.
                final = answer.state in (TaskState.FAILED, TaskState.CANCELED)
                self._metrics.ended(failure.job, _outcome(verdict.decision, answer.state), failure.ran_us)
                self._log_failure(verdict, answer.state)
                if Failure in self._hooked:
                    self._call(partial(self._call_on_failure, failure, final=final))
        return popped

    def _report(self, endings: Sequence[Ending], count: int) -> Report:
        successes = [ending for ending in endings if isinstance(ending, Success)]
        judged = [_JudgedFailure(ending, self._decide(ending)) for ending in endings if isinstance(ending, Failure)]
        postponed = [ending for ending in endings if isinstance(ending, Postponed)]
        finished = []
        for success in successes:
            granted = success.job.granted
            finished.append(Finished(granted.task_id, granted.token, success.ran_us, success.result, success.xcom))
        request = self._consumer.request(
            finished,
            [*(self._failed(failure) for failure in judged), *(self._snoozed(back) for back in postponed)],
            count,
            [
                Reported(ending.job.granted.task_id, ending.job.granted.token, progress)
                for ending in endings
                if (progress := ending.job.progress) is not None
            ],
        )
        return Report(endings, successes, judged, postponed, request)

    def _ask(self, report: Report) -> None:
        report.answers, report.decoded, report.accepted = self._consumer.ask(report.request), True, True

    def _accept(self, report: Report) -> None:
        report.accepted = True
        self._consumer.answered(report.request)

    def _note_successes(self, successes: Sequence[Success], answers: Sequence[Ended]) -> None:
        if Success not in self._hooked and all(answer.code is Status.OK for answer in answers):
            self._metrics.finished(successes)
            return
        for success, answer in zip(successes, answers, strict=True):
            accepted = self._accepted(success, answer)
            self._metrics.ended(success.job, "finished" if accepted else "lost", success.ran_us)
            if not accepted:
                self.drop(success)
            elif Success in self._hooked:
                self._call(partial(self._call_on_success, success))

    def drop(self, ending: Ending) -> None:
        """Drop an ending that is not reported; if it still holds objects of user code, in one of the task threads."""
        if isinstance(ending, self._hooked):
            self._call(partial(drop_user_objects, ending))

    @staticmethod
    def _decide(failure: Failure) -> Decision:
        decision = failure.decision
        if failure.job.canceled and (failure.canceled or not decision.final):
            return Decision("cancel", 0, "canceled while it ran")
        return decision

    def _failed(self, judged: _JudgedFailure) -> Failed:
        failure, decision = judged.failure, judged.decision
        granted = failure.job.granted
        error = self._described(failure, failure.summary, decision.reason)
        return Failed(granted.task_id, granted.token, failure.ran_us, decision.verdict, decision.pause_ms, error)

    def _snoozed(self, back: Postponed) -> Failed:
        granted = back.job.granted
        # The text is for a task that was canceled in the meantime, and ends instead.
        error = self._described(back, ErrorText("Postponed", back.why, ""), "canceled before it began")
        # A worker that cannot start anything takes nothing during the pause, but others may run the task at once.
        pause_ms = 0 if back.starts_nothing else round(back.pause_seconds * 1000)
        return Failed(granted.task_id, granted.token, 0, "snooze", pause_ms, error)

    def _described(self, ending: Ending, error: ErrorText, reason: str) -> bytes:
        return describe_error(error, reason=reason, worker=self._consumer.worker, attempt=ending.job.granted.attempt)

    def _note_postponed(self, back: Postponed, answer: Ended) -> None:
        if not self._accepted(back, answer):
            self._metrics.ended(back.job, "lost", 0)
            return
        self._metrics.ended(back.job, "canceled" if answer.state is TaskState.CANCELED else "snoozed", 0)
        log.warning(
            "a task could not be started here: it is postponed, and none of its retries is used up",
            task_id=back.job.granted.task_id,
            why=back.why,
            pause_seconds=round(back.pause_seconds, 3),
        )

    def _accepted(self, ending: Ending, answer: Ended) -> bool:
        if answer.code is Status.OK:
            return True
        if answer.code is Status.ALREADY and (not isinstance(ending, Success) or answer.state is TaskState.FINISHED):
            return True
        log.warning(
            "the queue refused an ending: the lease was lost",
            task_id=ending.job.granted.task_id,
            attempt=ending.job.granted.attempt,
            state=str(answer.state),
        )
        return False

    @staticmethod
    def _log_failure(judged: _JudgedFailure, state: TaskState | None) -> None:
        job, error, decision = judged.failure.job, judged.failure.summary, judged.decision
        values: dict[str, Any] = {"task_id": job.granted.task_id}
        if job.task is not None:
            values |= {"func": job.task.func, "user_id": job.task.user_id}
        values |= {"attempt": job.granted.attempt, "error": f"{error.kind}: {error.text:.500}"}
        if _outcome(decision, state) == "snoozed":
            log.info("task snoozed", **values, pause_seconds=decision.pause_ms / 1000)
            return
        if not issubclass(judged.failure.kind, _PLAIN):
            values["exception"] = error.traceback
        if state is TaskState.CANCELED:
            log.warning("task canceled", **values)
        elif state is TaskState.FAILED:
            log.error("task failed", **values)
        else:
            log.warning("attempt failed", **values, pause_seconds=decision.pause_ms / 1000)

    def _call_on_success(self, success: Success) -> None:
        self._call_hook(success, "on_success", lambda task, ctx: self._handler.on_success(task, success.value, ctx))

    def _call_on_failure(self, failure: Failure, *, final: bool) -> None:
        self._call_hook(
            failure,
            "on_failure",
            lambda task, ctx: self._handler.on_failure(task, failure.error, ctx, final=final),
        )

    def _call_hook(self, ending: Ending, name: str, hook: _Hook) -> None:
        job = ending.job
        task, context = job.task, job.context
        # A task that ran has both; an unreadable message has neither, and no hook.
        if task is None or context is None:
            return
        set_current_context(context)
        pid = os.getpid()
        try:
            returned = hook(task, context)
            end_if_copy(pid)
            if inspect.isawaitable(returned):
                self._wait_for(returned)
        except BaseException as error:  # noqa: BLE001 - whatever a hook raises, the thread continues
            end_if_copy(pid, error)
            log.error(
                f"{name} raised",
                task_id=job.granted.task_id,
                error=f"{error_kind(error)}: {error_text(error):.500}",
                exception=error_traceback(error),
            )
        # Here and not in the courier, which also refers to it: user code such as `__del__` must not run there.
        drop_user_objects(ending)


def _outcome(decision: Decision, state: TaskState | None) -> str:
    if state is TaskState.FAILED:
        return "failed"
    if state is TaskState.CANCELED:
        return "canceled"
    return "snoozed" if decision.verdict == "snooze" else "retried"
