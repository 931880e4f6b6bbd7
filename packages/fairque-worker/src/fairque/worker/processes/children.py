"""The children of a worker: lent to a task, used again for the next one, and replaced when they have died."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fairque.protocol import clock
from fairque.protocol.errors import ErrorInfo, FairqueError, LeaseLost, RedisUnavailable, RemoteError
from fairque.protocol.jsonvalue import loads
from fairque.protocol.model.context import TaskContext
from fairque.protocol.model.outcome import VERDICTS, Decision
from fairque.protocol.model.tracebacks import ErrorText, error_text
from fairque.protocol.runners.forks import inherits
from fairque.protocol.service.log import configured_log
from fairque.worker.attempt import late_error, us_since
from fairque.worker.handling.inputs import Read
from fairque.worker.jobs import Ending, Failure, GivenBack, Job, Success, Unstarted
from fairque.worker.processes.channel import packed
from fairque.worker.processes.process import Child, ChildDied, Recipe

__all__ = ["Child", "Children"]

#: How long children that have nothing to do may take to end.
_LEAVE_SECONDS = 2.0
#: Seconds until the next child is started after one that could not be: doubled each time, up to the second.
_PAUSES_SECONDS = (1.0, 30.0)
#: How a child ends what it was told to do.
_ENDINGS = ("done", "failed", "unstarted")


class Children:
    """As many children as tasks run in them at a time; they begin when the first such task comes.

    Args:
        recipe: What they are to be; None when there can be none.
        impossible: Why there can be none.
        cancel_timeout: How long a task that was told to stop may continue; for the text that says so.
    """

    def __init__(self, recipe: Recipe | None, impossible: str, cancel_timeout: float) -> None:
        self.impossible = impossible
        self._recipe = recipe
        self._cancel_timeout = cancel_timeout
        self._idle: list[Child] = []
        self._all: set[Child] = set()
        self._stopped = False
        self._failed_starts = 0
        self._next_start_at, self._problem = 0.0, ""
        self._lock = threading.Lock()
        inherits(self)

    def start_over(self) -> None:
        """Have none in a forked child: they are its parent's, and nothing here may kill them."""
        self._all, self._idle, self._stopped = set(), [], True
        self._lock = threading.Lock()

    @contextmanager
    def lend(self) -> Iterator[Child]:
        """Lend a child that waits for a task. However the body ends, the child is kept for the next one, or ended.

        Raises:
            FairqueError: There can be none; the error says why.
            Unstarted: None can be started now.
        """
        child = self._taken()
        try:
            yield child
        finally:
            if child.talking:
                self._dismiss(child)
            else:
                self._put_back(child)

    def run(self, child: Child, job: Job, context: TaskContext, told: Callable[[], None], read: Read) -> Ending:
        """Have a child run a task, and wait for the ending.

        Args:
            child: As `lend` gave it.
            job: The task.
            context: The worker's view of the attempt.
            told: Called when the task should stop.
            read: Reads a piece of what other tasks have left.

        Raises:
            ValueError: The task cannot be told.
        """
        started = clock.monotonic()
        order = packed(_order(job))
        problem = ""
        child.talking = True
        try:
            child.channel.send_packed(order)
            # Only now, so that the task is there when it is told.
            job.stop.when_given(told)
            ending = self._heard(child, job, context, read, started)
        except OSError:
            ending = None
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            problem = f"said what no child process says ({error_text(error):.200}), and was killed"
            ending = None
        if ending is not None:
            child.talking = False
            return ending
        ran_us = us_since(started)
        # Asked before it is dismissed, which kills what may be left of it.
        if child.killed:
            return self._killed(job, context, ran_us)
        return Failure(job, ChildDied(f"the child process of the task {problem or child.cause()}"), ran_us)

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

    def _taken(self) -> Child:
        if self._recipe is None:
            raise FairqueError(f"this worker has no child processes: {self.impossible}")
        while True:
            with self._lock:
                if self._stopped:
                    raise Unstarted("the worker has stopped: no child process begins any more", 0.0)
                child = self._idle.pop() if self._idle else None
            if child is None:
                return self._started(self._recipe)
            child.free.clear()
            ready = False
            try:
                ready = child.answers()
            finally:
                if not ready:
                    self._dismiss(child)
            if ready:
                return child

    def _started(self, recipe: Recipe) -> Child:
        """Start a child; after a failure only some time later, since the next one would fail as well."""
        pause = self._next_start_at - clock.monotonic()
        if pause > 0:
            raise Unstarted(self._problem, pause)
        child = None
        try:
            child = Child(recipe, configured_log())
            with self._lock:
                self._all.add(child)
                stopped = self._stopped
            if stopped:
                child.kill()
            child.prepare()
        except BaseException as error:
            if child is not None:
                self._dismiss(child)
            if not isinstance(error, (Exception, MemoryError)):
                raise
            raise self._unstarted(error) from error
        self._failed_starts = 0
        return child

    def _unstarted(self, error: BaseException) -> Unstarted:
        with self._lock:
            now = clock.monotonic()
            if now >= self._next_start_at:
                first, longest = _PAUSES_SECONDS
                self._next_start_at = now + min(longest, first * 2**self._failed_starts)
                # Beyond this the pause grows no longer.
                self._failed_starts = min(self._failed_starts + 1, 10)
            self._problem = f"no child process can be started: {error_text(error) or type(error).__name__}"
            return Unstarted(self._problem, self._next_start_at - now)

    def _put_back(self, child: Child) -> None:
        child.free.set()
        with self._lock:
            if not self._stopped:
                self._idle.append(child)
                return
        child.leave()

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
            return Failure(job, late_error(job, "its child process was killed"), ran_us)
        if not job.canceled:
            return Failure(job, LeaseLost(job.granted.task_id), ran_us)
        reason = f"killed: it was canceled and continued for {self._cancel_timeout:g} s"
        return Failure(job, ChildDied(reason), ran_us, Decision("cancel", 0, reason))

    def _heard(self, child: Child, job: Job, context: TaskContext, read: Read, started: float) -> Ending | None:
        """Serve a child until it has ended its task, and return how; None when it is gone before."""
        while (said := child.channel.receive()) is not None:
            if said["token"] != job.granted.token:
                # Of an attempt that has ended: a thread that it has left behind still speaks.
                child.decline(said)
            elif said["kind"] in _ENDINGS:
                return self._ending(job, said, us_since(started))
            else:
                _serve(child, context, said, read)
        return None

    def _ending(self, job: Job, said: Mapping[str, Any], ran_us: int) -> Ending:
        if said["kind"] == "unstarted":
            return GivenBack(job, str(said["why"])[:500], float(said["pause_seconds"]))
        if said["kind"] == "done":
            result, xcom = (said[name].encode(errors="surrogateescape") for name in ("result", "xcom"))
            if self._recipe is not None and len(result) > self._recipe.result_limit:
                raise ValueError(f"a result of {len(result):,} bytes")
            return Success(job, loads(result) if result else None, result, ran_us, xcom)
        if said["verdict"] not in VERDICTS:
            raise ValueError(f"a verdict {said['verdict']!r:.80}")
        told = ErrorText(str(said["type"]), str(said["error"]), str(said["traceback"])).cut()
        error = RemoteError(ErrorInfo(told.kind, told.text, told.traceback))
        return Failure(job, error, ran_us, Decision(said["verdict"], int(said["pause_ms"]), str(said["reason"])[:500]))


def _order(job: Job) -> dict[str, Any]:
    granted = job.granted
    return {
        "kind": "run",
        "message": granted.message.decode(errors="surrogateescape"),
        "task_id": granted.task_id,
        "token": granted.token,
        "attempt": granted.attempt,
        "failures": granted.failures,
        "heritage": granted.heritage,
    }


def _serve(child: Child, context: TaskContext, asked: Mapping[str, Any], read: Read) -> None:
    """Do what a task in a child asks its worker for."""
    if asked["kind"] == "progress":
        context.progress(asked["done"], asked["total"], asked["message"])
        return
    answer: dict[str, Any] = {"kind": "left", "number": asked["number"]}
    try:
        # One piece; the child asks for the rest, so that the worker never holds more.
        left = read(context.task_id, asked["task_ids"])
        answer["left"] = [[one.state, _text(one.result), _text(one.xcom)] for one in left]
    except FairqueError as error:
        answer["problem"], answer["away"] = str(error), isinstance(error, RedisUnavailable)
    child.channel.send(answer)


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")
