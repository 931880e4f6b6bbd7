"""The queue of a user: a list, and a sorted set for what cannot be in it, in one order."""

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairque.console.verifier import Report, verify
from fairque.protocol.model.states import Priority
from fairque.testing.internal import amend_record, calls

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.scripts.conftest import Bench

BOOST_US = 60_000_000
#: More elements than those at both ends from which a task can be removed.
LONG = 2_500
NORMAL, CRITICAL = Priority.NORMAL, Priority.CRITICAL


def listed(queue: "Bench", user: str = "ann") -> list[bytes]:
    elements: Any = queue.client.lrange(f"{queue.keys.prefix}n:{user}", 0, -1)
    return list(elements)


def beside(queue: "Bench", user: str = "ann") -> list[bytes]:
    members: Any = queue.client.zrange(f"{queue.keys.prefix}z:{user}", 0, -1)
    return list(members)


def look(queue: "Bench", *, fix: bool = False) -> Report:
    return verify(queue.runner, queue.keys, fix, result_ttl_ms=60_000, dead_ttl_ms=120_000)


def filled(queue: "Bench", number: int, user: str = "ann") -> list[str]:
    return [task_id for first in range(0, number, 500) for task_id in queue.fill(user, min(500, number - first))]


def popped(queue: "Bench") -> list[str]:
    """Pop all tasks and end them."""
    ids: list[str] = []
    while held := queue.pop(100):
        ids += [one.task_id for one in held]
        queue.finish(*held)
    return ids


def test_normal_tasks_are_in_a_list_and_all_others_beside_it(queue: "Bench") -> None:
    queue.push(queue.task("ann"), queue.task("ann", priority=Priority.HIGH), queue.task("ann", delay_ms=5))
    queue.advance(10)
    queue.sweep()
    assert listed(queue) == [b"t1"]
    assert beside(queue) == [b"t2", b"t3"]
    assert queue.pop_ids(3) == ["t2", "t1", "t3"]
    assert queue.snapshot("n:", "z:") == {}


def test_a_released_task_returns_to_its_place_before_those_of_the_list(queue: "Bench") -> None:
    queue.fill("ann", 3)
    queue.release(*queue.pop(2))
    assert listed(queue) == [b"t3"]
    assert queue.pop_ids(3) == ["t1", "t2", "t3"]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.lists(st.integers(1, 5), min_size=1, max_size=5)),
        st.tuples(st.just("advance"), st.sampled_from([0.001, 1, 30_000, 60_000, 120_000])),
        st.tuples(st.just("pop"), st.integers(1, 6)),
        st.tuples(st.just("release"), st.integers(1, 3)),
    ),
    min_size=3,
    max_size=20,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=steps)
def test_tasks_come_in_the_order_of_one_sorted_set(new_queue: "Callable[[], Bench]", steps: list[Any]) -> None:
    queue = new_queue()
    waiting: dict[str, tuple[int, str]] = {}
    last, held = 0, []
    for what, value in steps:
        match what:
            case "push":
                tasks = [queue.task("ann", priority=Priority(priority)) for priority in value]
                queue.push(*tasks)
                for task, priority in zip(tasks, value, strict=True):
                    last = max(queue.now_us, last + 1)
                    waiting[task.task_id] = (last - BOOST_US * (priority - 1), task.task_id)
            case "advance":
                queue.advance(value)
            case "pop":
                expected = sorted(waiting.items(), key=lambda entry: entry[1])[:value]
                granted = queue.pop(value, lease_ms=10_000_000)
                assert [one.task_id for one in granted] == [task_id for task_id, _ in expected]
                held += [(one, waiting.pop(one.task_id)) for one in granted]
            case _:
                if back := held[:value]:
                    queue.release(*[one for one, _ in back])
                    waiting |= {one.task_id: place for one, place in back}
                del held[:value]
        ranks = {task_id: queue.run(calls.explain(queue.keys, task_id)) for task_id in waiting}
        order = [task_id for task_id, _ in sorted(waiting.items(), key=lambda entry: entry[1])]
        assert [ranks[task_id].place for task_id in order] == list(range(len(order)))
    assert popped(queue) == [task_id for task_id, _ in sorted(waiting.items(), key=lambda entry: entry[1])]
    queue.drop()


def test_a_task_that_is_canceled_deep_inside_a_long_list_leaves_a_tombstone(queue: "Bench") -> None:
    ids = filled(queue, LONG)
    gone = {ids[1_200], ids[1_300], ids[1_301]}
    for task_id in gone:
        queue.cancel(task_id)
    assert len([element for element in listed(queue) if element.startswith(b"\n")]) == len(gone)
    assert queue.standing().waiting == queue.stats().queued == LONG - len(gone)
    assert look(queue).clean
    assert popped(queue) == [task_id for task_id in ids if task_id not in gone]
    assert queue.stats().queued == 0
    assert queue.snapshot("n:") == {}


@pytest.mark.parametrize("place", [0, 999, 1_500, LONG - 1])
def test_a_task_that_is_canceled_near_an_end_of_a_long_list_is_removed(queue: "Bench", place: int) -> None:
    ids = filled(queue, LONG)
    queue.cancel(ids[place])
    assert listed(queue) == [task_id.encode() for task_id in ids if task_id != ids[place]]
    assert queue.standing().waiting == LONG - 1


def test_a_list_of_nothing_but_tombstones_is_deleted(queue: "Bench") -> None:
    ids = filled(queue, LONG)
    for task_id in ids[1_000:1_300]:
        queue.cancel(task_id)
    while queue.standing().waiting:
        queue.run(calls.purge(queue.keys, "ann", reason="", result_ttl_ms=60_000, most=1_000))
    assert queue.snapshot("n:", "z:", "u:") == {}
    assert queue.stats().queued == 0


def test_tombstones_do_not_hide_the_place_of_a_task(queue: "Bench") -> None:
    ids = filled(queue, LONG)
    for task_id in ids[1_100:1_300]:
        queue.cancel(task_id)
    queue.advance(1_000_000)
    queue.sweep()
    queue.sweep()
    assert not queue.snapshot("kept")
    queue.cancel(ids[1_350])
    assert queue.standing().waiting == queue.stats().queued == LONG - 201
    assert look(queue).clean


def test_a_purge_of_a_long_queue_cancels_each_task_once(queue: "Bench") -> None:
    filled(queue, 5_000)
    queue.fill("ann", 3, priority=Priority.LOW)
    queue.fill("ann", 2, priority=CRITICAL)
    left, canceled = 1, 0
    while left:
        answer = queue.run(calls.purge(queue.keys, "ann", reason="", result_ttl_ms=60_000, most=1_000))
        canceled, left = canceled + answer.canceled, answer.left
    assert canceled == queue.stats().canceled == 5_005
    assert queue.stats().queued == 0
    assert queue.snapshot("n:", "z:", "c:", "u:", "ready", "fresh") == {}


class TestDisagreement:
    """Records of users that do not say what is stored."""

    @pytest.mark.parametrize("says", [True, False])
    def test_a_flag_that_is_wrong_is_found_and_fixed(self, queue: "Bench", *, says: bool) -> None:
        queue.fill("ann", 3)
        if not says:
            queue.fill("ann", 2, priority=Priority.LOW)
        amend_record(queue.client, f"{queue.keys.prefix}u:ann", sorted=says)
        assert {finding.kind for finding in look(queue).found} == {"user"}
        look(queue, fix=True)
        assert look(queue).clean
        assert len(popped(queue)) == (3 if says else 5)

    @pytest.mark.parametrize("number", [1, 3, 500])
    def test_a_number_of_tombstones_that_is_wrong_hides_no_task(self, queue: "Bench", number: int) -> None:
        queue.fill("ann", 3)
        amend_record(queue.client, f"{queue.keys.prefix}u:ann", tombstones=number)
        assert {finding.kind for finding in look(queue).found} == {"user", "counter"}
        assert sorted(popped(queue)) == ["t1", "t2", "t3"]
        assert look(queue).clean

    def test_tombstones_that_nobody_counts_are_found_and_counted(self, queue: "Bench") -> None:
        filled(queue, LONG)
        queue.cancel("t1200")
        amend_record(queue.client, f"{queue.keys.prefix}u:ann", tombstones=0)
        assert "user" in {finding.kind for finding in look(queue, fix=True).found}
        assert look(queue).clean
        assert queue.standing().waiting == LONG - 1

    def test_a_lost_record_is_rebuilt_from_both(self, queue: "Bench") -> None:
        queue.fill("ann", 2)
        queue.fill("ann", 2, priority=Priority.LOW)
        queue.client.hdel(f"{queue.keys.prefix}u", "ann")
        assert len(popped(queue)) == 4
        assert look(queue).clean


class TestRubbish:
    """Lists with elements that no script has put there."""

    def test_elements_of_no_task_are_passed(self, queue: "Bench") -> None:
        queue.fill("ann", 2)
        queue.client.lpush(f"{queue.keys.prefix}n:ann", b"", b"\xff\x00", "nobody", b"\n12", b"\nx")
        assert set(popped(queue)) == {"t1", "t2"}
        look(queue, fix=True)
        assert look(queue).clean

    def test_a_task_that_is_listed_twice_is_given_once(self, queue: "Bench") -> None:
        queue.fill("ann", 3)
        queue.client.rpush(f"{queue.keys.prefix}n:ann", "t1", "t2")
        assert popped(queue) == ["t1", "t2", "t3"]
        assert queue.snapshot("n:") == {}

    def test_a_task_in_the_list_of_another_user_is_given_once(self, queue: "Bench") -> None:
        queue.fill("ann", 3)
        queue.fill("bob", 1)
        queue.client.rpush(f"{queue.keys.prefix}n:bob", "t2")
        assert sorted(popped(queue)) == ["t1", "t2", "t3", "t4"]
        look(queue, fix=True)
        assert look(queue).clean

    @pytest.mark.parametrize("first", [0, 1_200])
    def test_bodies_that_are_gone_do_not_stop_a_search(self, queue: "Bench", first: int) -> None:
        ids = filled(queue, LONG)
        queue.client.delete(*[f"{queue.keys.prefix}t:{task_id}" for task_id in ids[first : first + 8]])
        queue.cancel(ids[first + 100])
        assert queue.stats().queued == LONG - 1
