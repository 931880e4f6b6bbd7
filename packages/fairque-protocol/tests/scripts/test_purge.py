"""purge: all waiting tasks of a user are canceled, in chunks; running tasks and those of others stay."""

from typing import TYPE_CHECKING

import pytest

from fairque.protocol.calls.limits import Setting
from fairque.protocol.model.states import Priority, TaskState
from fairque.protocol.wire.status import Status
from fairque.testing.internal import calls

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench

KEPT_MS = 60_000


def purge(queue: "Bench", user: str = "ann", most: int = 1_000) -> tuple[int, int]:
    done = queue.run(calls.purge(queue.keys, user, reason="moved out", result_ttl_ms=KEPT_MS, most=most))
    return done.canceled, done.left


def test_queued_critical_and_scheduled_tasks_are_canceled_and_running_ones_continue(queue: "Bench") -> None:
    held = queue.started()
    waiting = [*queue.fill("ann", 3), *queue.fill("ann", 2, priority=Priority.CRITICAL)]
    waiting += queue.fill("ann", 2, delay_ms=5_000)
    assert purge(queue) == (7, 0)
    assert {queue.outcome(task_id) for task_id in waiting} == {(TaskState.CANCELED, b'"moved out"')}
    assert queue.finish(held) == [(Status.OK, TaskState.FINISHED)]
    assert (queue.stats().queued, queue.stats().scheduled, queue.stats().canceled) == (0, 0, 7)


def test_the_tasks_of_others_stay(queue: "Bench") -> None:
    queue.fill("ann", 3)
    bob = queue.fill("bob", 2)
    purge(queue)
    assert queue.pop_ids(10) == bob


def test_a_large_backlog_is_canceled_in_chunks_from_its_front(queue: "Bench") -> None:
    queue.fill("ann", 5)
    queue.fill("ann", 2, delay_ms=5_000)
    assert purge(queue, most=3) == (3, 4)
    assert [queue.state(f"t{number}") for number in (3, 4)] == [TaskState.CANCELED, TaskState.QUEUED]
    assert purge(queue, most=3) == (3, 1)
    assert purge(queue, most=3) == (1, 0)
    assert purge(queue, most=3) == (0, 0)


def test_tasks_pushed_between_two_chunks_come_after_those_that_waited(queue: "Bench") -> None:
    old = queue.fill("ann", 4)
    purge(queue, most=2)
    new = queue.fill("ann", 2)
    purge(queue, most=2)
    assert {queue.state(task_id) for task_id in old} == {TaskState.CANCELED}
    assert queue.pop_ids(5) == new


def test_the_remaining_tasks_keep_their_order(queue: "Bench") -> None:
    ids = queue.fill("ann", 6)
    purge(queue, most=2)
    assert queue.pop_ids(10) == ids[2:]


def test_a_deduplication_key_is_free_again(queue: "Bench") -> None:
    queue.push(queue.task(dedup_key="k"))
    queue.push(queue.task(dedup_key="later", delay_ms=5_000))
    purge(queue)
    assert not queue.snapshot("dedup:")
    assert queue.push(queue.task(dedup_key="k"))[0][0] is Status.OK


def test_listeners_of_a_task_are_notified(queue: "Bench") -> None:
    queue.push()
    with queue.client.pubsub() as channel:
        channel.subscribe(f"{queue.keys.prefix}done:me")
        channel.get_message(timeout=5)
        queue.run(calls.watch(queue.keys, "t1", "me"))
        purge(queue)
        message = channel.get_message(ignore_subscribe_messages=True, timeout=5)
    assert message is not None
    assert message["data"] == b't1\nCANCELED\n1"moved out"'
    assert not queue.snapshot("w:")


def test_a_paused_or_capped_user_can_be_purged(queue: "Bench") -> None:
    queue.fill("ann", 2)
    queue.run(calls.limit(queue.keys, [Setting("ann", "paused", 1)]))
    assert purge(queue) == (2, 0)
    assert not queue.snapshot("u:", "users", "n:")


def test_a_purge_of_an_unknown_user_changes_nothing(queue: "Bench") -> None:
    queue.push()
    purge(queue)
    before = queue.snapshot()
    assert purge(queue) == (0, 0)
    assert purge(queue, "nobody") == (0, 0)
    assert queue.snapshot() == before


def test_nothing_is_left_once_the_records_have_expired(queue: "Bench") -> None:
    queue.fill("ann", 3)
    queue.fill("ann", 1, priority=Priority.CRITICAL)
    queue.fill("ann", 2, delay_ms=5_000)
    queue.woken()
    purge(queue)
    queue.advance(KEPT_MS)
    queue.sweep()
    assert set(queue.snapshot()) == {"meta", "g", "counts"}


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (1_000, "ann", '""'),
        (1_000, "ann", '""', 0),
        (1_000, "ann", '""', 1_001),
        (1_000, "", '""', 1),
        ("-1", "ann", '""', 1),
        (1_000, "a\nb", '""', 1),
    ],
)
def test_the_script_refuses_invalid_values_and_changes_nothing(
    queue: "Bench", arguments: tuple[str | int, ...]
) -> None:
    queue.fill("ann", 2)
    before = queue.snapshot()
    assert queue.raw("purge", *arguments)[0] == -5
    assert queue.snapshot() == before
