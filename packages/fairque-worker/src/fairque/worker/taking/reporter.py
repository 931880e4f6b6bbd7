"""How endings are told to the queue, and what follows from its answer: hooks when it accepted, a log line when not."""

import inspect
import os
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

from attrs import frozen

from fairque.protocol.calls import Ended, Failed, Finished, Popped, Reported
from fairque.protocol.errors import OutputMissing, TaskTimeout, UnknownFunction
from fairque.protocol.model.context import TaskContext, running_in
from fairque.protocol.model.outcome import Decision, describe_error
from fairque.protocol.model.retry import Cancel, Retry, Snooze
from fairque.protocol.model.states import TaskState
from fairque.protocol.model.task import Task
from fairque.protocol.model.tracebacks import ErrorText, error_kind, error_text, error_traceback
from fairque.protocol.wire.status import Status
from fairque.worker.consumer import Consumer
from fairque.worker.forks import end_if_copy
from fairque.worker.handling.handler import TaskHandler, heard
from fairque.worker.jobs import Ending, Failure, GivenBack, Success, let_go
from fairque.worker.log import log
from fairque.worker.metrics import Metrics
from fairque.worker.processes.process import ChildDied

__all__ = ["Reporter"]

_Hook: TypeAlias = Callable[[Task[Any], TaskContext], Awaitable[None] | None]


#: What says enough by itself: what becomes of a task, and what did not come from its code.
_PLAIN = (Retry, Snooze, Cancel, UnknownFunction, OutputMissing, TaskTimeout, ChildDied)


@frozen
class _Judged:
    failure: Failure
    decision: Decision


class Reporter:
    """Reports endings in batches, and takes the next tasks in the same round trip.

    Args:
        consumer: The queue.
        handler: Whose hooks are called.
        metrics: Counts the endings.
        call: Runs a hook in one of the worker's threads.
        wait_for: Awaits there what an asynchronous hook has returned.
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
        self._heard = heard(handler)

    def exchange(self, endings: Sequence[Ending], count: int) -> Popped | None:
        """Report endings, and take up to ``count`` tasks (0: none) in the same round trip.

        Raises:
            FairqueError: Nothing is known to have happened; the same endings may be reported again.
        """
        successes = [ending for ending in endings if isinstance(ending, Success)]
        judged = [_Judged(ending, self._judge(ending)) for ending in endings if isinstance(ending, Failure)]
        given_back = [ending for ending in endings if isinstance(ending, GivenBack)]
        finished, failed, popped = self._consumer.exchange(
            [Finished(s.job.granted.task_id, s.job.granted.token, s.ran_us, s.result, s.xcom) for s in successes],
            [*(self._failed(one) for one in judged), *(self._postponed(one) for one in given_back)],
            count,
            [
                Reported(ending.job.granted.task_id, ending.job.granted.token, word)
                for ending in endings
                if (word := ending.job.progress) is not None
            ],
        )
        for success, answer in zip(successes, finished, strict=True):
            accepted = self._accepted(success, answer)
            self._metrics.ended(success.job, "finished" if accepted else "lost", success.ran_us)
            if not accepted:
                self.drop(success)
            elif Success in self._heard:
                self._call(partial(self._tell_success, success))
        for back, answer in zip(given_back, failed[len(judged) :], strict=True):
            self._note_given_back(back, answer)
        for one, answer in zip(judged, failed[: len(judged)], strict=True):
            if not self._accepted(one.failure, answer):
                self._metrics.ended(one.failure.job, "lost", one.failure.ran_us)
                self.drop(one.failure)
            else:
                # The queue knows better than the decision: a task whose cancelation was asked for ends all the same.
                final = answer.state in (TaskState.FAILED, TaskState.CANCELED)
                self._metrics.ended(one.failure.job, _outcome(one.decision, answer.state), one.failure.ran_us)
                self._log_failure(one, answer.state)
                if Failure in self._heard:
                    self._call(partial(self._tell_failure, one, final=final))
        return popped

    def drop(self, ending: Ending) -> None:
        """Forget an ending that no hook hears of, where it has kept what is the user's, in a thread for such things."""
        if isinstance(ending, self._heard):
            self._call(partial(let_go, ending))

    @staticmethod
    def _judge(failure: Failure) -> Decision:
        decision = failure.decision
        if failure.job.canceled and (failure.canceled or not decision.final):
            return Decision("cancel", 0, "canceled while it ran")
        return decision

    def _failed(self, one: _Judged) -> Failed:
        granted, decision = one.failure.job.granted, one.decision
        error = self._described(one.failure, one.failure.told, decision.reason)
        return Failed(granted.task_id, granted.token, one.failure.ran_us, decision.verdict, decision.pause_ms, error)

    def _postponed(self, back: GivenBack) -> Failed:
        granted = back.job.granted
        # The text is for one that somebody has canceled meanwhile: it ends instead.
        error = self._described(back, ErrorText("GivenBack", back.why, ""), "canceled before it began")
        # A worker that can begin nothing takes nothing for so long, but others may have what it lacks.
        pause_ms = 0 if back.crippled else round(back.pause_seconds * 1000)
        return Failed(granted.task_id, granted.token, 0, "snooze", pause_ms, error)

    def _described(self, ending: Ending, told: ErrorText, reason: str) -> bytes:
        return describe_error(told, reason=reason, worker=self._consumer.worker, attempt=ending.job.granted.attempt)

    def _note_given_back(self, back: GivenBack, answer: Ended) -> None:
        if not self._accepted(back, answer):
            self._metrics.ended(back.job, "lost", 0)
            return
        self._metrics.ended(back.job, "canceled" if answer.state is TaskState.CANCELED else "snoozed", 0)
        log.warning(
            "a task could not be started here: it is given back, and none of its retries is used up",
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
            "ending refused: the lease was lost",
            task_id=ending.job.granted.task_id,
            attempt=ending.job.granted.attempt,
            state=str(answer.state),
        )
        return False

    @staticmethod
    def _log_failure(one: _Judged, state: TaskState | None) -> None:
        job, told, decision = one.failure.job, one.failure.told, one.decision
        words: dict[str, Any] = {"task_id": job.granted.task_id}
        if job.task is not None:
            words |= {"func": job.task.func, "user_id": job.task.user_id}
        words |= {"attempt": job.granted.attempt, "error": f"{told.kind}: {told.text:.500}"}
        if _outcome(decision, state) == "snoozed":
            log.info("task snoozed", **words, pause_seconds=decision.pause_ms / 1000)
            return
        if not issubclass(one.failure.kind, _PLAIN):
            words["exception"] = told.traceback
        if state is TaskState.CANCELED:
            log.warning("task canceled", **words)
        elif state is TaskState.FAILED:
            log.error("task failed", **words)
        else:
            log.warning("attempt failed", **words, pause_seconds=decision.pause_ms / 1000)

    def _tell_success(self, success: Success) -> None:
        self._tell(success, "on_success", lambda task, ctx: self._handler.on_success(task, success.value, ctx))

    def _tell_failure(self, one: _Judged, *, final: bool) -> None:
        failure = one.failure
        self._tell(
            failure,
            "on_failure",
            lambda task, ctx: self._handler.on_failure(task, failure.error, ctx, final=final),
        )

    def _tell(self, ending: Ending, name: str, hook: _Hook) -> None:
        job = ending.job
        task, context = job.task, job.context
        # What ran has both; an unreadable message has none, and no hook.
        if task is None or context is None:
            return
        running_in(context)
        pid = os.getpid()
        try:
            later = hook(task, context)
            end_if_copy(pid)
            if inspect.isawaitable(later):
                self._wait_for(later)
        except BaseException as error:  # noqa: BLE001 - whatever a hook of the user's raises, the thread continues
            end_if_copy(pid, error)
            log.error(
                f"{name} raised",
                task_id=job.granted.task_id,
                error=f"{error_kind(error)}: {error_text(error):.500}",
                exception=error_traceback(error),
            )
        # Before this thread forgets it: the courier, which knows it as well, must not be the last one.
        let_go(ending)


def _outcome(decision: Decision, state: TaskState | None) -> str:
    if state is TaskState.FAILED:
        return "failed"
    if state is TaskState.CANCELED:
        return "canceled"
    return "snoozed" if decision.verdict == "snooze" else "retried"
