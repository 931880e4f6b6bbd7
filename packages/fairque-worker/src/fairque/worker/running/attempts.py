"""What all attempts have in common, wherever they run: their contexts, and that each ends once."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from fairque.protocol.model.context import TaskContext
from fairque.protocol.model.progress import Progress
from fairque.protocol.model.task import Task
from fairque.protocol.model.tracebacks import error_text
from fairque.worker.attempt import returned, us_since
from fairque.worker.handling.handler import TaskHandler
from fairque.worker.handling.inputs import Inputs
from fairque.worker.jobs import Ending, Failure, Job, Postponed, drop_user_objects
from fairque.worker.running.alarm import Alarm
from fairque.worker.running.contexts import Contexts
from fairque.worker.running.places import Places

__all__ = ["Attempts"]

#: Seconds after which a task that could not be started may be retried.
_PAUSE_SECONDS = 1.0


class Attempts:
    """Begins and ends attempts; threads may share it.

    Args:
        handler: Runs the tasks.
        inputs: Reads the outputs of other tasks.
        alarm: Rung when a timeout comes before the next check of the watch.
        places: Where attempts run.
        result_limit: Bytes of the largest result.
        kept: The kinds of endings that have hooks; for all others, objects of the task are dropped where it ran.
        on_progress: Gets the progress of running tasks.
        on_end: Gets the endings, each once.

    Attributes:
        contexts: Creates the context variables of attempts.
    """

    def __init__(
        self,
        handler: TaskHandler,
        *,
        inputs: Inputs,
        alarm: Alarm,
        places: Places,
        result_limit: int,
        kept: tuple[type[Ending], ...],
        on_progress: Callable[[Job, Progress], None],
        on_end: Callable[[Ending], None],
    ) -> None:
        self.contexts = Contexts()
        self.handler = handler
        self._inputs = inputs
        self._alarm = alarm
        self._places = places
        self._result_limit = result_limit
        self._kept = kept
        self._on_progress = on_progress
        self._on_end = on_end

    def begin(self, job: Job, task: Task[Any], started: float) -> TaskContext:
        """Create the context of an attempt, whose timeout begins."""
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

    def returned(self, job: Job, value: Any, started: float) -> Ending:
        """Return the ending of an attempt that returned a value; call it where the attempt ran."""
        return self._without_user_objects(returned(job, value, self._result_limit, started))

    def raised(self, job: Job, error: BaseException, started: float) -> Ending:
        """Return the ending of an attempt that raised; call it where the attempt ran."""
        return self._without_user_objects(Failure(job, error, us_since(started)))

    def end(self, ending: Ending, on_end: Callable[[Ending], None] | None = None) -> bool:
        """Report an ending, unless the attempt was given up before; return whether it was reported."""
        if not self._places.take_out(ending.job):
            return False
        (on_end or self._on_end)(ending)
        return True

    def postpone(self, jobs: Iterable[Job], error: BaseException) -> None:
        """Give back what cannot be started, whatever the reason: nobody else would ever run it, or give it back.

        Raises:
            BaseException: The error, if it is not an Exception.
        """
        why = f"it cannot be started: {error_text(error) or type(error).__name__}"
        for job in jobs:
            if job.context is None and self._places.take_back(job):
                self._on_end(Postponed(job, why, _PAUSE_SECONDS))
        if not isinstance(error, Exception):
            raise error

    def _without_user_objects(self, ending: Ending) -> Ending:
        if not isinstance(ending, self._kept):
            drop_user_objects(ending)
        return ending
