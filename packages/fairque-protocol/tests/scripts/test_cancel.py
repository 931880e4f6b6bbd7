"""cancel: waiting tasks end at once, running ones are asked to stop, ended ones keep their ending."""

from typing import TYPE_CHECKING

import pytest

from fairque.protocol.errors import TaskNotFound
from fairque.protocol.model.states import Priority, TaskState
from fairque.protocol.wire.status import Status

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench

CANCELED = (Status.OK, TaskState.CANCELED)


def test_a_queued_task_is_canceled_at_once(queue: "Bench") -> None:
    queue.push()
    queue.woken()
    assert queue.cancel("t1") == CANCELED
    found = queue.snapshot()
    record = found.pop("t:t1")
    assert (record["state"], record["ended_at"]) == ("CANCELED", str(queue.now_ms))
    assert found == {
        "meta": {"test": "1", "schema": "1", "born": found["meta"]["born"]},
        "counts": {"canceled": "1"},
        "g": queue.new_globals(aseq=1, pushed=1, clk=queue.now_us),
        "kept": [("t1", queue.now_ms + 60_000)],
        "r:t1": '"no longer wanted"',
    }
    assert queue.pop() == ()


def test_a_scheduled_task_is_canceled_at_once(queue: "Bench") -> None:
    queue.push(queue.task(delay_ms=100))
    assert queue.cancel("t1") == CANCELED
    assert not queue.snapshot("delayed", "m:")
    queue.advance(100)
    assert queue.pop() == ()


def test_a_critical_task_is_canceled_at_once_and_its_user_leaves_that_ring(queue: "Bench") -> None:
    queue.push(queue.task(), queue.task(task_id="c", priority=Priority.CRITICAL))
    assert queue.cancel("c") == CANCELED
    assert not queue.snapshot("c:", "critical")
    assert queue.pop_ids(2) == ["t1"]


def test_the_user_s_other_tasks_stay(queue: "Bench") -> None:
    queue.fill("ann", 3)
    queue.cancel("t2")
    assert queue.pop_ids(3) == ["t1", "t3"]


def test_a_pause_before_a_retry_can_be_canceled(queue: "Bench") -> None:
    queue.fail(queue.started())
    assert queue.cancel("t1") == CANCELED


def test_a_running_task_is_asked_to_stop(queue: "Bench") -> None:
    granted = queue.started()
    before = queue.snapshot()
    assert queue.cancel("t1") == (Status.REQUESTED, TaskState.STARTED)
    before["t:t1"]["cancel"] = "true"
    assert queue.snapshot() == before
    assert queue.info("t1").cancel_requested
    assert queue.beat(granted) == [Status.REQUESTED]


@pytest.mark.parametrize("state", ["FINISHED", "FAILED", "CANCELED"])
def test_an_ended_task_keeps_its_ending(queue: "Bench", state: str) -> None:
    queue.push()
    if state == "CANCELED":
        queue.cancel("t1")
    else:
        (granted,) = queue.pop()
        _ = queue.finish(granted) if state == "FINISHED" else queue.fail(granted, verdict="dead")
    before = queue.snapshot()
    assert queue.cancel("t1") == (Status.ALREADY, TaskState(state))
    assert queue.snapshot() == before


def test_a_repeated_cancel_changes_nothing(queue: "Bench") -> None:
    queue.started()
    queue.cancel("t1")
    before = queue.snapshot()
    assert queue.cancel("t1") == (Status.REQUESTED, TaskState.STARTED)
    assert queue.snapshot() == before


def test_an_unknown_task_is_not_found(queue: "Bench") -> None:
    before = queue.snapshot()
    with pytest.raises(TaskNotFound, match="nobody"):
        queue.cancel("nobody")
    assert queue.snapshot() == before


@pytest.mark.parametrize("arguments", [[], ["1000", "t1"], ["x", "t1", "r"], ["1000", "", "r"], ["-1", "t1", "r"]])
def test_wrong_arguments_change_nothing(queue: "Bench", arguments: list[str]) -> None:
    queue.push()
    before = queue.snapshot()
    assert queue.raw("cancel", *arguments)[0] == Status.BAD_ARGS
    assert queue.snapshot() == before
