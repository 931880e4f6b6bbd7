"""How a worker takes tasks: as many as it has free slots, immediately, and without polling."""

import threading
from datetime import timedelta
from queue import SimpleQueue
from typing import Any

import pytest

from fairque.protocol.model.states import TaskState
from fairque.testing.internal import PATIENCE, eventually


class Meter:
    """A task that waits at a gate, and counts how many are waiting."""

    def __init__(self, gate: threading.Event) -> None:
        self.__name__ = "meter"
        self.__qualname__ = "meter"
        self._gate = gate
        self._lock = threading.Lock()
        self.running = 0
        self.most = 0

    def __call__(self) -> None:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        assert self._gate.wait(PATIENCE)
        with self._lock:
            self.running -= 1


def nothing() -> None:
    """The shortest task."""


def test_all_slots_are_used_and_no_task_is_held_beyond_them(bench: Any, gate: threading.Event) -> None:
    meter = Meter(gate)
    worker = bench.start(meter, concurrency=3)
    bench.push_all([bench.task(meter, user=f"u{n}") for n in range(10)])
    eventually(lambda: meter.running == 3, what="three tasks at a time")
    # Prefetched tasks would escape fairness: the rest stays in the queue.
    stats = bench.stats()
    assert (stats.running, stats.queued, worker.running) == (3, 7, 3)
    gate.set()
    eventually(lambda: bench.stats().finished == 10, what="all tasks")
    assert meter.most == 3


def test_one_free_slot_takes_one_task(bench: Any, gate: threading.Event) -> None:
    meter = Meter(gate)
    once = threading.Event()

    def waits() -> None:
        assert once.wait(PATIENCE)

    bench.start(meter, waits, concurrency=2)
    bench.push(meter)
    bench.push(waits)
    eventually(lambda: bench.stats().running == 2)
    bench.push_all([bench.task(meter) for _ in range(3)])
    once.set()
    eventually(lambda: meter.running == 2)
    assert (bench.stats().running, bench.stats().queued) == (2, 2)


def test_concurrency_is_never_exceeded_by_many_short_tasks(bench: Any) -> None:
    lock = threading.Lock()
    running, most = 0, 0

    def short() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.001)
        with lock:
            running -= 1

    bench.start(short, concurrency=4)
    bench.push_all([bench.task(short, user=f"u{n % 7}") for n in range(300)])
    eventually(lambda: bench.stats().finished == 300, what="all tasks")
    assert 1 < most <= 4


def test_more_slots_than_one_call_grants_are_all_used(bench: Any, gate: threading.Event) -> None:
    meter = Meter(gate)
    bench.start(meter, concurrency=130)
    bench.push_all([bench.task(meter) for _ in range(140)])
    eventually(lambda: meter.running == 130, what="130 tasks at a time")
    assert bench.stats().queued == 10


def test_an_idle_worker_does_not_poll(bench: Any, never_looks: dict[str, float]) -> None:
    bench.start(nothing, **never_looks)
    bench.result(bench.push(nothing))
    before = bench.command_count("evalsha")
    # Time has to pass for polling to show; there is no event to wait for.
    threading.Event().wait(1)
    calls = bench.command_count("evalsha") - before
    # One sweep, one check, one pop that was under way.
    assert calls <= 3, f"{calls} scripts in a second without work"


def test_a_push_wakes_an_idle_worker(bench: Any, never_looks: dict[str, float]) -> None:
    bench.start(nothing, **never_looks)
    for _ in range(8):
        bench.result(bench.push(nothing))


def test_every_idle_worker_gets_some_of_a_batch(
    bench: Any, gate: threading.Event, never_looks: dict[str, float]
) -> None:
    meter = Meter(gate)
    for _ in range(3):
        bench.start(meter, concurrency=2, **never_looks)
    eventually(lambda: bench.client.info("clients")["blocked_clients"] >= 3, what="three idle workers")
    bench.push_all([bench.task(meter) for _ in range(6)])
    eventually(lambda: meter.running == 6, what="six tasks on three workers")


def test_a_delayed_task_that_comes_sooner_than_all_others_is_started_in_time(
    bench: Any, never_looks: dict[str, float]
) -> None:
    bench.start(nothing, **never_looks)
    bench.push(nothing, delay=30_000)
    task_id = bench.push(nothing, delay=0.1)
    bench.result(task_id)
    info = bench.info(task_id)
    assert info.started_at - info.pushed_at >= timedelta(milliseconds=100)


def test_two_workers_share_a_queue_and_run_each_task_once(bench: Any) -> None:
    ran: SimpleQueue[int] = SimpleQueue()

    def note(number: int) -> None:
        ran.put(number)
        threading.Event().wait(0.002)

    bench.start(note, name="first")
    bench.start(note, name="second")
    ids = bench.push_all([bench.task(note, number) for number in range(100)])
    eventually(lambda: bench.stats().finished == 100, what="all tasks")
    assert sorted(ran.get_nowait() for _ in range(100)) == list(range(100))
    assert {bench.info(task_id).worker for task_id in ids} == {"first", "second"}


def test_a_burst_ends_when_nothing_is_runnable(bench: Any) -> None:
    ids = bench.push_all([bench.task(nothing) for _ in range(50)])
    later = bench.push(nothing, delay=1_000)
    worker = bench.worker(nothing, burst=True)
    worker.start()
    assert worker.wait_idle(10)
    assert {bench.state(task_id) for task_id in ids} == {TaskState.FINISHED}
    assert bench.state(later) is TaskState.SCHEDULED


def test_a_burst_of_an_empty_queue_ends_at_once(bench: Any) -> None:
    worker = bench.worker(nothing, burst=True)
    worker.start()
    assert worker.wait_idle(5)


def test_a_burst_waits_for_the_tasks_that_run_and_takes_what_they_push(bench: Any) -> None:
    def pushes() -> str:
        return str(bench.push(nothing))

    first = bench.push(pushes)
    worker = bench.worker(pushes, nothing, burst=True, concurrency=1)
    worker.start()
    assert worker.wait_idle(5)
    assert bench.state(bench.result(first)) is TaskState.FINISHED


def test_run_ends_with_the_burst(bench: Any) -> None:
    bench.push_all([bench.task(nothing) for _ in range(5)])
    worker = bench.worker(nothing, burst=True)
    worker.run()
    assert worker._all_ended
    assert bench.stats().finished == 5


def test_a_defect_in_the_fetch_loop_ends_the_worker_instead_of_holding_its_tasks(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = bench.worker(nothing)

    def broken(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(worker._consumer, "request", broken)
    from fairque.worker import FairqueError  # noqa: PLC0415 - this test only

    with pytest.raises(FairqueError, match="the worker crashed: RuntimeError"):
        worker.run()
    assert worker.running == 0
