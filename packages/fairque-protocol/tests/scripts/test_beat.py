"""beat: which leases are renewed, for how long, and what a long task is charged meanwhile."""

from typing import TYPE_CHECKING

import pytest

from fairque.protocol.wire.status import Status

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench


def test_a_beat_extends_the_lease(queue: "Bench") -> None:
    granted = queue.started()
    queue.advance(10_000)
    assert queue.beat(granted) == [Status.OK]
    assert queue.snapshot("running") == {"running": [("t1", queue.now_ms + 30_000)]}


def test_a_beat_charges_the_time_that_the_task_has_run(queue: "Bench") -> None:
    granted = queue.started()
    queue.advance(10_000)
    queue.beat(granted)
    assert queue.snapshot("t:")["t:t1"]["charged"] == "10000000"
    assert queue.snapshot("u:")["u:ann"]["S"] == "10000000"
    assert queue.snapshot("owe") == {"owe": [("ann", 10_000_000.0)]}


def test_a_beat_moves_a_waiting_user_back_in_the_ring(queue: "Bench") -> None:
    queue.fill("ann", 2)
    granted = queue.pop()[0]
    queue.advance(7)
    queue.beat(granted)
    assert queue.snapshot("ready") == {"ready": [("ann", 7_000.0)]}


def test_a_repeated_beat_changes_nothing(queue: "Bench") -> None:
    granted = queue.started()
    queue.advance(10_000)
    queue.beat(granted)
    before = queue.snapshot()
    assert queue.beat(granted) == [Status.OK]
    assert queue.snapshot() == before


def test_a_task_shorter_than_its_estimate_is_not_charged_more(queue: "Bench") -> None:
    granted = queue.started(cost=5.0)
    queue.advance(2_000)
    queue.beat(granted)
    assert queue.snapshot("t:")["t:t1"]["charged"] == "5000000"


def test_each_task_of_a_batch_has_its_own_answer(queue: "Bench") -> None:
    ids = [*queue.fill("ann", 2), *queue.fill("bob", 2)]
    held = {t.task_id: t for t in queue.pop(4)}
    assert set(held) == set(ids)
    queue.cancel("t2")
    queue.finish(held["t3"])
    unknown = ("nobody", held["t1"].token)
    assert queue.beat(held["t1"], held["t2"], held["t3"], ("t4", "1:ab"), unknown) == [
        Status.OK,
        Status.REQUESTED,
        Status.LOST,
        Status.LOST,
        Status.LOST,
    ]


def test_a_lost_lease_stays_lost(queue: "Bench") -> None:
    granted = queue.started()
    queue.advance(30_000)
    queue.sweep()
    before = queue.snapshot()
    assert queue.beat(granted) == [Status.LOST]
    assert queue.snapshot() == before


def test_a_lease_outlasts_the_timeout_of_its_task_so_that_the_failure_can_be_reported(queue: "Bench") -> None:
    granted = queue.started(timeout_ms=12_000)
    queue.advance(10_000)
    assert queue.beat(granted) == [Status.OK]
    assert queue.snapshot("running") == {"running": [("t1", queue.now_ms + 30_000)]}


def test_no_lease_is_renewed_beyond_the_timeout(queue: "Bench") -> None:
    granted = queue.started(timeout_ms=12_000)
    queue.advance(12_000)
    before = queue.snapshot("running")
    assert queue.beat(granted) == [Status.OVERDUE]
    assert queue.snapshot("running") == before


def test_a_clock_that_steps_back_charges_nothing(queue: "Bench") -> None:
    granted = queue.started()
    queue.advance(-5_000)
    assert queue.beat(granted) == [Status.OK]
    assert queue.snapshot("t:")["t:t1"]["charged"] == "1000"


@pytest.mark.parametrize(
    "arguments",
    [[], ["1000"], ["1000", "t1"], ["0", "t1", "1:a"], ["x", "t1", "1:a"], ["1e300", "t1", "1:a"]],
)
def test_wrong_arguments_change_nothing(queue: "Bench", arguments: list[str]) -> None:
    queue.started()
    before = queue.snapshot()
    assert queue.raw("beat", *arguments)[0] == Status.BAD_ARGS
    assert queue.snapshot() == before
