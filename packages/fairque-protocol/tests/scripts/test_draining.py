"""A drained queue leaves nothing behind, and meanwhile every task is in exactly one index."""

from collections import Counter
from typing import TYPE_CHECKING

from fairque.protocol.model.states import Priority

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench

STAYS = {"meta", "g", "counts"}


def places(queue: "Bench") -> Counter[str]:
    """The number of indexes that contain each task."""
    found = queue.snapshot("n:", "c:", "delayed", "running", "kept")
    return Counter(task_id for members in found.values() for task_id, _ in members)


def drain(queue: "Bench") -> None:
    while granted := queue.pop(100):
        queue.advance(3)
        queue.finish(*granted)


def test_nothing_is_left_after_everything_has_ended_and_expired(queue: "Bench") -> None:
    for user in range(30):
        queue.fill(f"u{user}", 5)
        queue.fill(f"u{user}", 1, delay_ms=50, dedup_key=f"k{user}")
        queue.fill(f"u{user}", 1, priority=Priority.CRITICAL)
    retried, dead, released, canceled, *lost = queue.pop(8)
    queue.fail(retried)
    queue.fail(dead, verdict="dead")
    queue.release(released)
    queue.cancel(canceled.task_id)
    queue.fail(canceled)
    assert len(lost) == 4
    queue.advance(30_000)
    queue.sweep()
    queue.cancel("t7")
    assert set(places(queue).values()) == {1}
    assert len(places(queue)) == 210
    drain(queue)
    assert set(places(queue).values()) == {1}
    queue.advance(120_000)
    swept = [queue.sweep() for _ in range(3)]
    assert sum(s.forgotten for s in swept) + 2 * 100 >= 210
    queue.woken()
    left = queue.snapshot()
    assert left.keys() - STAYS == {"claim:w1"}
    assert queue.ttl_ms("claim:w1") > 0
    assert left["g"]["queued"] == "0"
    stats = queue.stats()
    assert stats.finished + stats.failed + stats.canceled == stats.pushed == 210


def test_a_thousand_users_of_one_task_are_forgotten(queue: "Bench") -> None:
    queue.push(*(queue.task(f"u{n}") for n in range(1_000)))
    drain(queue)
    queue.advance(60_000)
    swept = [queue.sweep() for _ in range(11)]
    assert [s.users for s in swept] == [100] * 10 + [0]
    assert max(s.forgotten for s in swept) == 100
    assert queue.snapshot().keys() - STAYS == {"claim:w1", "wake"}


def test_debts_are_cleared_once_others_have_caught_up(queue: "Bench") -> None:
    queue.fill("once", 1)
    queue.fill("busy", 60)
    for _ in range(61):
        queue.advance(5)
        queue.finish(*queue.pop())
    assert "u:once" not in queue.snapshot("u:")
    assert "once" not in dict(queue.snapshot("owe").get("owe", []))
