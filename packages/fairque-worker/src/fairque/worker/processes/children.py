"""The children of a worker: lent to a task, reused for the next one, and replaced when they have died."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fairque.protocol import clock
from fairque.protocol.errors import ErrorInfo, FairqueError, LeaseLost, RedisUnavailable, RemoteError
from fairque.protocol.forks import inherits
from fairque.protocol.jsonvalue import loads
from fairque.protocol.model.context import TaskContext
from fairque.protocol.model.outcome import VERDICTS, Decision
from fairque.protocol.model.tracebacks import ErrorText, error_text
from fairque.protocol.service.log import configured_log
from fairque.worker.attempt import late_error, us_since
from fairque.worker.handling.inputs import Read
from fairque.worker.jobs import Ending, Failure, Job, Postponed, Success, Unstarted
from fairque.worker.processes.channel import packed
from fairque.worker.processes.process import Child, ChildDied, Recipe

__all__ = ["Child", "Children"]

#: Seconds that idle children may take to end.
_LEAVE_SECONDS = 2.0
#: Seconds until the next child is started after a failed start: doubled each time, up to the second value.
_PAUSES_SECONDS = (1.0, 30.0)
#: The kinds of frames with which a child ends a task.
_ENDINGS = ("done", "failed", "unstarted")


class Children:
    """As many children as run tasks at a time; each is started when a task needs it.

    Args:
        recipe: What the children need to run tasks; None if there can be none.
        impossible: Why there can be none.
        cancel_timeout: Seconds that a task may continue after a request to stop; for texts only.
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
        """Forget them in a forked child: they belong to the parent, and nothing here may kill them."""
        self._all, self._idle, self._stopped = set(), [], True
        self._lock = threading.Lock()

    @contextmanager
    def lend(self) -> Iterator[Child]:
        """Lend an idle child. However the body ends, the child is kept for the next task, or ended.

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

    def run(self, child: Child, job: Job, context: TaskContext, on_stop: Callable[[], None], read: Read) -> Ending:
        """Run a task in a child, and wait for the ending.

        Args:
            child: The child that `lend` yielded.
            job: The task.
            context: The worker's view of the attempt.
            on_stop: Called when the task should stop.
            read: Reads a part of the outputs of other tasks.

        Raises:
            ValueError: The task cannot be sent.
        """
        started = clock.monotonic()
        order = packed(_order(job))
        problem = ""
        child.talking, child.begun = True, False
        try:
            child.channel.send_packed(order)
            # Only now, so that the child has the task before the request to stop.
            job.stop.when_given(on_stop)
            ending = self._received(child, job, context, read, started)
        except OSError:
            ending = None
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            problem = f"sent an invalid frame ({error_text(error):.200}), and was killed"
            ending = None
        if ending is not None:
            child.talking, child.used = False, True
            return ending
        ran_us = us_since(started)
        # Checked before it is dismissed, which kills what may be left of it.
        if child.killed:
            return self._killed(job, context, ran_us)
        # In a new child it may be the task's own fault, such as that of a message that takes all memory.
        if child.used and not child.begun:
            return Postponed(
                job, f"its child process {problem or child.cause()}, before the task began", _PAUSES_SECONDS[0]
            )
        return Failure(job, ChildDied(f"the child process of the task {problem or child.cause()}"), ran_us)

    def end(self, busy: Iterable[Child], seconds: float) -> None:
        """Wait until these children have ended their tasks, and kill those that do not in time.

        Args:
            busy: Children whose tasks were asked to stop.
            seconds: How long the tasks may clean up.
        """
        until = clock.monotonic() + seconds
        late = [child for child in busy if not child.free.wait(max(0.0, until - clock.monotonic()))]
        for child in late:
            child.kill()
        for child in late:
            child.join(_LEAVE_SECONDS)

    def dump(self) -> None:
        """Make all children write their stacks to standard error."""
        for child in self._living():
            child.dump()

    def stop(self) -> None:
        """Let idle children end, and kill the others; safe to call twice."""
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
                    raise Unstarted("the worker has stopped: it starts no more child processes", 0.0)
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
        """Start a child; after a failure only after a pause, since the next start would fail as well."""
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
                # Beyond this the pause does not grow.
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

    def _received(self, child: Child, job: Job, context: TaskContext, read: Read, started: float) -> Ending | None:
        """Serve a child until it has ended its task, and return the ending; None if the child ends before."""
        while (frame := child.channel.receive()) is not None:
            if frame["token"] != job.granted.token:
                # Of an attempt that has ended: from a thread that it has left behind.
                child.decline(frame)
            elif frame["kind"] == "begun":
                child.begun = True
            elif frame["kind"] in _ENDINGS:
                return self._ending(job, frame, us_since(started))
            else:
                _serve(child, context, frame, read)
        return None

    def _ending(self, job: Job, frame: Mapping[str, Any], ran_us: int) -> Ending:
        if frame["kind"] == "unstarted":
            return Postponed(job, str(frame["why"])[:500], float(frame["pause_seconds"]))
        if frame["kind"] == "done":
            result, xcom = (frame[name].encode(errors="surrogateescape") for name in ("result", "xcom"))
            if self._recipe is not None and len(result) > self._recipe.result_limit:
                raise ValueError(f"a result of {len(result):,} bytes")
            return Success(job, loads(result) if result else None, result, ran_us, xcom)
        if frame["verdict"] not in VERDICTS:
            raise ValueError(f"a verdict {frame['verdict']!r:.80}")
        text = ErrorText(str(frame["type"]), str(frame["error"]), str(frame["traceback"])).cut()
        error = RemoteError(ErrorInfo(text.kind, text.text, text.traceback))
        decision = Decision(frame["verdict"], int(frame["pause_ms"]), str(frame["reason"])[:500])
        return Failure(job, error, ran_us, decision)


def _order(job: Job) -> dict[str, Any]:
    granted = job.granted
    return {
        "kind": "run",
        "message": granted.message.decode(errors="surrogateescape"),
        "task_id": granted.task_id,
        "token": granted.token,
        "attempt": granted.attempt,
        "failures": granted.failures,
        "user_id": granted.user_id,
        "priority": granted.priority,
    }


def _serve(child: Child, context: TaskContext, asked: Mapping[str, Any], read: Read) -> None:
    """Serve a request of a task in a child."""
    if asked["kind"] == "progress":
        context.progress(asked["done"], asked["total"], asked["message"])
        return
    answer: dict[str, Any] = {"kind": "left", "number": asked["number"]}
    try:
        # One part; the child asks for the rest, so that the worker never holds more.
        outputs = read(context.task_id, asked["task_ids"])
        answer["left"] = [[output.state, _text(output.result), _text(output.xcom)] for output in outputs]
    except FairqueError as error:
        answer["problem"], answer["away"] = str(error), isinstance(error, RedisUnavailable)
    child.channel.send(answer)


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")
