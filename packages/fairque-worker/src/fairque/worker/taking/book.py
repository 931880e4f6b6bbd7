"""The tasks that a worker holds, and how many slots are free."""

from fairque.protocol.calls.pop import Granted
from fairque.worker.jobs import Job

__all__ = ["Book"]


class Book:
    """The tasks of a worker. One thread changes it; all may read it.

    Its key is id and token: a task whose lease was lost may be granted to this worker again while its old attempt
    still runs.

    Args:
        slots: How many tasks are held at a time.
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._jobs: dict[tuple[str, str], Job] = {}
        self._snapshot: tuple[Job, ...] | None = ()

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, job: Job) -> bool:
        return self._jobs.get(_key(job.granted)) is job

    def holds(self, granted: Granted) -> bool:
        """Whether a granted task is held already, for example after an answer that came twice."""
        return _key(granted) in self._jobs

    def hold(self, job: Job) -> None:
        """Add a task."""
        self._jobs[_key(job.granted)] = job
        self._snapshot = None

    def forget(self, job: Job) -> None:
        """Remove a task, if this attempt of it is held."""
        if job in self:
            del self._jobs[_key(job.granted)]
            self._snapshot = None

    def clear(self) -> None:
        """Remove all tasks."""
        self._jobs.clear()
        self._snapshot = None

    def snapshot(self) -> tuple[Job, ...]:
        """Return the tasks that are held; from any thread."""
        jobs = self._snapshot
        if jobs is None:
            # Atomic; made again after the next change.
            jobs = self._snapshot = tuple(self._jobs.values())
        return jobs


def _key(granted: Granted) -> tuple[str, str]:
    return granted.task_id, granted.token
