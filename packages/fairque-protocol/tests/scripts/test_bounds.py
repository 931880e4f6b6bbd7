"""The scheduler record says what a quick path need not look at; where it is wrong, nothing is lost."""

from typing import TYPE_CHECKING

import pytest

from fairque.protocol.calls.limits import Setting
from fairque.protocol.errors import QueueFull
from fairque.protocol.model.states import Priority, TaskState
from fairque.testing.internal import calls

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench

#: The value of a bound when nothing is due.
NEVER = 2**53

TEST, COUNT, BACKLOG, CRITICAL, LIMITED, SPECIAL = 1, 2, 4, 8, 16, 32


def flags(queue: "Bench") -> int:
    return int(queue.globals()["flags"])


class TestFlags:
    def test_they_say_what_the_settings_say(self, queue: "Bench") -> None:
        queue.push()
        assert flags(queue) == TEST
        queue.run(calls.configure(queue.keys, backlog=5))
        assert flags(queue) == TEST + BACKLOG
        queue.run(calls.configure(queue.keys, backlog=0))
        assert flags(queue) == TEST
        queue.limit("bob", cap=1)
        assert flags(queue) == TEST + LIMITED
        queue.limit("", cap=1)
        assert flags(queue) == TEST + LIMITED + SPECIAL
        queue.limit("", cap=None)
        assert flags(queue) == TEST + LIMITED + SPECIAL

    def test_limits_of_one_user_are_obeyed_from_its_next_pop_on(self, queue: "Bench") -> None:
        queue.fill("ann", 3)
        queue.limit("ann", cap=1)
        assert len(queue.pop(3)) == 1

    def test_the_cost_mode_is_one_of_them(self, queue: "Bench") -> None:
        queue.run(calls.configure(queue.keys, cost_mode="count"))
        assert flags(queue) & COUNT
        queue.run(calls.configure(queue.keys, cost_mode="time"))
        assert not flags(queue) & COUNT

    def test_a_backlog_is_obeyed_from_the_next_push_on(self, queue: "Bench") -> None:
        queue.fill("ann", 2)
        queue.run(calls.configure(queue.keys, backlog=2))
        with pytest.raises(QueueFull):
            queue.push()

    def test_limits_are_obeyed_from_the_next_pop_on(self, queue: "Bench") -> None:
        queue.fill("ann", 3)
        queue.run(calls.limit(queue.keys, [Setting("", "cap", 1)]))
        assert len(queue.pop(3)) == 1

    def test_settings_that_were_changed_by_hand_are_noted_by_a_sweep(self, queue: "Bench") -> None:
        queue.push()
        queue.client.hset(queue.keys.meta, "backlog", 1)
        queue.sweep()
        with pytest.raises(QueueFull):
            queue.push()

    def test_lost_settings_are_noted_by_a_sweep_and_written_by_the_next_push(self, queue: "Bench") -> None:
        queue.push()
        queue.client.hdel(queue.keys.meta, "schema", "born")
        queue.sweep()
        assert flags(queue) == TEST + SPECIAL
        queue.push()
        assert flags(queue) == TEST
        assert queue.client.hget(queue.keys.meta, "born") == str(queue.now_us).encode()

    def test_a_queue_that_was_only_read_is_created_by_its_first_push(self, queue: "Bench") -> None:
        queue.pop()
        queue.sweep()
        queue.push()
        assert queue.client.hget(queue.keys.meta, "schema") == b"1"

    def test_critical_tasks_are_one_of_them_while_they_may_go_first(self, queue: "Bench") -> None:
        queue.fill("ann", 1, priority=Priority.CRITICAL)
        assert flags(queue) == TEST + CRITICAL
        queue.pop()
        assert flags(queue) == TEST


class TestWhenTheyAreReached:
    def test_the_first_lease(self, queue: "Bench") -> None:
        first = queue.started()
        end = queue.now_ms + 30_000
        queue.advance(10)
        assert queue.globals()["next_at"] == end
        second = queue.started()
        queue.finish(first)
        assert queue.globals()["next_at"] == end
        queue.advance(29_995)
        queue.pop()
        assert queue.globals()["next_at"] == end + 10
        queue.finish(second)
        queue.pop()
        assert queue.globals()["next_at"] == NEVER

    def test_the_first_delayed_task(self, queue: "Bench") -> None:
        queue.fill("ann", 1, delay_ms=7_000)
        queue.fill("ann", 1, delay_ms=5_000)
        assert queue.globals()["next_at"] == queue.now_ms + 5_000
        queue.advance(5_000)
        assert len(queue.pop(2)) == 1
        assert queue.globals()["next_at"] == queue.now_ms + 2_000

    def test_dependents_that_await_notice(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="p"), *(queue.task(depends_on=["p"]) for _ in range(250)))
        queue.finish(*queue.pop())
        assert queue.globals()["next_at"] == 0
        assert [len(queue.pop(100)), len(queue.pop(100)), len(queue.pop(100))] == [100, 100, 50]
        assert queue.globals()["next_at"] == queue.now_ms + 30_000

    def test_the_lowest_debt(self, queue: "Bench") -> None:
        held = [queue.started(user=user) for user in ("ann", "bob")]
        for one, ran_us in zip(held, (9_000_000, 5_000_000), strict=True):
            queue.advance(10_000)
            queue.finish(one, ran_us=ran_us)
        (lowest, _), (highest, _) = sorted((tag, user) for user, tag in queue.snapshot("owe")["owe"])
        assert queue.globals()["owe_min"] <= lowest
        queue.amend_globals(V=lowest)
        queue.pop()
        assert queue.globals()["owe_min"] == highest

    def test_the_first_task_to_forget(self, queue: "Bench") -> None:
        queue.finish(queue.started())
        assert queue.globals()["kept_at"] == queue.now_ms + 60_000
        queue.advance(60_000)
        queue.finish(queue.started())
        assert "t:t1" not in queue.snapshot()
        assert queue.globals()["kept_at"] == queue.now_ms + 60_000


class TestWhenTheyAreWrong:
    """A sweep looks itself, and sets them again; so does a verification that repairs, see test_spoiled."""

    def test_a_lost_lease_is_found(self, queue: "Bench") -> None:
        queue.started()
        queue.amend_globals(next_at=NEVER)
        queue.advance(31_000)
        assert queue.pop() == ()
        assert queue.sweep().reclaimed
        assert queue.pop_ids() == ["t1"]

    def test_a_delayed_task_is_found(self, queue: "Bench") -> None:
        queue.fill("ann", 1, delay_ms=1_000)
        queue.amend_globals(next_at=NEVER)
        queue.advance(1_000)
        queue.sweep()
        assert queue.pop_ids() == ["t1"]

    def test_a_user_that_paid_its_debt_is_forgotten(self, queue: "Bench") -> None:
        queue.finish(queue.started(user="bob"), ran_us=5_000_000)
        assert "owe" in queue.snapshot()
        queue.amend_globals(owe_min=NEVER)
        queue.sweep()
        assert not queue.snapshot("owe", "u:", "users")

    def test_a_fresh_user_is_served(self, queue: "Bench") -> None:
        queue.push()
        queue.amend_globals(fresh_n=0)
        assert queue.pop() == ()
        queue.sweep()
        assert queue.pop_ids() == ["t1"]

    def test_fresh_users_that_are_not_there_are_noted_by_a_pop(self, queue: "Bench") -> None:
        queue.push()
        queue.amend_globals(fresh_n=9)
        assert queue.pop_ids(2) == ["t1"]
        assert queue.globals()["fresh_n"] == 0

    def test_ended_tasks_are_forgotten(self, queue: "Bench") -> None:
        queue.finish(queue.started())
        queue.amend_globals(kept_at=NEVER)
        queue.advance(60_000)
        queue.finish(queue.started())
        assert queue.state("t1") is TaskState.FINISHED
        queue.sweep()
        assert "t:t1" not in queue.snapshot()

    def test_a_bound_that_is_too_low_costs_only_a_look(self, queue: "Bench") -> None:
        queue.started()
        queue.amend_globals(next_at=0, owe_min=-NEVER, kept_at=0)
        queue.pop()
        found = queue.globals()
        assert (found["next_at"], found["owe_min"]) == (queue.now_ms + 30_000, 1_000)

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), -1])
    def test_a_value_that_no_script_has_written_says_nothing(self, queue: "Bench", value: float) -> None:
        queue.started()
        queue.amend_globals(next_at=value, kept_at=value)
        queue.advance(31_000)
        assert queue.pop_ids() == ["t1"]
