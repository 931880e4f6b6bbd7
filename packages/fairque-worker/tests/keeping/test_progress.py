"""Progress of running tasks: the latest of each is sent a few times a second, and the last one with the ending."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from fairque.protocol.calls.pop import Granted
from fairque.protocol.calls.progress import Reported
from fairque.protocol.errors import RedisUnavailable
from fairque.protocol.model.progress import Progress
from fairque.protocol.model.states import TaskState
from fairque.testing.internal import PATIENCE, calls, eventually
from fairque.worker import Consumer, Worker, current_context
from fairque.worker.jobs import Job, Lease
from fairque.worker.keeping.progress import ProgressSender


def progress(bench: Any, task_id: str) -> Progress | None:
    (found,) = bench.run(calls.read_progress(bench.keys, [task_id]))
    assert found is None or isinstance(found, Progress)
    return found


def done(bench: Any, task_id: str) -> float | None:
    found = progress(bench, task_id)
    return None if found is None else found.done


class Line:
    """Wraps a worker's consumer: records each call about progress, and fails when a test wants it."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self.sent: list[list[Reported]] = []
        self.broken = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)

    def progress(self, reports: Sequence[Reported]) -> None:
        if self.broken:
            raise RedisUnavailable("on purpose")
        self.sent.append([*reports])
        self._consumer.progress(reports)


def line_of(worker: Worker) -> Line:
    line = Line(worker._consumer)
    worker._progress._line = line
    return line


@pytest.mark.parametrize("kind", ["function", "coroutine"])
def test_progress_is_seen_while_the_task_runs_and_after_it(bench: Any, gate: threading.Event, kind: str) -> None:
    def function() -> None:
        current_context().progress(3, 10, "reading")
        assert gate.wait(PATIENCE)

    async def coroutine() -> None:
        current_context().progress(3, 10, "reading")
        assert await asyncio.to_thread(gate.wait, PATIENCE)

    work: Any = function if kind == "function" else coroutine
    bench.start(work)
    task_id = bench.push(work)
    found = eventually(lambda: progress(bench, task_id), what="the progress")
    assert found is not None
    assert (found.done, found.total, found.message, found.attempt) == (3, 10, "reading", 1)
    gate.set()
    assert bench.result(task_id) is None
    assert progress(bench, task_id) == found


def test_the_last_progress_arrives_even_if_the_task_ends_at_once(bench: Any) -> None:
    def quick(number: int) -> None:
        for part in range(number + 1):
            current_context().progress(part, number)

    bench.start(quick, concurrency=4)
    pushed = {bench.push(quick, number): number for number in range(50)}
    for task_id, number in pushed.items():
        bench.result(task_id)
        assert done(bench, task_id) == number


def test_the_last_progress_of_a_failed_attempt_arrives_too(bench: Any) -> None:
    def fails() -> None:
        current_context().progress(7)
        raise ValueError("no")

    bench.start(fails)
    task_id = bench.push(fails, retries=0)
    bench.error(task_id)
    assert done(bench, task_id) == 7


def test_a_thousand_reports_of_all_tasks_take_a_few_calls(bench: Any) -> None:
    both = threading.Barrier(2, timeout=PATIENCE)

    def chatty() -> None:
        both.wait()
        for part in range(1_000):
            current_context().progress(part, 1_000)
        both.wait()

    worker = bench.worker(chatty)
    line = line_of(worker)
    worker.start()
    ids = bench.push_all([bench.task(chatty), bench.task(chatty)])
    for task_id in ids:
        bench.result(task_id)
        assert done(bench, task_id) == 999
    assert len(line.sent) <= 3


def test_a_task_without_progress_costs_nothing(bench: Any) -> None:
    def silent() -> None:
        pass

    worker = bench.worker(silent)
    line = line_of(worker)
    worker.start()
    bench.result(bench.push(silent))
    assert line.sent == []
    assert "fairque-progress" not in {thread.name for thread in threading.enumerate()}
    assert worker._progress._service is None


def test_progress_that_did_not_arrive_is_sent_again(bench: Any, gate: threading.Event) -> None:
    def slow() -> None:
        current_context().progress(1)
        assert gate.wait(PATIENCE)

    worker = bench.worker(slow)
    line = line_of(worker)
    line.broken = True
    worker.start()
    task_id = bench.push(slow)
    eventually(lambda: worker._progress._silent, what="a call that failed")
    assert progress(bench, task_id) is None
    line.broken = False
    eventually(lambda: done(bench, task_id) == 1, what="the progress")


def test_progress_that_never_arrived_goes_with_the_ending(bench: Any) -> None:
    def quick() -> None:
        current_context().progress(1)

    worker = bench.worker(quick)
    line_of(worker).broken = True
    worker.start()
    task_id = bench.push(quick)
    bench.result(task_id)
    assert done(bench, task_id) == 1


def test_progress_of_a_task_with_a_lost_lease_is_ignored(bench: Any, short: dict[str, float]) -> None:
    begun = threading.Event()

    def careful() -> None:
        context = current_context()
        if context.attempt == 1:
            begun.set()
            assert context.wait_stop(PATIENCE)
            eventually(lambda: bench.info(context.task_id).attempts == 2)
            context.progress(100)
        else:
            context.progress(1)
            eventually(lambda: line.sent, what="the word of the zombie was sent")

    worker = bench.worker(careful, **short)
    line = line_of(worker)
    worker.start()
    worker._heart.stop()
    task_id = bench.push(careful)
    assert begun.wait(PATIENCE)
    worker.pause()
    bench.start(careful, **short)
    assert bench.reaches(task_id, TaskState.FINISHED) is None
    assert [report.progress.done for reports in line.sent for report in reports] == [100]
    found = progress(bench, task_id)
    assert found is not None
    assert (found.done, found.attempt) == (1, 2)


class Gate(Line):
    """Blocks the first call until the test releases it."""

    def __init__(self, opened: threading.Event) -> None:
        self.opened = opened
        self.entered = threading.Event()
        self.sent = []

    def progress(self, reports: Sequence[Reported]) -> None:
        self.sent.append([*reports])
        self.entered.set()
        assert self.opened.wait(PATIENCE)


@pytest.fixture
def sender_of(no_thread_is_left: None) -> Callable[[Any], ProgressSender]:  # noqa: ARG001 - it looks after the test
    return ProgressSender


def test_progress_counts_as_unsent_until_it_has_arrived(sender_of: Any, gate: threading.Event) -> None:
    line = Gate(gate)
    sender = sender_of(line)
    job = Job(Granted("t1", b"", "7:ab", 1, 0, solo=False, pushed_at=0), Lease(0.0))
    sender.note(job, Progress(1))
    assert line.entered.wait(PATIENCE)
    assert job.progress == Progress(1)
    sender.note(job, Progress(2))
    gate.set()
    eventually(lambda: job.progress is None, what="the second word has arrived")
    assert [[one.progress for one in reports] for reports in line.sent] == [[Progress(1)], [Progress(2)]]
    sender.stop()
    sender.stop()


def test_no_thread_starts_after_the_stop(sender_of: Any, gate: threading.Event) -> None:
    line = Gate(gate)
    sender = sender_of(line)
    sender.stop()
    job = Job(Granted("t1", b"", "7:ab", 1, 0, solo=False, pushed_at=0), Lease(0.0))
    sender.note(job, Progress(1))
    assert sender._service is None
    assert job.progress == Progress(1)


def test_a_flush_waits_for_the_call_under_way_and_sends_the_rest(sender_of: Any, gate: threading.Event) -> None:
    line = Gate(gate)
    sender = sender_of(line)
    job = Job(Granted("t1", b"", "7:ab", 1, 0, solo=False, pushed_at=0), Lease(0.0))
    sender.note(job, Progress(1))
    assert line.entered.wait(PATIENCE)
    sender.note(job, Progress(2))
    flushing = threading.Thread(target=sender.flush, name="fairque-flush")
    flushing.start()
    gate.set()
    flushing.join(PATIENCE)
    assert job.progress is None
    assert [report.progress.done for reports in line.sent for report in reports] == [1, 2]
    sender.stop()
