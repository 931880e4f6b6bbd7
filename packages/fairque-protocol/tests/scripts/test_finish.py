"""finish: the result is stored once, for the holder of the token, and the charge is corrected to the run time."""

from typing import TYPE_CHECKING

import pytest

from fairque.protocol.model.states import TaskState
from fairque.protocol.wire.status import Status

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench

#: A token that no attempt of these tests has.
STRANGER = "1:ab"

DONE = (Status.OK, TaskState.FINISHED)
BEFORE = (Status.ALREADY, TaskState.FINISHED)


def test_a_finish_stores_the_record_and_the_result(queue: "Bench") -> None:
    granted = queue.started()
    queue.woken()
    queue.advance(8)
    assert queue.finish(granted, result=b'{"a":1}', ran_us=6_000) == [DONE]
    found = queue.snapshot()
    record = found.pop("t:t1")
    assert (record["state"], record["ended_at"]) == ("FINISHED", str(queue.now_ms))
    assert found.pop("claim:w1")
    assert found == {
        "meta": {"test": "1", "schema": "1", "born": found["meta"]["born"]},
        # A first task that took 6 ms moves the estimate for unknown users by an eighth of the difference.
        "g": queue.new_globals(
            aseq=1, bs=1, est0=1_625, pop_at=queue.now_ms - 8, pushed=1, finished=1, clk=queue.now_us - 8_000
        ),
        "users": [("ann", 0.0)],
        "u:ann": {
            "S": "6000",
            "inf": "0",
            "lane": "",
            "served": "6000",
            "ewma": "6000",
            "since": str(queue.now_ms - 8),
        },
        "owe": [("ann", 6000.0)],
        "kept": [("t1", queue.now_ms + 60_000)],
        "r:t1": '{"a":1}',
    }
    assert queue.outcome("t1") == (TaskState.FINISHED, b'{"a":1}')


def test_a_result_of_null_takes_no_key(queue: "Bench") -> None:
    queue.finish(queue.started())
    assert not queue.snapshot("r:")
    assert queue.outcome("t1") == (TaskState.FINISHED, b"")


def test_a_repeated_finish_answers_the_same_and_changes_nothing(queue: "Bench") -> None:
    granted = queue.started()
    queue.finish(granted, result=b"1")
    before = queue.snapshot()
    assert queue.finish(granted, result=b"2") == [BEFORE]
    assert queue.snapshot() == before


def test_twice_in_one_call_counts_once(queue: "Bench") -> None:
    granted = queue.started()
    assert queue.finish(granted, granted) == [DONE, BEFORE]
    assert queue.stats().finished == 1


def test_another_token_is_only_refused_and_counted(queue: "Bench") -> None:
    granted = queue.started()
    before = queue.snapshot()
    assert queue.finish(granted, token=STRANGER) == [(Status.LOST, TaskState.STARTED)]
    assert queue.snapshot() == {**before, "counts": {"stale": "1"}}


@pytest.mark.parametrize("state", ["QUEUED", "SCHEDULED", "CANCELED", "FAILED"])
def test_a_task_that_is_not_running_cannot_be_finished(queue: "Bench", state: str) -> None:
    queue.push(queue.task(delay_ms=5 if state == "SCHEDULED" else 0))
    if state == "CANCELED":
        queue.cancel("t1")
    if state == "FAILED":
        queue.fail(*queue.pop(), verdict="dead")
    before = queue.snapshot("t:", "r:", "kept", "u:")
    reply = queue.raw("finish", 1000, "t1", "1:ab", 5, "1", "")
    assert reply == [Status.OK, Status.LOST, state.encode()]
    assert queue.snapshot("t:", "r:", "kept", "u:") == before


def test_an_unknown_task_is_not_found(queue: "Bench") -> None:
    before = queue.snapshot()
    reply = queue.raw("finish", 1000, "nobody", "1:ab", 5, "1", "")
    assert reply == [Status.OK, Status.NOT_FOUND, b""]
    assert {**queue.snapshot(), "g": None} == {**before, "g": None}


def test_a_batch_has_an_answer_for_each(queue: "Bench") -> None:
    queue.fill("ann", 2)
    queue.fill("bob", 1)
    one, two, three = queue.pop(3)
    queue.finish(two)
    assert queue.finish(one, two, three) == [DONE, BEFORE, DONE]
    assert queue.stats().finished == 3
    assert queue.stats().running == 0


def test_one_bad_task_of_a_batch_refuses_all(queue: "Bench") -> None:
    granted = queue.started()
    before = queue.snapshot()
    reply = queue.raw("finish", 1000, "t1", granted.token, 5, "1", "", "t2", "1:ab", "-5", "1", "")
    assert reply[0] == Status.BAD_ARGS
    assert queue.snapshot() == before


@pytest.mark.parametrize(
    ("ran_us", "charged"),
    [(6_000, 6_000), (10, 1_000), (0, 1_000), (9_000_000_000, 8_000)],
    ids=["its time", "at least 1 ms", "nothing", "at most the server's time"],
)
def test_the_charge_is_the_worker_s_time_within_bounds(queue: "Bench", ran_us: int, charged: int) -> None:
    granted = queue.started(cost=3.0)
    queue.advance(8)
    queue.finish(granted, ran_us=ran_us)
    assert queue.snapshot("u:")["u:ann"]["S"] == str(charged)


def test_a_user_is_charged_the_run_time_of_its_tasks_to_the_microsecond(queue: "Bench") -> None:
    queue.fill("ann", 20)
    times = [1_001 + 977 * n for n in range(20)]
    for ran_us in times:
        (granted,) = queue.pop()
        queue.advance(50)
        queue.finish(granted, ran_us=ran_us)
    assert queue.snapshot("u:ann")["u:ann"]["S"] == str(sum(times))


def test_the_estimate_moves_by_an_eighth_of_the_difference(queue: "Bench") -> None:
    for ran_us in (8_000, 16_000):
        granted = queue.started()
        queue.advance(50)
        queue.finish(granted, ran_us=ran_us)
    queue.started()
    assert queue.snapshot("u:")["u:ann"]["ewma"] == "9000"
    assert queue.snapshot("t:t3")["t:t3"]["charged"] == "9000"


def test_a_user_in_the_ring_moves_to_what_it_really_used(queue: "Bench") -> None:
    queue.fill("ann", 2)
    (granted,) = queue.pop()
    queue.advance(50)
    queue.finish(granted, ran_us=40_000)
    assert queue.snapshot("ready") == {"ready": [("ann", 40_000.0)]}


def test_a_finish_of_a_task_that_was_asked_to_stop_is_still_a_finish(queue: "Bench") -> None:
    granted = queue.started()
    queue.cancel("t1")
    assert queue.finish(granted, result=b"1") == [DONE]
    assert queue.outcome("t1") == (TaskState.FINISHED, b"1")


def test_records_kept_long_enough_are_forgotten_on_the_way(queue: "Bench") -> None:
    queue.finish(queue.started())
    queue.finish(queue.started())
    queue.finish(queue.started())
    queue.advance(60_000)
    queue.finish(queue.started())
    assert len(queue.snapshot("t:")) == 2
    queue.finish(queue.started())
    assert len(queue.snapshot("t:")) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["1000"],
        ["1000", "t1", "1:a", "5", ""],
        ["x", "t1", "1:a", "5", "", ""],
        ["1000", "t1", "1:a", "long", "", ""],
        ["1000", "t1", "1:a", "1e300", "", ""],
        ["1e300", "t1", "1:a", "5", "", ""],
    ],
)
def test_wrong_arguments_change_nothing(queue: "Bench", arguments: list[str]) -> None:
    queue.started()
    before = queue.snapshot()
    assert queue.raw("finish", *arguments)[0] == Status.BAD_ARGS
    assert queue.snapshot() == before
