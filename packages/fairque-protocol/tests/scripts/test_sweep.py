"""sweep: due tasks, lost leases, old records and idle users, a hundred of each at a time."""

from typing import TYPE_CHECKING

import pytest

from fairque.protocol.calls import Swept
from fairque.protocol.model.states import TaskState
from fairque.protocol.wire.status import Status

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench


def test_a_sweep_of_an_empty_queue_does_nothing(queue: "Bench") -> None:
    assert queue.sweep() == Swept(0, 0, 0, 0)


def test_due_tasks_become_runnable(queue: "Bench") -> None:
    queue.push(queue.task(delay_ms=100), queue.task(delay_ms=101))
    queue.advance(100)
    assert queue.sweep().promoted == 1
    assert queue.state("t1") is TaskState.QUEUED
    assert queue.state("t2") is TaskState.SCHEDULED


def test_at_most_a_hundred_are_promoted_at_once(queue: "Bench") -> None:
    queue.fill("ann", 130, delay_ms=100)
    queue.advance(100)
    assert queue.sweep().promoted == 100
    assert queue.sweep().promoted == 30


def test_lost_leases_are_taken_back(queue: "Bench") -> None:
    queue.fill("ann", 2)
    queue.pop(2)
    queue.advance(30_000)
    assert queue.sweep().reclaimed == 2
    assert not queue.snapshot("running")
    assert [t.solo for t in queue.pop(2)] == [True, True]


def test_a_lost_lease_leaves_what_was_charged(queue: "Bench") -> None:
    granted = queue.started()
    queue.advance(20_000)
    queue.beat(granted)
    queue.advance(30_000)
    queue.sweep()
    assert queue.snapshot("u:")["u:ann"]["S"] == "20000000"


@pytest.mark.parametrize("canceled", [False, True])
def test_after_its_last_delivery_a_task_ends(queue: "Bench", canceled: bool) -> None:  # noqa: FBT001 - a parameter of pytest
    queue.started()
    if canceled:
        queue.cancel("t1")
    queue.advance(30_000)
    queue.sweep(max_deliveries=1)
    state, blob = queue.outcome("t1")
    if canceled:
        assert state is TaskState.CANCELED
    else:
        assert state is TaskState.FAILED
        assert b'"reason":"deliveries"' in blob


def test_records_are_forgotten_after_their_time(queue: "Bench") -> None:
    queue.finish(queue.started(), result=b"1")
    queue.fail(queue.started(), verdict="dead")
    queue.advance(59_999)
    assert queue.sweep().forgotten == 0
    queue.advance(1)
    assert queue.sweep().forgotten == 1
    assert list(queue.snapshot("t:", "m:", "r:")) == ["m:t2", "r:t2", "t:t2"]
    queue.advance(60_000)
    assert queue.sweep().forgotten == 1
    assert not queue.snapshot("t:", "m:", "r:", "kept", "dead")


def test_users_without_work_are_forgotten_with_their_debt_when_nobody_waits(queue: "Bench") -> None:
    queue.push(*(queue.task(user) for user in ("ann", "bob", "cleo")))
    queue.finish(*queue.pop(3))
    assert len(queue.snapshot("u:")) == 3
    assert queue.sweep().users == 3
    assert not queue.snapshot("u:", "owe")


def test_a_debt_stands_as_long_as_somebody_waits(queue: "Bench") -> None:
    queue.finish(queue.started(user="ann"))
    queue.push(queue.task("bob"), queue.task("cleo"))
    queue.finish(*queue.pop(1))
    queue.sweep()
    assert "u:bob" in queue.snapshot("u:")


def test_a_debt_stands_as_long_as_somebody_runs(queue: "Bench") -> None:
    queue.fill("ann", 1)
    queue.fill("bob", 1)
    ann, _ = queue.pop(2)
    queue.finish(ann)
    queue.sweep()
    assert "u:ann" in queue.snapshot("u:")


def test_what_a_sweep_makes_runnable_is_runnable_after_users_were_forgotten(queue: "Bench") -> None:
    queue.push(queue.task("ann"), queue.task("bob"), queue.task("ann", delay_ms=10))
    ann, _ = queue.pop(2)
    queue.finish(ann)
    queue.advance(30_000)
    swept = queue.sweep()
    assert (swept.reclaimed, swept.promoted) == (1, 1)
    assert sorted(queue.pop_ids(3)) == ["t2", "t3"]


def test_a_delayed_task_whose_record_is_gone_is_dropped(queue: "Bench") -> None:
    queue.push(queue.task(delay_ms=100), queue.task(delay_ms=100))
    queue.client.delete(f"{queue.keys.prefix}t:t1")
    queue.advance(100)
    queue.sweep()
    assert not queue.snapshot("delayed")
    assert queue.pop_ids(2) == ["t2"]


def test_a_running_task_whose_record_is_gone_is_a_dead_letter(queue: "Bench") -> None:
    queue.started()
    queue.client.delete(f"{queue.keys.prefix}t:t1")
    queue.advance(30_000)
    queue.sweep()
    assert not queue.snapshot("running")
    state, error = queue.outcome("t1")
    assert (state, b"its record is gone" in error) == (TaskState.FAILED, True)


def test_one_sweep_at_a_time(queue: "Bench") -> None:
    assert queue.guarded_sweep(5_000) is not None
    before = queue.snapshot()
    assert queue.guarded_sweep(5_000) is None
    assert queue.snapshot() == before
    assert 0 < queue.ttl_ms("sweeping") <= 5_000


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["0", "5", "1000"],
        ["0.3", "5", "1000", "1000"],
        ["x", "5", "1000", "1000"],
        ["0", "", "1000", "1000"],
        ["0", "5", "nan", "1000"],
        ["0", "5", "1000", "1e300"],
    ],
)
def test_wrong_arguments_change_nothing(queue: "Bench", arguments: list[str]) -> None:
    queue.push()
    before = queue.snapshot()
    assert queue.raw("sweep", *arguments)[0] == Status.BAD_ARGS
    assert queue.snapshot() == before
