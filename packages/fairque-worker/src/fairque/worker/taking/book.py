"""The tasks that a worker holds, and how many slots are free."""

from fairque.protocol.calls import Granted
from fairque.worker.jobs import Job

__all__ = ["Book"]


class Book:
    """What a worker holds. One thread changes it; all may read it.

    A task is known by its id and its token: one whose lease was lost may be given to this worker again while its old
    attempt still runs.

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
        """Whether a grant is known, as after an answer that came twice."""
        return _key(granted) in self._jobs

    def hold(self, job: Job) -> None:
        """Take a task in."""
        self._jobs[_key(job.granted)] = job
        self._snapshot = None

    def forget(self, job: Job) -> None:
        """Hold a task no longer, if this attempt of it was held."""
        if job in self:
            del self._jobs[_key(job.granted)]
            self._snapshot = None

    def clear(self) -> None:
        """Hold nothing any more."""
        self._jobs.clear()
        self._snapshot = None

    def snapshot(self) -> tuple[Job, ...]:
        """Return the tasks that are held, for any thread."""
        found = self._snapshot
        if found is None:
            # Atomic, and again after the next change.
            found = self._snapshot = tuple(self._jobs.values())
        return found


def _key(granted: Granted) -> tuple[str, str]:
    return granted.task_id, granted.token
