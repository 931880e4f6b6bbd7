"""Fairness between users: which user is served next, whatever the others do. Long runs are integration tests."""

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from fairque.protocol.model.score import BOOST_US, calculate_score
from fairque.protocol.model.states import Priority

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench


def served(queue: "Bench", number: int, *, ran_us: int = 5_000) -> list[str]:
    """Pop and finish one task after the other, and return their users."""
    users = []
    for _ in range(number):
        (granted,) = queue.pop()
        users.append(queue.info(granted.task_id).user_id)
        queue.advance(ran_us / 1000)
        queue.finish(granted, ran_us=ran_us)
    return users


def test_a_quiet_user_does_not_wait_for_a_thousand_tasks_of_another(queue: "Bench") -> None:
    queue.fill("noisy", 1_000)
    served(queue, 20)
    queue.fill("quiet1", 1)
    queue.fill("quiet2", 1)
    assert set(served(queue, 3)) >= {"quiet1", "quiet2"}


def test_users_with_equal_costs_alternate(queue: "Bench") -> None:
    queue.fill("ann", 50)
    queue.fill("bob", 50)
    users = served(queue, 40)
    assert all({*pair} == {"ann", "bob"} for pair in zip(users[::2], users[1::2], strict=True))


def test_the_order_of_user_ids_gives_no_advantage(queue: "Bench") -> None:
    queue.fill("zz", 50)
    queue.fill("!!", 50)
    queue.fill("mm", 50)
    assert set(Counter(served(queue, 30)).values()) == {10}


def test_a_user_of_long_tasks_gets_the_same_time_not_the_same_number(queue: "Bench") -> None:
    queue.fill("long", 100)
    queue.fill("short", 100)
    time_of: Counter[str] = Counter()
    for _ in range(88):
        (granted,) = queue.pop()
        user = queue.info(granted.task_id).user_id
        ran_us = 80_000 if user == "long" else 8_000
        time_of[user] += ran_us
        queue.advance(ran_us / 1000)
        queue.finish(granted, ran_us=ran_us)
    assert abs(time_of["long"] - time_of["short"]) <= 2 * 80_000


def test_a_user_that_floods_with_critical_tasks_gets_no_more_than_its_credit_and_share(queue: "Bench") -> None:
    queue.fill("flood", 200, priority=Priority.CRITICAL)
    queue.fill("ann", 200)
    served(queue, 10, ran_us=500_000)
    counted = Counter(served(queue, 40, ran_us=500_000))
    assert abs(counted["flood"] - counted["ann"]) <= 2


def test_a_flood_of_new_users_leaves_every_ninth_pop_to_the_others(queue: "Bench") -> None:
    queue.fill("ann", 50)
    served(queue, 1)
    for number in range(100):
        queue.fill(f"new{number}", 1)
    users = served(queue, 90)
    assert all("ann" in users[first : first + 9] for first in range(81))


def test_a_user_is_not_compensated_for_idle_time(queue: "Bench") -> None:
    queue.fill("idle", 1)
    queue.fill("busy", 400)
    served(queue, 100, ran_us=100_000)
    queue.fill("idle", 100)
    counted = Counter(served(queue, 40, ran_us=100_000))
    # Up to one second of head start in the fresh lane, and one task of either in flight.
    assert counted["idle"] - counted["busy"] <= 12


def test_usage_while_no_other_user_waited_is_forgiven(queue: "Bench") -> None:
    queue.fill("ann", 300)
    served(queue, 300, ran_us=1_000_000)
    queue.fill("ann", 50)
    queue.fill("bob", 50)
    counted = Counter(served(queue, 20, ran_us=1_000_000))
    assert abs(counted["ann"] - counted["bob"]) <= 2


def test_emptying_the_queue_does_not_clear_a_debt_while_others_wait(queue: "Bench") -> None:
    queue.fill("steady", 200)
    served(queue, 2, ran_us=1_000_000)
    counted: Counter[str] = Counter()
    for _ in range(30):
        queue.fill("hopper", 1)
        counted.update(served(queue, 2, ran_us=1_000_000))
    assert abs(counted["hopper"] - counted["steady"]) <= 4


def test_a_backlog_that_had_all_workers_to_itself_is_not_punished_for_it(queue: "Bench") -> None:
    queue.fill("alone", 200)
    for _ in range(3):
        held = queue.pop(16, lease_ms=900_000)
        queue.advance(300_000)
        queue.finish(*held, ran_us=300_000_000)
    held = queue.pop(16, lease_ms=900_000)
    queue.advance(300_000)
    queue.beat(*held, lease_ms=900_000)
    queue.fill("bob", 100)
    queue.fill("eve", 100)
    queue.finish(*held, ran_us=300_000_000)
    counted = Counter(served(queue, 90, ran_us=10_000_000))
    assert abs(counted["alone"] - 30) <= 3


class TestLanes:
    @pytest.fixture
    def owing(self, queue: "Bench") -> "Bench":
        """A queue where ann owes ten seconds while bob waits in the ready ring."""
        queue.push(queue.task("ann"), *(queue.task("bob") for _ in range(3)))
        ann, _ = queue.pop(2)
        queue.advance(10_000)
        queue.finish(ann, ran_us=10_000_000)
        assert queue.snapshot("owe") == {"owe": [("ann", 10_000_000.0)]}
        return queue

    def test_a_debt_is_kept_while_others_wait(self, owing: "Bench") -> None:
        owing.push(owing.task("ann"))
        found = owing.snapshot("ready", "fresh", "owe", "g")
        assert found["g"]["V"] == "1000"
        assert found["ready"] == [("bob", 1_000.0), ("ann", 10_000_000.0)]
        assert not found.keys() & {"fresh", "owe"}

    def test_a_user_that_owes_less_than_a_second_is_fresh(self, queue: "Bench") -> None:
        queue.push(queue.task("ann"), *(queue.task("bob") for _ in range(3)))
        ann, _ = queue.pop(2)
        queue.advance(1_000)
        queue.finish(ann, ran_us=1_000_000)
        queue.push(queue.task("ann"))
        assert queue.snapshot("fresh") == {"fresh": [("ann", 3.0)]}

    def test_a_user_with_running_tasks_is_not_fresh(self, queue: "Bench") -> None:
        queue.started()
        queue.push()
        assert queue.snapshot("fresh", "ready").keys() == {"ready"}

    def test_a_user_without_work_is_in_no_ring(self, queue: "Bench") -> None:
        queue.started(priority=Priority.CRITICAL)
        assert not queue.snapshot("fresh", "ready", "critical")

    def test_a_user_gets_no_credit_while_its_other_work_has_its_turn(self, queue: "Bench") -> None:
        queue.fill("ann", 6, priority=Priority.CRITICAL)
        queue.fill("ann", 2)
        queue.pop(4)
        assert not queue.snapshot("critical")
        queue.pop()
        assert queue.snapshot("critical")

    def test_no_ring_waits_longer_than_its_turn(self, queue: "Bench") -> None:
        """Of nine pops the ready ring has at least one and the fresh ring two, under a flood of CRITICAL tasks."""
        queue.fill("ann", 30)
        queue.pop()
        queue.fill("flood", 200, priority=Priority.CRITICAL)
        for number in range(40):
            queue.fill(f"new{number}", 1)
        users = [queue.info(t.task_id).user_id.rstrip("0123456789") for t in queue.pop(100)]
        # From the first turn of the ready ring on; what came before began in the middle of a round.
        users = users[users.index("ann") :]
        for first in range(72):
            turns = Counter(users[first : first + 9])
            assert (turns["ann"], turns["new"]) >= (1, 2)


@pytest.mark.parametrize("priority", [p for p in Priority if p is not Priority.CRITICAL])
def test_the_script_computes_the_same_score_as_calculate_score(queue: "Bench", priority: Priority) -> None:
    queue.push(queue.task(priority=priority))
    expected = calculate_score(queue.now_us, priority)
    assert queue.snapshot("n:") == {"n:ann": [("t1", expected)]}
    assert queue.now_us - expected == BOOST_US[priority]


def test_a_user_freed_from_its_rate_in_the_pop_that_serves_the_last_fresh_user_keeps_its_place(
    queue: "Bench",
) -> None:
    """Ann was stopped by a default rate that is removed, and is checked in the pop that serves Bob."""
    queue.fill("ann", 2)
    queue.limit("", rate=2)
    queue.pop()
    queue.fill("bob", 1)
    queue.limit("", rate=None)
    assert queue.pop_ids() == ["t3"]
    records = queue.snapshot("u:")
    assert (records["u:ann"]["S"], records["u:bob"]["S"]) == ("1000", "2000")
    # Nobody waited when she came, so V passed what Bob owes.
    assert queue.snapshot("g")["g"]["V"] == "2000"
    assert queue.snapshot("ready")["ready"] == [("ann", 1_000.0)]
