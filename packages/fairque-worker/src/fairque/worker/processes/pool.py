"""The children of a worker: taken for a task, used again for the next one, and replaced when they have died."""

import threading
from collections.abc import Callable, Iterable
from typing import Any

from fairque.protocol import clock
from fairque.protocol.errors import FairqueError, LeaseLost, RedisUnavailable, RemoteError, TaskTimeout
from fairque.protocol.model.context import TaskContext
from fairque.protocol.model.outcome import Decision
from fairque.protocol.service.log import configured_log
from fairque.protocol.wire.jsonvalue import loads
from fairque.worker.jobs import Ending, Failure, Job, Success
from fairque.worker.processes.process import Child, ChildDied, Recipe

__all__ = ["Child", "Children"]

#: How long children that have nothing to do may take to end.
_LEAVE_SECONDS = 2.0


class Children:
    """As many children as tasks run in them at a time; they begin when the first such task comes.

    Args:
        recipe: What they are to be; None when there can be none.
        impossible: Why there can be none.
        grace_seconds: How long a task that was told to stop may go on; for the text that says so.
    """

    def __init__(self, recipe: Recipe | None, impossible: str, grace_seconds: float) -> None:
        self.impossible = impossible
        self._recipe = recipe
        self._grace_seconds = grace_seconds
        self._idle: list[Child] = []
        self._all: set[Child] = set()
        self._stopped = False
        self._lock = threading.Lock()

    def take(self) -> Child:
        """Return a child that waits for a task.

        Raises:
            FairqueError: There can be none; the error says why.
        """
        if self._recipe is None:
            raise FairqueError(f"this worker has no child processes: {self.impossible}")
        while True:
            with self._lock:
                if self._stopped:
                    raise FairqueError("the worker has stopped: no child process begins any more")
                child = self._idle.pop() if self._idle else None
                if child is None:
                    child = Child(self._recipe, configured_log())
                    self._all.add(child)
                    break
                child.free.clear()
            if child.answers():
                return child
            self._dismiss(child)
        try:
            child.prepare()
        except FairqueError:
            self._dismiss(child)
            raise
        return child

    def put_back(self, child: Child) -> None:
        """Keep a child for the next task."""
        child.free.set()
        with self._lock:
            if not self._stopped:
                self._idle.append(child)
                return
        child.leave()

    def run(self, child: Child, job: Job, context: TaskContext, told: Callable[[], None]) -> Ending:
        """Have a child run a task, and wait for the ending; then the child is kept or, if it died, forgotten.

        Args:
            child: As `take` gave it.
            job: The task.
            context: The worker's view of the attempt.
            told: Called when the task should stop.
        """
        started = clock.monotonic()
        granted = job.granted
        try:
            child.channel.send(
                {
                    "kind": "run",
                    "message": granted.message.decode(),
                    "task_id": granted.task_id,
                    "token": granted.token,
                    "attempt": granted.attempt,
                    "failures": granted.failures,
                    "heritage": granted.heritage,
                }
            )
            # Only now, so that the task is there when it is told.
            context.when_cancelled(told)
            answer = child.channel.receive()
            while answer is not None and answer["kind"] not in ("done", "failed"):
                if answer["token"] == granted.token:
                    _serve(child, context, answer)
                else:
                    child.decline(answer)
                answer = child.channel.receive()
        except OSError:
            answer = None
        ran_us = int((clock.monotonic() - started) * 1_000_000)
        if answer is None:
            # Asked before it is dismissed, which kills what may be left of it.
            killed = child.killed
            self._dismiss(child)
            if killed:
                return self._killed(job, context, ran_us)
            return Failure(job, ChildDied(f"the child process of the task {child.cause()}"), ran_us)
        self.put_back(child)
        return _ending(job, answer, ran_us)

    def end(self, busy: Iterable[Child], seconds: float) -> None:
        """Wait until these children have ended their tasks, and kill those that do not in time.

        Args:
            busy: Their tasks were told to stop.
            seconds: How long the tasks may clean up.
        """
        until = clock.monotonic() + seconds
        late = [child for child in busy if not child.free.wait(max(0.0, until - clock.monotonic()))]
        for child in late:
            child.kill()
        for child in late:
            child.join(_LEAVE_SECONDS)

    def dump(self) -> None:
        """Have all children write to standard error what they do."""
        for child in self._living():
            child.dump()

    def stop(self) -> None:
        """Let the children end that have nothing to do, and kill the others; safe to call twice."""
        with self._lock:
            self._stopped = True
            idle, self._idle = self._idle, []
        for child in self._living():
            if child in idle:
                child.leave()
            else:
                child.kill()
        until = clock.monotonic() + _LEAVE_SECONDS
        for child in self._living():
            if not child.join(until - clock.monotonic()):
                child.kill()
                child.join(_LEAVE_SECONDS)
            self._dismiss(child)

    def _living(self) -> list[Child]:
        with self._lock:
            return list(self._all)

    def _dismiss(self, child: Child) -> None:
        child.kill()
        if child.join(_LEAVE_SECONDS):
            child.channel.close()
        child.free.set()
        with self._lock:
            self._all.discard(child)

    def _killed(self, job: Job, context: TaskContext, ran_us: int) -> Failure:
        """Return the ending of a task whose child was killed, for one of three reasons."""
        if context.seconds_left <= 0:
            return Failure(job, TaskTimeout(context.task.timeout_ms / 1000, "its child process was killed"), ran_us)
        if not job.canceled:
            return Failure(job, LeaseLost(job.granted.task_id), ran_us)
        reason = f"killed: it was canceled and went on for {self._grace_seconds:g} s"
        return Failure(job, ChildDied(reason), ran_us, Decision("cancel", 0, reason))


def _serve(child: Child, context: TaskContext, asked: dict[str, Any]) -> None:
    """Do what a task in a child asks its worker for."""
    if asked["kind"] == "progress":
        context.progress(asked["done"], asked["total"], asked["message"])
        return
    answer: dict[str, Any] = {"kind": "left", "number": asked["number"]}
    try:
        left = context.read_outputs(asked["task_ids"])
        answer["left"] = [(one.state, one.result.decode(), one.xcom.decode()) for one in left]
    except FairqueError as error:
        answer["problem"], answer["away"] = str(error), isinstance(error, RedisUnavailable)
    child.channel.send(answer)


def _ending(job: Job, answer: dict[str, Any], ran_us: int) -> Ending:
    if answer["kind"] == "done":
        result = answer["result"]
        return Success(job, loads(result) if result else None, result.encode(), ran_us, answer["xcom"].encode())
    error = RemoteError(answer["type"], answer["error"], answer["traceback"])
    return Failure(job, error, ran_us, Decision(answer["verdict"], answer["pause_ms"], answer["reason"]))
