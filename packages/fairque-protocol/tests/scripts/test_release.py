"""release: a running task returns to the queue as if it had not been started."""

from typing import TYPE_CHECKING

import pytest

from fairque.protocol.model.states import Priority, TaskState
from fairque.protocol.wire.status import Status

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench

#: A token that no attempt of these tests has.
STRANGER = "1:ab"

BACK = (Status.OK, TaskState.QUEUED)


def test_a_released_attempt_does_not_count_and_starts_again_at_once(queue: "Bench") -> None:
    queue.release(queue.started())
    record = queue.snapshot("t:")["t:t1"]
    assert (record["state"], record.get("attempt"), record.get("lost")) == ("QUEUED", None, None)
    (again,) = queue.pop()
    assert (again.attempt, again.failures, again.solo) == (1, 0, False)


@pytest.mark.parametrize("priority", [Priority.NORMAL, Priority.CRITICAL])
def test_a_released_task_returns_to_its_place(queue: "Bench", priority: Priority) -> None:
    ids = queue.fill("ann", 3, priority=priority)
    places = queue.snapshot("n:", "c:")
    granted = queue.pop()[0]
    queue.advance(3_000)
    assert queue.release(granted) == [BACK]
    assert queue.snapshot("n:", "c:") == places
    assert queue.pop_ids(3) == ids


def test_a_release_charges_the_run_time(queue: "Bench") -> None:
    granted = queue.started()
    queue.advance(9)
    queue.release(granted, ran_us=7_000)
    assert queue.snapshot("u:")["u:ann"]["S"] == "7000"
    assert queue.snapshot("u:")["u:ann"]["inf"] == "0"


def test_a_repeated_release_answers_the_same_and_changes_nothing(queue: "Bench") -> None:
    granted = queue.started()
    queue.release(granted)
    before = queue.snapshot()
    assert queue.release(granted) == [(Status.ALREADY, TaskState.QUEUED)]
    assert queue.snapshot() == before


def test_a_repeated_release_while_the_next_attempt_runs_changes_nothing(queue: "Bench") -> None:
    granted = queue.started()
    queue.release(granted)
    queue.pop()
    before = queue.snapshot()
    assert queue.release(granted) == [(Status.ALREADY, TaskState.STARTED)]
    assert queue.snapshot() == before


def test_a_task_that_was_asked_to_stop_ends_canceled(queue: "Bench") -> None:
    granted = queue.started()
    queue.cancel("t1")
    assert queue.release(granted) == [(Status.OK, TaskState.CANCELED)]
    assert queue.pop() == ()
    assert queue.outcome("t1") == (TaskState.CANCELED, b'"canceled while it ran"')


def test_another_token_is_only_refused_and_counted(queue: "Bench") -> None:
    granted = queue.started()
    before = queue.snapshot()
    assert queue.release(granted, token=STRANGER) == [(Status.LOST, TaskState.STARTED)]
    assert queue.snapshot() == {**before, "counts": {"stale": "1"}}


def test_a_batch_has_an_answer_for_each(queue: "Bench") -> None:
    queue.fill("ann", 2)
    one, two = queue.pop(2)
    queue.finish(one)
    assert queue.release(one, two) == [(Status.ALREADY, TaskState.FINISHED), BACK]
    assert queue.raw("release", 1000, "nobody", "1:ab", 5) == [Status.OK, Status.NOT_FOUND, b""]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["1000"],
        ["1000", "t1", "1:a"],
        ["x", "t1", "1:a", "5"],
        ["1000", "t1", "1:a", "long"],
        ["1000", "t1", "1:a", "-1"],
        ["1000", "t1", "1:a", "1e300"],
    ],
)
def test_wrong_arguments_change_nothing(queue: "Bench", arguments: list[str]) -> None:
    queue.started()
    before = queue.snapshot()
    assert queue.raw("release", *arguments)[0] == Status.BAD_ARGS
    assert queue.snapshot() == before
