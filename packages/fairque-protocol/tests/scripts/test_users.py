"""read_user, read_users, read_configured and explain: the standing of users and tasks, and why they wait."""

from typing import TYPE_CHECKING

import pytest

from fairque.protocol.calls.limits import ALL_USERS
from fairque.protocol.durations import from_epoch_ms
from fairque.protocol.errors import TaskNotFound
from fairque.protocol.model.limits import Limits
from fairque.protocol.model.standing import TaskStanding
from fairque.protocol.model.states import Priority, TaskState
from fairque.protocol.model.users import UserRow
from fairque.protocol.reasons import WaitReason
from fairque.testing.internal import calls

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench

#: Ids that a page could stumble over: signs of its own, other scripts, ends of the order.
ODD = ["-", "(", "((", "-a", "[", "+", "!", "~", "ann", "Ann", "é", "ж", "漢", "🙂", "a b", "a:b{c}"]


def explain(queue: "Bench", task_id: str) -> TaskStanding:
    return queue.run(calls.explain(queue.keys, task_id))


def rows(queue: "Bench", most: int = 100) -> list[UserRow]:
    """All users, page by page."""
    found: list[UserRow] = []
    after = None
    while True:
        page = queue.run(calls.read_users(queue.keys, after=after, most=most))
        found += page
        if page.next is None:
            return found
        after = page.next


class TestUser:
    def test_the_standing_of_a_user_has_numbers_times_and_limits(self, queue: "Bench") -> None:
        queue.limit(ALL_USERS, cap=3, backlog=50)
        queue.limit(weight=2, rate=10, burst=4, cap=2)
        queue.fill("ann", 3)
        queue.fill("ann", 1, priority=Priority.CRITICAL)
        queue.fill("ann", 1, delay_ms=60_000)
        (held,) = queue.pop()
        queue.advance(2_000)
        queue.finish(held, ran_us=2_000_000)
        queue.pop()
        queue.advance(1_000)
        found = queue.standing()
        assert (found.weight, found.cap, found.rate, found.burst, found.backlog) == (2, 2, 10, 4, 50)
        assert (found.waiting, found.waiting_critical, found.scheduled, found.running) == (2, 0, 1, 1)
        assert (found.served, found.since, found.at_ms) == (2.0, queue.now_ms - 3_000, queue.now_ms)
        assert (found.oldest_seconds, found.paused) == (3.0, False)
        assert found.own_limits == Limits(weight=2, rate=10, burst=4, cap=2)
        assert found.last_pop_at == queue.now_ms - 1_000

    def test_the_lead_of_a_user_is_in_cost(self, queue: "Bench") -> None:
        queue.limit(weight=4)
        queue.fill("ann", 2)
        queue.fill("bob", 2)
        ann, _ = queue.pop(2)
        queue.advance(8_000)
        queue.finish(ann, ran_us=8_000_000)
        assert queue.standing().ahead == 8.0

    def test_in_the_cost_mode_count_costs_are_tasks(self, queue: "Bench") -> None:
        queue.run(calls.configure(queue.keys, cost_mode="count"))
        queue.fill("ann", 3)
        queue.finish(*queue.pop(2))
        assert queue.standing().served == 2

    def test_an_unknown_user_has_no_tasks(self, queue: "Bench") -> None:
        queue.push()
        found = queue.standing("an")
        assert (found.waiting, found.running, found.scheduled, found.since, found.own_limits) == (
            0,
            0,
            0,
            None,
            Limits(),
        )

    def test_a_user_with_only_limits_or_scheduled_tasks_is_known(self, queue: "Bench") -> None:
        queue.limit("bob", cap=2)
        queue.fill("cem", 1, delay_ms=5_000)
        assert queue.standing("bob").cap == 2
        assert queue.standing("cem").scheduled == 1

    def test_the_defaults_apply_to_an_unknown_user(self, queue: "Bench") -> None:
        queue.limit(ALL_USERS, cap=2)
        assert (queue.standing().cap, queue.standing().own_limits) == (2, Limits())


class TestReason:
    def test_a_user_waits_for_its_turn(self, queue: "Bench") -> None:
        queue.fill("bob", 2)
        queue.fill("ann", 2)
        queue.pop()
        found = queue.standing()
        assert found.reason == "turn"
        assert found.explain() == "user 'ann' is the next one to be served"

    def test_a_user_waits_for_its_cap(self, queue: "Bench") -> None:
        queue.limit(cap=1)
        queue.fill("ann", 2)
        queue.pop()
        assert queue.standing().reason == "user_cap"
        assert queue.standing().explain() == "user 'ann' runs 1 task, as many as its cap of 1 allows"

    def test_a_user_waits_for_its_rate(self, queue: "Bench") -> None:
        queue.limit(rate=0.5)
        queue.fill("ann", 2)
        queue.pop()
        queue.advance(500)
        assert queue.standing().reason == "user_rate"
        assert queue.standing().explain() == "user 'ann' may start 0.5 tasks a second: the next one in 1.5 s"

    def test_a_user_waits_for_the_end_of_its_pause(self, queue: "Bench") -> None:
        queue.limit(paused=1)
        queue.push()
        assert queue.standing().reason == "user_paused"
        assert "until it is resumed" in queue.standing().explain()

    def test_a_user_waits_for_a_worker(self, queue: "Bench") -> None:
        queue.push()
        assert queue.standing().reason == "no_worker"
        (held,) = queue.pop()
        queue.push()
        queue.advance(20_000)
        assert queue.standing().reason == "turn", "a worker that runs a long task takes none"
        queue.finish(held)
        assert queue.standing().reason == "no_worker"
        queue.pop(max_lost_workers=1)
        queue.fill("bob", 1)
        assert queue.standing("bob").reason == "turn"

    def test_a_user_without_waiting_tasks_is_idle_or_running(self, queue: "Bench") -> None:
        held = queue.started()
        assert queue.standing().reason == "running"
        queue.finish(held)
        assert queue.standing().reason == "idle"
        queue.fill("cem", 1, delay_ms=5_000)
        assert queue.standing("cem").reason == "delayed"
        for user in ("ann", "cem"):
            assert queue.standing(user).explain()


class TestTask:
    def test_a_queued_task_has_its_place_and_the_reason_of_its_user(self, queue: "Bench") -> None:
        queue.limit(cap=1)
        queue.fill("ann", 3)
        queue.pop()
        found = explain(queue, "t3")
        assert (found.state, found.place, found.reason) == (TaskState.QUEUED, 1, "user_cap")
        assert found.explain() == (
            "task t3 is number 2 of its user: user 'ann' runs 1 task, as many as its cap of 1 allows"
        )

    def test_a_critical_task_has_a_place_among_critical_tasks(self, queue: "Bench") -> None:
        queue.fill("ann", 3)
        (task_id,) = queue.fill("ann", 1, priority=Priority.CRITICAL)
        assert explain(queue, task_id).place == 0

    def test_a_delayed_task_says_when_it_is_due(self, queue: "Bench") -> None:
        queue.push(queue.task(delay_ms=5_000))
        queue.advance(2_000)
        found = explain(queue, "t1")
        assert (found.reason, found.due_at) == ("delayed", queue.now_ms + 3_000)
        assert found.explain() == "task t1 is due in 3 s"

    def test_a_running_task_says_when_its_lease_ends(self, queue: "Bench") -> None:
        queue.started()
        found = explain(queue, "t1")
        assert (found.reason, found.place, found.lease_ends_at) == ("running", None, queue.now_ms + 30_000)
        assert found.explain() == "task t1 is running"

    def test_an_ended_task_says_how_it_ended(self, queue: "Bench") -> None:
        queue.finish(queue.started())
        found = explain(queue, "t1")
        assert (found.reason, found.explain()) == ("ended", "task t1 is FINISHED")

    def test_an_unknown_task_is_not_found(self, queue: "Bench") -> None:
        with pytest.raises(TaskNotFound):
            explain(queue, "nothing")


class TestPages:
    def test_pages_follow_the_order_of_the_ids_without_gap_or_repeat(self, queue: "Bench") -> None:
        queue.push(*(queue.task(user) for user in ODD))
        expected = sorted(ODD, key=str.encode)
        for most in (1, 2, 3, 5, 16, 100):
            assert [row.user_id for row in rows(queue, most)] == expected

    def test_a_row_has_the_tasks_and_usage_of_the_user(self, queue: "Bench") -> None:
        queue.limit(ALL_USERS, cap=9)
        queue.limit(weight=2.5)
        queue.fill("ann", 3)
        queue.fill("ann", 1, priority=Priority.CRITICAL)
        one, _ = queue.pop(2)
        queue.advance(3_000)
        queue.finish(one, ran_us=3_000_000)
        (row,) = rows(queue)
        assert row == UserRow(
            user_id="ann",
            weight=2.5,
            cap=9,
            paused=False,
            waiting=2,
            running=1,
            served=3.0,
            since=from_epoch_ms(queue.now_ms - 3_000),
            reason=WaitReason.TURN,
        )

    def test_a_row_says_why_its_user_waits(self, queue: "Bench") -> None:
        queue.limit("capped", cap=1)
        queue.limit("limited", rate=1)
        for user in ("capped", "limited", "paused"):
            queue.fill(user, 2)
        queue.fill("runs", 1)
        queue.pop(10)
        queue.fill("paused", 1)
        queue.limit("paused", paused=1)
        queue.fill("waits", 1)
        assert {row.user_id: row.reason for row in rows(queue)} == {
            "capped": "user_cap",
            "limited": "user_rate",
            "paused": "user_paused",
            "runs": "running",
            "waits": "turn",
        }

    def test_the_defaults_come_first_among_the_settings(self, queue: "Bench") -> None:
        for user in (*ODD, ALL_USERS):
            queue.limit(user, cap=3, rate=0.000_001)
        for most in (1, 4, 17, 100):
            users: list[str] = []
            after = None
            while True:
                page = queue.run(calls.read_configured(queue.keys, after=after, most=most))
                assert all(values == {"cap": 3.0, "rate": 0.000_001} for values in page.users.values())
                users += page.users
                if page.next is None:
                    break
                after = page.next
            assert users == ["", *sorted(ODD, key=str.encode)]

    def test_an_empty_queue_has_one_empty_page(self, queue: "Bench") -> None:
        page = queue.run(calls.read_users(queue.keys))
        assert (list(page), len(page), page.next, page.read_at) == ([], 0, None, from_epoch_ms(queue.now_ms))


@pytest.mark.parametrize("name", ["read_user", "read_users", "read_configured", "explain"])
@pytest.mark.parametrize(
    "arguments", [(), ("",), ("-", 0), ("-", 1_001), ("-x", 5), ("", 5), ("{a", 5), ("a", "b", "c")]
)
def test_the_scripts_refuse_invalid_values(queue: "Bench", name: str, arguments: tuple[str | int, ...]) -> None:
    queue.push()
    assert queue.raw(name, *arguments)[0] == -5


def test_reading_changes_nothing(queue: "Bench") -> None:
    queue.limit(cap=1)
    queue.fill("ann", 3)
    queue.pop()
    before = queue.snapshot()
    queue.standing()
    explain(queue, "t1")
    rows(queue)
    queue.run(calls.read_configured(queue.keys))
    assert queue.snapshot() == before
