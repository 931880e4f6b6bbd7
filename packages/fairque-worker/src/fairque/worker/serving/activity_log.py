"""The current activity of a worker, for its log: the tasks in flight, and the stack of each thread."""

import sys
import threading
import traceback
from collections.abc import Sequence
from types import FrameType

from fairque.worker.jobs import Job
from fairque.worker.log import log
from fairque.worker.running.executor import Executor

__all__ = ["log_activity"]


def log_activity(worker: str, executor: Executor, jobs: Sequence[Job]) -> None:
    """Log a line for each task and one for each thread.

    Args:
        worker: Name of the worker.
        executor: Reports where a task runs.
        jobs: The tasks in flight.
    """
    log.info("what runs", worker=worker, running=len(jobs), threads=threading.active_count())
    for job in jobs:
        where, stack = executor.where(job)
        log.info(
            "a task in flight",
            task_id=job.granted.task_id,
            func=None if job.task is None else job.task.func,
            user_id=None if job.task is None else job.task.user_id,
            attempt=job.granted.attempt,
            seconds=round(job.ran_us / 1_000_000, 3),
            told_to_stop=job.stop.reason,
            where=where,
            frames=_lines(stack),
        )
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():  # noqa: SLF001 - the only way to the stacks of other threads
        log.info("a thread", thread_name=names.get(ident, str(ident)), frames=_lines(_outwards(frame)))


def _outwards(frame: FrameType | None) -> list[FrameType]:
    stack = []
    while frame is not None:
        stack.append(frame)
        frame = frame.f_back
    return stack[::-1]


def _lines(stack: list[FrameType]) -> list[str]:
    """Return file, line and function of each frame, the innermost last."""
    frames = traceback.StackSummary.extract(((frame, frame.f_lineno) for frame in stack), lookup_lines=False)
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
