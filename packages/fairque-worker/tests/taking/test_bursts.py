"""When a burst ends: at once when nothing runnable is left according to the server, and not before."""

import asyncio
import threading
from typing import Any

import pytest

from fairque.protocol import clock
from fairque.protocol.calls.limits import Setting
from fairque.protocol.model.states import TaskState
from fairque.testing.internal import PATIENCE, calls
from fairque.worker import Snooze, TaskHandler

#: Every number of slots changes who pops: the report of an ending, or the wait that is under way.
SLOTS = (1, 2, 8, 16)


def nothing() -> None:
    """The shortest task."""


async def later() -> None:
    """The shortest coroutine."""
    await asyncio.sleep(0)


def limited(bench: Any, **values: float) -> None:
    names: dict[Any, Any] = values
    bench.run(calls.limit(bench.keys, [Setting("ann", name, value) for name, value in names.items()]))


def burst(bench: Any, *work: Any, **options: Any) -> None:
    worker = bench.worker(*work, burst=True, **options)
    worker.start()
    assert worker.wait_idle(PATIENCE), "the burst did not end"
    worker.stop()


@pytest.mark.parametrize("slots", SLOTS)
@pytest.mark.parametrize("function", [nothing, later])
def test_a_burst_runs_a_chain_to_its_end(bench: Any, slots: int, function: Any) -> None:
    for _ in range(10):
        ids = [bench.push(function)]
        for _ in range(3):
            ids.append(bench.push(function, depends_on=[ids[-1]]))
        burst(bench, function, concurrency=slots)
        assert [bench.state(task_id) for task_id in ids] == [TaskState.FINISHED] * 4


@pytest.mark.parametrize("slots", SLOTS)
def test_a_burst_runs_all_tasks_of_a_user_with_a_cap(bench: Any, slots: int) -> None:
    limited(bench, cap=2)
    ids = bench.push_all([bench.task(nothing) for _ in range(30)])
    burst(bench, nothing, concurrency=slots)
    assert {bench.state(task_id) for task_id in ids} == {TaskState.FINISHED}


@pytest.mark.parametrize("slots", SLOTS)
def test_a_burst_runs_what_its_tasks_push_down_to_the_last_child(bench: Any, slots: int) -> None:
    def parent(depth: int) -> None:
        if depth:
            bench.push("parent", depth - 1)

    for _ in range(10):
        bench.push(parent, 4)
        burst(bench, parent, concurrency=slots)
    assert (bench.stats().queued, bench.stats().finished) == (0, 50)


@pytest.mark.parametrize("slots", SLOTS)
@pytest.mark.parametrize("fails", [True, False])
def test_a_burst_notifies_all_dependents_of_a_wide_task(bench: Any, slots: int, *, fails: bool) -> None:
    def parent() -> None:
        if fails:
            raise ValueError("a test")

    bench.push(parent, task_id="parent", retries=0)
    bench.push_all([bench.task(nothing, depends_on=["parent"]) for _ in range(500)])
    burst(bench, parent, nothing, concurrency=slots)
    stats = bench.stats()
    assert (stats.deferred, stats.queued, stats.running) == (0, 0, 0)
    assert (stats.canceled, stats.finished) == ((500, 0) if fails else (0, 501))


def test_a_burst_runs_a_task_whose_retry_is_due_at_once(bench: Any) -> None:
    def twice() -> int:
        attempts.append(None)
        if len(attempts) < 3:
            raise Snooze(0)
        return len(attempts)

    attempts: list[None] = []
    task_id = bench.push(twice)
    burst(bench, twice)
    assert bench.result(task_id) == 3


class Pushes(TaskHandler):
    """Pushes a task from its hook, three times."""

    def __init__(self, bench: Any) -> None:
        self._bench = bench
        self._left = 3
        self.entered = threading.Event()

    def handle(self, task: Any, ctx: Any) -> None:
        """Do nothing."""

    def on_success(self, task: Any, result: Any, ctx: Any) -> None:  # noqa: ARG002 - as the base class has it
        self.entered.set()
        if self._left:
            self._left -= 1
            self._bench.push("again")


@pytest.mark.parametrize("slots", SLOTS)
def test_a_burst_waits_for_hooks_and_runs_what_they_push(bench: Any, slots: int) -> None:
    bench.push("first")
    burst(bench, Pushes(bench), concurrency=slots)
    assert (bench.stats().queued, bench.stats().finished) == (0, 4)


def test_a_burst_leaves_tasks_that_wait_for_a_time_and_logs_how_many(
    bench: Any, caplog: pytest.LogCaptureFixture
) -> None:
    limited(bench, rate=0.001, burst=1)
    rated = bench.push_all([bench.task(nothing) for _ in range(3)])
    delayed = bench.push(nothing, user="bob", delay=1_000)
    behind = bench.push(nothing, user="bob", depends_on=[delayed])
    with caplog.at_level("INFO", logger="fairque.worker"):
        burst(bench, nothing)
    assert sorted(bench.state(task_id) for task_id in rated) == ["FINISHED", "QUEUED", "QUEUED"]
    assert (bench.state(delayed), bench.state(behind)) == (TaskState.SCHEDULED, TaskState.DEFERRED)
    (record,) = [record for record in caplog.records if record.msg == "the burst is over"]
    assert {name: vars(record)[name] for name in ("queued", "scheduled", "deferred")} == {
        "queued": 2,
        "scheduled": 1,
        "deferred": 1,
    }


def test_a_burst_does_not_wait_for_what_other_workers_hold(bench: Any, gate: threading.Event) -> None:
    def patient() -> None:
        assert gate.wait(PATIENCE)

    held = bench.push(patient)
    bench.start(patient, concurrency=1)
    bench.reaches(held, TaskState.STARTED)
    behind = bench.push(nothing, depends_on=[held])
    burst(bench, nothing)
    assert bench.state(behind) is TaskState.DEFERRED


def test_a_burst_takes_a_task_that_another_pushes_while_it_has_work(bench: Any, gate: threading.Event) -> None:
    def patient() -> None:
        assert gate.wait(PATIENCE)

    bench.push(patient)
    worker = bench.worker(patient, nothing, burst=True)
    worker.start()
    bench.result(bench.push(nothing))
    gate.set()
    assert worker.wait_idle(PATIENCE)


def test_a_chain_of_four_costs_less_than_twenty_times_its_bare_round_trips(bench: Any) -> None:
    def push_chain() -> None:
        ids = [bench.push(nothing)]
        for _ in range(3):
            ids.append(bench.push(nothing, depends_on=[ids[-1]]))

    def bare() -> float:
        push_chain()
        begun = clock.monotonic()
        for _ in range(4):
            (granted,) = bench.pop()
            bench.finish(granted)
        return clock.monotonic() - begun

    def whole() -> float:
        push_chain()
        worker = bench.worker(nothing, burst=True, concurrency=16)
        begun = clock.monotonic()
        worker.start()
        assert worker.wait_idle(PATIENCE)
        return clock.monotonic() - begun

    # The fastest of several rounds: other work on the machine only ever adds time.
    least, chain = bare(), whole()
    for _ in range(200):
        if chain < 20 * least:
            break
        least, chain = min(least, bare()), min(chain, whole())
    assert chain < 20 * least


def test_a_burst_of_several_processes_leaves_nothing_runnable(bench: Any) -> None:
    """Here two workers of one process, which share only the queue."""

    def parent(depth: int) -> None:
        if depth:
            bench.push("parent", depth - 1)

    for number in range(20):
        bench.push(parent, 3, user=f"user-{number % 3}")
    workers = [bench.worker(parent, burst=True, name=name) for name in ("first", "second")]
    for worker in workers:
        worker.start()
    for worker in workers:
        assert worker.wait_idle(PATIENCE)
    assert (bench.stats().queued, bench.stats().running, bench.stats().finished) == (0, 0, 80)
