"""watch: the outcome of a task, or the promise to tell it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from fairque.protocol import calls
from fairque.protocol.calls import Outcome
from fairque.protocol.errors import TaskNotFound
from fairque.protocol.model.states import TaskState
from fairque.protocol.testing import eventually
from fairque.protocol.wire.status import Status

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench

ENDINGS = {"finish": b"FINISHED", "dead": b"FAILED", "cancel": b"CANCELED", "lost": b"FAILED"}


@pytest.fixture
def heard(queue: "Bench") -> Iterator[list[bytes]]:
    """What the listener "me" of the queue was told."""
    lines: list[bytes] = []
    subscription = queue.runner.listen(queue.keys.done("me"), lines.append, lambda: None)
    yield lines
    subscription.close()


def watch(queue: "Bench", task_id: str, listener: str = "me") -> Any:
    return queue.run(calls.watch(queue.keys, task_id, listener))


def test_only_looking_changes_nothing(queue: "Bench") -> None:
    queue.push()
    before = queue.snapshot()
    assert queue.outcome("t1") == (TaskState.QUEUED, b"")
    assert queue.snapshot() == before


def test_a_listener_is_remembered_once(queue: "Bench") -> None:
    queue.push()
    watch(queue, "t1")
    watch(queue, "t1")
    watch(queue, "t1", "you")
    assert queue.snapshot("w:") == {"w:t1": {"me", "you"}}


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_ending_is_told_to_those_who_wait(queue: "Bench", heard: list[bytes], ending: str) -> None:
    queue.push()
    watch(queue, "t1")
    if ending == "cancel":
        queue.cancel("t1")
    elif ending == "lost":
        queue.pop()
        queue.advance(30_000)
        queue.sweep(max_deliveries=1)
    elif ending == "dead":
        queue.fail(*queue.pop(), verdict="dead", error=b'"e"')
    else:
        queue.finish(*queue.pop(), result=b'"r"')
    (line,) = eventually(lambda: heard, what="the ending is told")
    task_id, state, rest = line.split(b"\n", 2)
    assert (task_id, state) == (b"t1", ENDINGS[ending])
    assert rest == b"1" + queue.outcome("t1")[1]
    assert not queue.snapshot("w:")


def test_a_large_result_is_announced_without_itself(queue: "Bench", heard: list[bytes]) -> None:
    granted = queue.started()
    watch(queue, "t1")
    queue.finish(granted, result=b"1" * 16_385)
    assert eventually(lambda: heard, what="the ending is told") == [b"t1\nFINISHED\n0"]


def test_a_retry_is_no_ending(queue: "Bench", heard: list[bytes]) -> None:
    granted = queue.started()
    watch(queue, "t1")
    queue.fail(granted, pause_ms=0)
    assert queue.snapshot("w:") == {"w:t1": {"me"}}
    queue.finish(*queue.pop())
    assert eventually(lambda: heard, what="the ending is told") == [b"t1\nFINISHED\n1"]


def test_after_the_end_nobody_is_remembered(queue: "Bench") -> None:
    queue.finish(queue.started(), result=b"1")
    before = queue.snapshot()
    outcome = watch(queue, "t1")
    assert (outcome.state, outcome.blob) == (TaskState.FINISHED, b"1")
    assert queue.snapshot() == before


def test_many_tasks_are_watched_in_one_call(queue: "Bench", heard: list[bytes]) -> None:
    queue.finish(queue.started(), result=b"1")
    ids = queue.fill("ann", 4)
    found = queue.run(calls.watch_many(queue.keys, ["t1", "nobody", *ids], "me"))
    assert found == [Outcome(TaskState.FINISHED, b"1"), None, *[Outcome(TaskState.QUEUED, b"")] * 4]
    assert queue.snapshot("w:") == {f"w:{task_id}": {"me"} for task_id in ids}
    queue.finish(*queue.pop(4))
    eventually(lambda: len(heard) == 4, what="all endings are told")


def test_an_answer_stops_where_it_would_be_too_large_and_goes_on_from_there(queue: "Bench") -> None:
    ids = queue.fill("ann", 6)
    queue.finish(*queue.pop(6), result=b"1" * 1_000_000)
    first = queue.run(calls.watch_many(queue.keys, ids))
    assert len(first) == 4
    assert len(queue.run(calls.watch_many(queue.keys, ids[4:]))) == 2


def test_a_result_of_any_size_is_answered(queue: "Bench") -> None:
    queue.finish(queue.started(), result=b"1" * 5_000_000)
    queue.push()
    (only,) = queue.run(calls.watch_many(queue.keys, ["t1", "t1"]))
    assert only is not None
    assert len(only.blob) == 5_000_000


def test_a_thousand_tasks_cost_three_commands_and_one_for_each_that_has_not_ended(queue: "Bench") -> None:
    ids = queue.fill("ann", 1_000)
    call = calls.watch_many(queue.keys, ids, "me")
    queue.run(call)
    before = queue.client.info("commandstats")
    queue.run(call)
    after = queue.client.info("commandstats")
    made = {n.removeprefix("cmdstat_"): after[n]["calls"] - before.get(n, {"calls": 0})["calls"] for n in after}
    assert {n: k for n, k in made.items() if k and n != "info"} == {
        "evalsha": 1,
        "hmget": 2,
        "get": 1,
        "mget": 1,
        "sadd": 1_000,
    }


def test_an_unknown_task_is_not_found(queue: "Bench") -> None:
    before = queue.snapshot()
    with pytest.raises(TaskNotFound):
        watch(queue, "nobody")
    assert queue.snapshot() == before


@pytest.mark.parametrize("arguments", [[], ["me"], ["me", ""], ["me", "t1", ""], ["me", *["t1"] * 1_001]])
def test_wrong_arguments_change_nothing(queue: "Bench", arguments: list[str]) -> None:
    queue.push()
    before = queue.snapshot()
    assert queue.raw("watch", *arguments)[0] == Status.BAD_ARGS
    assert queue.snapshot() == before
