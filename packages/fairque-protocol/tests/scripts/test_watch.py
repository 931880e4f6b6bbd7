"""watch: read the outcome of a task, or subscribe to its ending."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from fairque.protocol.calls.progress import Reported
from fairque.protocol.calls.watch import Outcome
from fairque.protocol.errors import TaskNotFound
from fairque.protocol.model.progress import Progress
from fairque.protocol.model.states import TaskState
from fairque.protocol.wire.status import Status
from fairque.testing.internal import calls, eventually

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench

ENDINGS = {"finish": b"FINISHED", "dead": b"FAILED", "cancel": b"CANCELED", "lost": b"FAILED"}


@pytest.fixture
def heard(queue: "Bench") -> Iterator[list[bytes]]:
    """The notifications of the listener "me" of the queue."""
    lines: list[bytes] = []
    subscription = queue.runner.listen(queue.keys.done("me"), lines.append, lambda: None)
    yield lines
    subscription.close()


def listeners(queue: "Bench", task_id: str = "t1") -> set[str]:
    return {name for name, _ in queue.snapshot("w:").get(f"w:{task_id}", ())}


def watch(queue: "Bench", task_id: str, listener: str = "me") -> Any:
    return queue.run(calls.watch(queue.keys, task_id, listener))


def test_reading_without_a_listener_changes_nothing(queue: "Bench") -> None:
    queue.push()
    before = queue.snapshot()
    assert queue.outcome("t1") == (TaskState.QUEUED, b"")
    assert queue.snapshot() == before


def test_a_listener_is_stored_once(queue: "Bench") -> None:
    queue.push()
    watch(queue, "t1")
    watch(queue, "t1")
    watch(queue, "t1", "you")
    assert listeners(queue) == {"me", "you"}


@pytest.mark.parametrize("ending", ENDINGS)
def test_listeners_are_notified_of_every_ending(queue: "Bench", heard: list[bytes], ending: str) -> None:
    queue.push()
    watch(queue, "t1")
    end(queue, ending)
    (line,) = eventually(lambda: heard, what="the notification of the ending")
    task_id, state, rest = line.split(b"\n", 2)
    assert (task_id, state) == (b"t1", ENDINGS[ending])
    assert rest == b"1" + queue.outcome("t1")[1]
    assert not queue.snapshot("w:")


def test_the_notification_of_a_large_result_does_not_contain_it(queue: "Bench", heard: list[bytes]) -> None:
    granted = queue.started()
    watch(queue, "t1")
    queue.finish(granted, result=b"1" * 16_385)
    assert eventually(lambda: heard, what="the notification of the ending") == [b"t1\nFINISHED\n0"]


def test_a_retry_is_not_an_ending(queue: "Bench", heard: list[bytes]) -> None:
    granted = queue.started()
    watch(queue, "t1")
    queue.fail(granted, pause_ms=0)
    assert listeners(queue) == {"me"}
    queue.finish(*queue.pop())
    assert eventually(lambda: heard, what="the notification of the ending") == [b"t1\nFINISHED\n1"]


def test_listeners_are_removed_after_the_ending(queue: "Bench") -> None:
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
    assert [listeners(queue, task_id) for task_id in ids] == [{"me"}] * 4
    assert len(queue.snapshot("w:")) == 4
    queue.finish(*queue.pop(4))
    eventually(lambda: len(heard) == 4, what="the notifications of all endings")


def test_an_answer_ends_before_it_is_too_large_and_the_next_one_continues(queue: "Bench") -> None:
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


def test_a_thousand_tasks_cost_three_commands_and_two_for_each_that_has_not_ended(queue: "Bench") -> None:
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
        "get": 2,
        "zadd": 1_000,
        "pexpire": 1_000,
    }


def test_an_unknown_task_is_not_found(queue: "Bench") -> None:
    before = queue.snapshot()
    with pytest.raises(TaskNotFound):
        watch(queue, "nobody")
    assert queue.snapshot() == before


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["me"],
        ["me", "5"],
        ["me", "t1"],
        ["me", "5", ""],
        ["me", "5", "t1", ""],
        ["me", "-1", "t1"],
        ["me", "5", *["t1"] * 1_001],
    ],
)
def test_wrong_arguments_change_nothing(queue: "Bench", arguments: list[str]) -> None:
    queue.push()
    before = queue.snapshot()
    assert queue.raw("watch", *arguments)[0] == Status.BAD_ARGS
    assert queue.snapshot() == before


def leave(queue: "Bench", *task_ids: str, listener: str = "me") -> Any:
    return queue.run(calls.watch_many(queue.keys, task_ids, listener, ttl_ms=0))


class TestListeners:
    def test_that_give_up_are_removed_and_get_the_state_of_the_task(self, queue: "Bench") -> None:
        queue.push()
        watch(queue, "t1")
        watch(queue, "t1", "you")
        assert leave(queue, "t1") == [Outcome(TaskState.QUEUED, b"")]
        assert listeners(queue) == {"you"}
        assert leave(queue, "t1", listener="you") == leave(queue, "t1", listener="you")
        assert not queue.snapshot("w:")

    def test_that_give_up_are_not_notified(self, queue: "Bench", heard: list[bytes]) -> None:
        ids = queue.fill("ann", 2)
        for task_id in ids:
            watch(queue, task_id)
        leave(queue, ids[0])
        queue.finish(*queue.pop(2))
        (line,) = eventually(lambda: heard, what="the notification of the other ending")
        assert line.startswith(ids[1].encode())

    def test_that_died_are_removed_when_others_subscribe(self, queue: "Bench") -> None:
        queue.push()
        for number in range(20):
            watch(queue, "t1", f"dead-{number}")
            queue.advance(calls.LISTENING_MS // 10)
        assert len(listeners(queue)) <= 10

    def test_that_renew_are_kept(self, queue: "Bench") -> None:
        queue.push()
        for number in range(20):
            watch(queue, "t1")
            watch(queue, "t1", f"dead-{number}")
            queue.advance(calls.LISTENING_MS // 3)
        assert "me" in listeners(queue)

    def test_that_died_leave_no_key_behind_although_the_task_never_ends(self, queue: "Bench") -> None:
        queue.push()
        watch(queue, "t1")
        assert 0 < queue.client.pttl(f"{queue.keys.prefix}w:t1") <= calls.LISTENING_MS

    def test_that_died_are_removed_a_limited_number_per_call(self, queue: "Bench") -> None:
        queue.push()
        crowd(queue, "t1", 1_000)
        queue.advance(calls.LISTENING_MS)
        watch(queue, "t1", "new")
        assert len(listeners(queue)) == 1_000 - TOLD + 1


#: Listeners that a call notifies.
TOLD = 256


def crowd(queue: "Bench", task_id: str, number: int) -> None:
    """Have so many processes wait for a task."""
    watch(queue, task_id, "l0")
    ((_, until),) = queue.snapshot("w:")[f"w:{task_id}"]
    queue.client.zadd(f"{queue.keys.prefix}w:{task_id}", {f"l{n}": until for n in range(number)})


def wait_behind_them(queue: "Bench") -> None:
    """Subscribe so that this listener is notified last."""
    queue.client.zadd(f"{queue.keys.prefix}w:t1", {"me": 2**52})


def told(queue: "Bench", act: Callable[[], object]) -> int:
    """How many messages an act publishes."""
    before = published(queue)
    act()
    return published(queue) - before


def published(queue: "Bench") -> int:
    stats: Any = queue.client.info("commandstats")
    return int(stats.get("cmdstat_publish", {"calls": 0})["calls"])


class TestACrowd:
    """The ending of a task with very many listeners is bounded work, and all of them are notified."""

    def test_is_notified_in_parts_by_the_following_calls(self, queue: "Bench", heard: list[bytes]) -> None:
        granted = queue.started()
        crowd(queue, "t1", 2_000)
        wait_behind_them(queue)
        assert told(queue, lambda: queue.finish(granted, result=b'"r"')) <= 2 * TOLD
        assert not heard
        while queue.snapshot("pending"):
            assert told(queue, queue.pop) <= TOLD
        assert not queue.snapshot("w:")
        assert eventually(lambda: heard, what="the notification of the ending") == [b't1\nFINISHED\n1"r"']

    @pytest.mark.parametrize("ending", ENDINGS)
    def test_gets_the_same_notification_as_few_for_every_ending(
        self, queue: "Bench", heard: list[bytes], ending: str
    ) -> None:
        queue.push()
        crowd(queue, "t1", 3 * TOLD)
        wait_behind_them(queue)
        end(queue, ending)
        while queue.snapshot("pending"):
            queue.sweep()
        (line,) = eventually(lambda: heard, what="the notification of the ending")
        assert line == b"t1\n" + ENDINGS[ending] + b"\n1" + queue.outcome("t1")[1]
        assert not queue.snapshot("w:")

    @pytest.mark.thorough
    def test_of_many_tasks_that_end_together_does_not_cost_more(self, queue: "Bench") -> None:
        for task_id in queue.fill("ann", 50):
            crowd(queue, task_id, 100)
        granted = queue.pop(50)
        at_once = told(queue, lambda: queue.finish(*granted))
        assert at_once <= 2 * TOLD
        later = 0
        while queue.snapshot("pending"):
            later += told(queue, queue.pop)
        assert at_once + later == 50 * 100
        assert not queue.snapshot("w:")

    def test_does_not_delay_dependents(self, queue: "Bench") -> None:
        queue.push(queue.task(), queue.task(task_id="child", depends_on=("t1",)))
        crowd(queue, "t1", 100 * TOLD)
        queue.finish(*queue.pop())
        queue.sweep()
        assert queue.outcome("child")[0] == TaskState.QUEUED
        assert queue.snapshot("w:")

    def test_is_notified_of_a_task_that_expired_meanwhile(self, queue: "Bench", heard: list[bytes]) -> None:
        granted = queue.started()
        crowd(queue, "t1", 3 * TOLD)
        wait_behind_them(queue)
        queue.finish(granted)
        queue.client.delete(f"{queue.keys.prefix}t:t1")
        while queue.snapshot("pending"):
            queue.sweep()
        assert eventually(lambda: heard, what="that it is gone") == [b"t1\n\n0"]

    @pytest.mark.parametrize("script", ["redrive", "delete"])
    def test_that_is_not_notified_yet_blocks_a_redrive(self, queue: "Bench", script: str) -> None:
        granted = queue.started()
        crowd(queue, "t1", 6 * TOLD)
        queue.fail(granted, verdict="dead", error=b'"e"')
        assert Status.BUSY in queue.raw(script, 60_000, "t1")
        while queue.snapshot("pending"):
            queue.sweep()
        assert not queue.snapshot("w:")
        assert Status.BUSY not in queue.raw(script, 60_000, "t1")

    def test_gets_progress_in_rotation(self, queue: "Bench") -> None:
        granted = queue.started()
        crowd(queue, "t1", 10 * TOLD)
        reported = [Reported("t1", granted.token, Progress(1, attempt=1))]
        assert told(queue, lambda: queue.run(calls.progress(queue.keys, reported))) == TOLD


def end(queue: "Bench", ending: str) -> None:
    if ending == "cancel":
        queue.cancel("t1")
    elif ending == "lost":
        queue.pop()
        queue.advance(30_000)
        queue.sweep(max_lost_workers=1)
    elif ending == "dead":
        queue.fail(*queue.pop(), verdict="dead", error=b'"e"')
    else:
        queue.finish(*queue.pop(), result=b'"r"')
