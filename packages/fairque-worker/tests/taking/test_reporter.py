"""The reporter, without a server: what it reports of each ending, and what it does after the answer."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextvars import copy_context
from typing import Any

import pytest

from fairque.protocol.calls.endings import Ended, Failed, Finished
from fairque.protocol.calls.pop import Granted, Popped
from fairque.protocol.calls.progress import Reported
from fairque.protocol.calls.read import QueueStats
from fairque.protocol.errors import ProtocolError, RedisUnavailable, RemoteError, TaskTimeout, UnknownFunction
from fairque.protocol.jsonvalue import loads
from fairque.protocol.model.progress import Progress
from fairque.protocol.model.states import TaskState
from fairque.protocol.wire.status import Status
from fairque.worker import Cancel, Retry, Snooze, Task, TaskContext, TaskHandler
from fairque.worker.consumer import Consumer, Request
from fairque.worker.jobs import Ending, Failure, Job, Lease, Postponed, Success
from fairque.worker.metrics import Metrics
from fairque.worker.taking.reporter import Reporter

FINISHED = Ended(Status.OK, TaskState.FINISHED)


class Queue(Consumer):
    """Replaces the queue: records the calls and gives the answers that a test sets."""

    worker = "w-1"

    def __init__(self) -> None:
        self.finished: list[Finished] = []
        self.failed: list[Failed] = []
        self.counts: list[int] = []
        self.sizes: list[tuple[int, int]] = []
        self.reports: list[Reported] = []
        self.answers: list[Ended] = []
        self.error: Exception | None = None

    def request(
        self,
        finished: Sequence[Finished],
        failed: Sequence[Failed],
        count: int,
        reports: Sequence[Reported] = (),
    ) -> Request:
        if self.error is not None:
            raise self.error
        self.finished += finished
        self.failed += failed
        self.sizes.append((len(finished), len(failed)))
        self.counts.append(count)
        self.reports += reports
        return Request([], progress=False, finished=bool(finished), failed=bool(failed), count=count)

    def ask(self, request: Request) -> list[Any]:
        answers = iter(self.answers)
        ended = [next(answers, FINISHED) for _ in range(self.sizes[-1][0])]
        decoded: list[Any] = [ended] if request.finished and not request.count else []
        if request.failed:
            decoded.append([next(answers, Ended(Status.OK, TaskState.SCHEDULED)) for _ in range(self.sizes[-1][1])])
        return [*decoded, Popped((), more=False, wait_ms=None, ended=ended)] if request.count else decoded


class Told(TaskHandler):
    """A handler that records the calls of its hooks."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def handle(self, task: Task[Any], ctx: TaskContext) -> Any:
        """Nothing."""

    def on_success(self, task: Task[Any], result: Any, ctx: TaskContext) -> None:  # noqa: ARG002 - the signature of the base
        self.told.append(("success", task.task_id, result))

    def on_failure(self, task: Task[Any], error: BaseException, ctx: TaskContext, *, final: bool) -> None:  # noqa: ARG002 - as above
        self.told.append(("failure", task.task_id, final))


def metrics() -> Metrics:
    def read_stats() -> QueueStats:
        raise AssertionError("it is never called")

    return Metrics("default", 1, running=int, abandoned=int, loop_age=float, read_stats=read_stats)


def no_loop(_: Awaitable[Any]) -> None:
    raise AssertionError("these hooks are not coroutines")


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def handler() -> Told:
    return Told()


@pytest.fixture
def report(queue: Queue, handler: Told) -> Callable[..., Popped | None]:
    reporter = Reporter(queue, handler, metrics(), lambda call: call(), no_loop)

    def report(*endings: Ending, count: int = 0) -> Popped | None:
        # As in a separate thread: hooks set the context of their task in the thread in which they run.
        return copy_context().run(reporter.exchange, endings, count)

    return report


def job(task_id: str = "t1", *, failures: int = 0, **fields: Any) -> Job:
    task: Task[Any] = Task(task_id=task_id, user_id="ann", **fields)
    job = Job(Granted(task_id, b"", "7:ab", failures + 1, failures, solo=False, pushed_at=0), Lease(0.0))
    job.task = task
    job.context = TaskContext(task, attempt=failures + 1, fence=7, deadline=0.0)
    return job


def test_all_endings_and_the_next_pop_go_in_one_exchange(queue: Queue, report: Any) -> None:
    popped = report(Success(job("a"), 1, b"1", 5), Failure(job("b"), ValueError(), 6), count=3)
    assert queue.finished == [Finished("a", "7:ab", 5, b"1")]
    assert [(one.task_id, one.token, one.ran_us) for one in queue.failed] == [("b", "7:ab", 6)]
    assert queue.counts == [3]
    assert popped == Popped((), more=False, wait_ms=None, ended=[FINISHED])


def test_the_reported_text_of_an_error_is_the_one_created_where_it_was_raised(
    queue: Queue, report: Any, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[str] = []

    class Asked(ValueError):
        def __getattribute__(self, name: str) -> Any:
            asked.append(name)
            return super().__getattribute__(name)

        def __str__(self) -> str:
            asked.append("__str__")
            return "no luck"

    ending = Failure(job(), Asked(), 0)
    asked.clear()
    report(ending)
    assert asked == []
    assert loads(queue.failed[0].error)["error"] == "no luck"
    assert vars(caplog.records[0])["error"].endswith("Asked: no luck")


class TestPostponed:
    """A task that could not be started."""

    def test_it_waits_and_none_of_its_retries_is_used_up(
        self, queue: Queue, handler: Told, report: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        report(Postponed(job("a"), "no thread can be started", 1.5), Failure(job("b"), ValueError(), 0))
        assert [(one.task_id, one.verdict, one.pause_ms) for one in queue.failed][1] == ("a", "snooze", 1_500)
        assert [task_id for _, task_id, _ in handler.told] == ["b"]
        said = vars(caplog.records[0])
        assert said["msg"].startswith("a task could not be started here")
        assert (said["task_id"], said["why"], said["pause_seconds"]) == ("a", "no thread can be started", 1.5)

    def test_a_task_that_was_canceled_in_the_meantime_ends_with_a_reason(self, queue: Queue, report: Any) -> None:
        report(Postponed(job("a"), "no thread can be started", 1.5))
        told = loads(queue.failed[0].error)
        assert (told["error"], told["reason"]) == ("no thread can be started", "canceled before it began")

    def test_one_whose_lease_was_lost_is_left_alone(
        self, queue: Queue, report: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        queue.answers = [Ended(Status.LOST, TaskState.STARTED)]
        report(Postponed(job("a"), "no thread can be started", 1.5))
        assert [record.msg for record in caplog.records] == ["the queue refused an ending: the lease was lost"]


@pytest.mark.parametrize(
    ("error", "failures", "verdict"),
    [
        (ValueError(), 0, "retry"),
        (ValueError(), 2, "dead"),
        (SystemExit(), 0, "retry"),
        (asyncio.CancelledError(), 0, "retry"),
        (Retry(after=9), 0, "retry"),
        (Retry(after=9), 2, "dead"),
        (Snooze(9), 2, "snooze"),
        (Cancel(), 0, "cancel"),
        (ProtocolError("of a task"), 0, "retry"),
    ],
    ids=repr,
)
def test_the_verdict_on_a_failure(queue: Queue, report: Any, error: BaseException, failures: int, verdict: str) -> None:
    report(Failure(job(failures=failures), error, 0))
    assert queue.failed[0].verdict == verdict
    if getattr(error, "after", None) and verdict != "dead":
        assert queue.failed[0].pause_ms == 9_000


def test_a_canceled_coroutine_of_a_canceled_task_is_canceled_and_not_retried(queue: Queue, report: Any) -> None:
    canceled = job()
    canceled.canceled = True
    report(Failure(canceled, asyncio.CancelledError(), 0))
    assert queue.failed[0].verdict == "cancel"
    assert loads(queue.failed[0].error)["reason"] == "canceled while it ran"


def test_the_error_says_what_went_wrong_where_and_how_often(queue: Queue, report: Any) -> None:
    report(Failure(job(failures=2), ValueError("no luck"), 0))
    error = loads(queue.failed[0].error)
    assert (error["type"], error["error"], error["reason"], error["worker"], error["attempts"]) == (
        "ValueError",
        "no luck",
        "retries",
        "w-1",
        3,
    )


def test_hooks_are_called_for_endings_that_the_queue_accepted(queue: Queue, handler: Told, report: Any) -> None:
    queue.answers = [FINISHED, Ended(Status.OK, TaskState.SCHEDULED), Ended(Status.OK, TaskState.FAILED)]
    last = job("c", failures=2)
    report(Success(job("a"), 1, b"1", 0), Failure(job("b"), ValueError(), 0), Failure(last, ValueError(), 0))
    assert handler.told == [("success", "a", 1), ("failure", "b", False), ("failure", "c", True)]


@pytest.mark.parametrize("code", [Status.LOST, Status.NOT_FOUND])
def test_hooks_are_not_called_for_endings_that_the_queue_refused(
    queue: Queue, handler: Told, report: Any, code: Status, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "fairque.worker")
    queue.answers = [Ended(code, TaskState.STARTED), Ended(code, None)]
    report(Success(job("a"), 1, b"1", 0), Failure(job("b"), ValueError(), 0))
    assert handler.told == []
    assert [record.msg for record in caplog.records] == ["the queue refused an ending: the lease was lost"] * 2


@pytest.mark.parametrize("code", [Status.OK, Status.LOST])
def test_objects_of_a_task_are_dropped_in_a_thread_for_hooks_whether_accepted_or_refused(
    queue: Queue, report: Any, code: Status
) -> None:
    queue.answers = [Ended(code, TaskState.FINISHED), Ended(code, TaskState.FAILED)]
    success, failure = Success(job("a"), 1, b"1", 0), Failure(job("b"), ValueError("of the task"), 0)
    report(success, failure)
    assert (success.value, success.job.context) == (None, None)
    assert (type(failure.error), str(failure.error), failure.job.context) == (RemoteError, "of the task", None)


def test_the_hook_is_called_for_a_success_that_was_reported_before(queue: Queue, handler: Told, report: Any) -> None:
    queue.answers = [Ended(Status.ALREADY, TaskState.FINISHED)]
    report(Success(job("a"), 1, b"1", 0))
    assert handler.told == [("success", "a", 1)]


def test_the_hook_is_not_called_for_a_success_of_a_task_that_was_given_back_before(
    queue: Queue, handler: Told, report: Any
) -> None:
    queue.answers = [Ended(Status.ALREADY, TaskState.QUEUED)]
    report(Success(job("a"), 1, b"1", 0))
    assert handler.told == []


def test_a_failure_is_final_when_the_queue_says_so(queue: Queue, handler: Told, report: Any) -> None:
    queue.answers = [Ended(Status.OK, TaskState.CANCELED)]
    report(Failure(job("a"), ValueError(), 0))
    assert queue.failed[0].verdict == "retry"
    assert handler.told == [("failure", "a", True)]


def test_no_hook_is_called_when_the_queue_is_unreachable(queue: Queue, handler: Told, report: Any) -> None:
    queue.error = RedisUnavailable("gone")
    with pytest.raises(RedisUnavailable):
        report(Success(job("a"), 1, b"1", 0))
    assert handler.told == []


def test_an_unreadable_message_is_dead_at_once_and_calls_no_hook(queue: Queue, handler: Told, report: Any) -> None:
    unread = job()
    unread.task = unread.context = None
    report(Failure(unread, ProtocolError("unreadable"), 0))
    assert queue.failed[0].verdict == "dead"
    assert loads(queue.failed[0].error)["reason"] == "unreadable"
    assert handler.told == []


def test_an_error_whose_pause_cannot_be_read_is_a_failure_like_any_other(queue: Queue, report: Any) -> None:
    class Mute(Retry):
        @property
        def after(self) -> Any:
            raise SystemExit

        @after.setter
        def after(self, _: Any) -> None:
            """The constructor may set it."""

    report(Failure(job(), Mute(), 0))
    assert queue.failed[0].verdict == "retry"


def test_a_hook_that_is_not_overridden_takes_no_thread(queue: Queue) -> None:
    class Plain(TaskHandler):
        def handle(self, task: Task[Any], ctx: TaskContext) -> Any:
            """Nothing."""

    def refuse(_: Callable[[], None]) -> None:
        raise AssertionError("a thread was taken")

    reporter = Reporter(queue, Plain(), metrics(), refuse, no_loop)
    reporter.exchange([Success(job(), 1, b"1", 0), Failure(job("b"), ValueError(), 0)], 0)
    assert len(queue.finished) == len(queue.failed) == 1


def test_the_last_progress_of_a_task_goes_before_its_ending(queue: Queue, report: Any) -> None:
    said, silent = job("a"), job("b")
    said.progress = Progress(3, 4)
    report(Success(said, 1, b"1", 5), Success(silent, 1, b"1", 5))
    assert queue.reports == [Reported("a", "7:ab", Progress(3, 4))]


def test_the_log_says_which_function_failed_for_whom_and_where(
    report: Any, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "fairque.worker")
    queue.answers = [Ended(Status.OK, TaskState.SCHEDULED), Ended(Status.OK, TaskState.FAILED)]
    try:
        int("no number")
    except ValueError as error:
        again, last = job("a", func="shop:buy"), job("b", failures=2, func="shop:buy")
        report(Failure(again, error, 0), Failure(last, error, 0))
    first, second = (vars(record) for record in caplog.records)
    assert (first["msg"], first["levelname"], second["msg"]) == ("attempt failed", "WARNING", "task failed")
    for record in (first, second):
        assert (record["func"], record["user_id"]) == ("shop:buy", "ann")
        assert "test_reporter.py" in record["exception"]


def test_the_log_has_no_traceback_of_what_did_not_come_from_the_task(
    report: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for error in (UnknownFunction("nobody", (), []), TaskTimeout(3.0, "it was canceled"), Retry(after=1)):
        report(Failure(job(), error, 0))
    assert len(caplog.records) == 3
    assert not any("exception" in vars(record) for record in caplog.records)


def test_the_log_does_not_call_a_snooze_a_failure(report: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "fairque.worker")
    report(Failure(job(), Snooze(9), 0))
    said = vars(caplog.records[0])
    assert (said["msg"], said["levelname"], said["pause_seconds"]) == ("task snoozed", "INFO", 9)
    assert "exception" not in said


def test_the_log_says_that_a_task_was_canceled_and_not_that_it_failed(
    report: Any, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "fairque.worker")
    queue.answers = [Ended(Status.OK, TaskState.CANCELED)] * 2
    # The second one would be retried, but was canceled in the meantime.
    report(Failure(job("a"), Cancel(), 0), Failure(job("b"), ValueError(), 0))
    assert [(record.msg, record.levelname) for record in caplog.records] == [("task canceled", "WARNING")] * 2
