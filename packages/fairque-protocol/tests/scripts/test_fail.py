"""fail: a retry after a pause, a dead letter, or a cancelation."""

from typing import TYPE_CHECKING, Any

import pytest

from fairque.protocol.model.states import TaskState
from fairque.protocol.wire.status import Status

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench

#: A token that no attempt of these tests has.
STRANGER = "1:ab"

SCHEDULED = (Status.OK, TaskState.SCHEDULED)
DEAD = (Status.OK, TaskState.FAILED)
CANCELED = (Status.OK, TaskState.CANCELED)


def test_a_retry_waits_for_its_pause_and_starts_again(queue: "Bench") -> None:
    granted = queue.started()
    queue.advance(8)
    assert queue.fail(granted, pause_ms=250) == [SCHEDULED]
    found = queue.snapshot()
    assert found["delayed"] == [("t1", queue.now_ms + 250)]
    assert "running" not in found
    assert "kept" not in found
    assert found["m:t1"]
    record = found["t:t1"]
    assert (record["state"], record["fails"], record.get("lost")) == ("SCHEDULED", "1", None)
    assert found["u:ann"]["S"] == "5000"
    queue.advance(250)
    (again,) = queue.pop()
    assert (again.attempt, again.failures, again.solo) == (2, 1, False)
    assert queue.stats().retried == 1


def test_a_retried_task_is_enqueued_at_the_time_when_it_was_due(queue: "Bench") -> None:
    queue.fail(queue.started(), pause_ms=100)
    due_us = queue.now_us + 100_000
    queue.advance(900)
    queue.sweep()
    assert queue.snapshot("n:") == {"n:ann": [("t1", due_us - 120_000_000)]}


def test_a_snooze_does_not_count_as_a_failure(queue: "Bench") -> None:
    queue.fail(queue.started(), verdict="snooze", pause_ms=0)
    (again,) = queue.pop()
    assert again.failures == 0
    assert "lost" not in queue.snapshot("t:")["t:t1"]
    assert queue.stats().retried == 0


def test_a_dead_letter_keeps_the_message_and_the_error(queue: "Bench") -> None:
    granted = queue.started()
    assert queue.fail(granted, verdict="dead", error=b'{"error":"x"}') == [DEAD]
    assert queue.outcome("t1") == (TaskState.FAILED, b'{"error":"x"}')
    assert queue.snapshot("dead", "kept", "m:") == {
        "dead": [("t1", queue.now_ms)],
        "kept": [("t1", queue.now_ms + 120_000)],
        "m:t1": granted.message.decode(),
    }
    assert queue.stats().failed == 1
    assert queue.stats().dead == 1


def test_a_task_that_cancels_itself_ends_canceled(queue: "Bench") -> None:
    assert queue.fail(queue.started(), verdict="cancel", error=b'"enough"') == [CANCELED]
    assert queue.outcome("t1") == (TaskState.CANCELED, b'"enough"')
    assert queue.snapshot("kept", "m:") == {"kept": [("t1", queue.now_ms + 60_000)]}


@pytest.mark.parametrize(("verdict", "answer"), [("retry", CANCELED), ("snooze", CANCELED), ("dead", DEAD)])
def test_a_task_that_was_asked_to_stop_is_not_retried(queue: "Bench", verdict: str, answer: Any) -> None:
    granted = queue.started()
    queue.cancel("t1")
    assert queue.fail(granted, verdict=verdict) == [answer]
    queue.advance(10_000)
    assert queue.pop() == ()


@pytest.mark.parametrize("verdict", ["retry", "snooze", "dead", "cancel"])
def test_a_repeated_fail_answers_the_same_and_changes_nothing(queue: "Bench", verdict: str) -> None:
    granted = queue.started()
    ((_, state),) = queue.fail(granted, verdict=verdict)
    before = queue.snapshot()
    assert queue.fail(granted, verdict=verdict) == [(Status.ALREADY, state)]
    assert queue.snapshot() == before


def test_a_repeated_fail_while_the_next_attempt_runs_changes_nothing(queue: "Bench") -> None:
    granted = queue.started()
    queue.fail(granted, pause_ms=0)
    (again,) = queue.pop()
    before = queue.snapshot()
    assert queue.fail(granted) == [(Status.ALREADY, TaskState.STARTED)]
    assert queue.snapshot() == before
    assert queue.finish(again) == [(Status.OK, TaskState.FINISHED)]


def test_another_token_is_only_refused_and_counted(queue: "Bench") -> None:
    granted = queue.started()
    before = queue.snapshot()
    assert queue.fail(granted, verdict="dead", token=STRANGER) == [(Status.LOST, TaskState.STARTED)]
    assert queue.snapshot() == {**before, "counts": {"stale": "1"}}


def test_an_unknown_task_is_not_found(queue: "Bench") -> None:
    reply = queue.raw("fail", 1000, 1000, "nobody", "1:ab", 5, "retry", 0, "")
    assert reply == [Status.OK, Status.NOT_FOUND, b""]


def test_a_batch_may_mix_verdicts(queue: "Bench") -> None:
    queue.fill("ann", 3)
    one, two, three = queue.pop(3)
    arguments: list[Any] = [
        *(one.task_id, one.token, 5, "retry", 100, "{}"),
        *(two.task_id, two.token, 5, "dead", 0, "{}"),
        *(three.task_id, three.token, 5, "snooze", 100, "{}"),
    ]
    reply = queue.raw("fail", 1000, 1000, *arguments)
    assert reply == [1, 1, b"SCHEDULED", 1, b"FAILED", 1, b"SCHEDULED"]
    assert queue.stats().running == 0


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["1000", "1000"],
        ["1000", "1000", "t1", "1:a", "5", "retry", "0"],
        ["x", "1000", "t1", "1:a", "5", "retry", "0", ""],
        ["1000", "", "t1", "1:a", "5", "retry", "0", ""],
        ["1000", "1000", "t1", "1:a", "long", "retry", "0", ""],
        ["1000", "1000", "t1", "1:a", "5", "perhaps", "0", ""],
        ["1000", "1000", "t1", "1:a", "5", "retry", "soon", ""],
        ["1000", "1000", "t1", "1:a", "5", "retry", "1e300", ""],
    ],
)
def test_wrong_arguments_change_nothing(queue: "Bench", arguments: list[str]) -> None:
    queue.started()
    before = queue.snapshot()
    assert queue.raw("fail", *arguments)[0] == Status.BAD_ARGS
    assert queue.snapshot() == before
