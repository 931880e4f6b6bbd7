"""limit: how many tasks of a user run at a time, and that none starts during a pause."""

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairque.protocol.calls.pop import Granted
from fairque.protocol.model.states import Priority, TaskState

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench


class TestCap:
    def test_no_more_tasks_run_than_the_cap_allows(self, queue: "Bench") -> None:
        queue.limit(cap=2)
        queue.fill("ann", 5)
        first, second = queue.pop(5)
        assert queue.pop(5) == ()
        queue.finish(first)
        (third,) = queue.pop(5)
        queue.release(second)
        assert queue.pop_ids(5) == [second.task_id]
        assert queue.standing().running == 2
        assert third.task_id == "t3"

    def test_other_users_are_served_meanwhile(self, queue: "Bench") -> None:
        queue.limit(cap=1)
        queue.fill("ann", 3)
        queue.fill("bob", 3)
        assert sorted(queue.info(t.task_id).user_id for t in queue.pop(10)) == ["ann", "bob", "bob", "bob"]

    def test_a_cap_that_does_not_bind_does_not_reduce_the_share_of_a_user(self, new_crew: Any) -> None:
        crew = new_crew()
        crew.queue.limit("ann", cap=1, weight=3)
        for user in ("ann", "bob"):
            crew.push(user, *[100_000] * 200)
        crew.work(until_us=crew.queue.now_us + 20_000_000)
        started = Counter(crew.started)
        assert started["ann"] / len(crew.started) == pytest.approx(3 / 4, abs=0.02)

    def test_a_cap_that_does_not_bind_does_not_reduce_the_share_among_long_tasks_and_low_weights(
        self, new_crew: Any
    ) -> None:
        """Whenever all the others have been served, virtual time leaps by a hundred seconds."""
        crew = new_crew(2)
        crew.queue.limit("ann", cap=1)
        crew.push("ann", *[2_000_000] * 700)
        for number in range(10):
            crew.queue.limit(f"light{number}", weight=0.1)
            crew.push(f"light{number}", *[10_000_000] * 50)
        crew.queue.limit("ann", weight=0.9)
        crew.work(until_us=crew.queue.now_us + 700_000_000)
        # Its leeway grew from ten seconds to what it needs.
        assert int(crew.queue.snapshot("u:ann")["u:ann"]["leeway"]) >= 80_000_000
        before = crew.started.count("ann")
        # Six rounds of all users.
        crew.work(until_us=crew.queue.now_us + 570_000_000)
        fair = 2 * 570 * 0.9 / 1.9
        assert 2 * (crew.started.count("ann") - before) == pytest.approx(fair, rel=0.03)

    def test_a_capped_user_is_in_no_ring_and_no_worker_is_kept_awake(self, queue: "Bench") -> None:
        queue.limit(cap=1)
        queue.fill("ann", 3, priority=Priority.CRITICAL)
        queue.pop(5)
        queue.woken()
        assert queue.wait_ms() == 30_000
        assert not queue.woken()
        assert not queue.snapshot("ready", "fresh", "critical", "timers")

    def test_a_critical_task_waits_for_the_cap(self, queue: "Bench") -> None:
        queue.limit(cap=1)
        running = queue.started()
        queue.push(queue.task(task_id="c", priority=Priority.CRITICAL))
        assert queue.pop() == ()
        queue.finish(running)
        assert queue.pop_ids() == ["c"]

    def test_a_raised_cap_applies_to_waiting_tasks_and_wakes_a_worker(self, queue: "Bench") -> None:
        queue.limit(cap=1)
        queue.fill("ann", 5)
        queue.pop(5)
        queue.woken()
        queue.limit(cap=3)
        assert queue.woken()
        assert len(queue.pop(5)) == 2

    def test_after_a_lowered_cap_running_tasks_continue_and_no_more_start(self, queue: "Bench") -> None:
        queue.fill("ann", 5)
        held = queue.pop(3)
        queue.limit(cap=2)
        assert queue.pop(5) == ()
        queue.finish(held[0])
        assert queue.pop(5) == ()
        queue.finish(held[1])
        assert len(queue.pop(5)) == 1

    def test_removing_a_cap_frees_the_backlog(self, queue: "Bench") -> None:
        queue.limit(cap=1)
        queue.fill("ann", 4)
        queue.pop()
        queue.limit(cap=None)
        assert len(queue.pop(10)) == 3

    def test_a_lost_lease_frees_its_place(self, queue: "Bench") -> None:
        queue.limit(cap=1)
        queue.fill("ann", 2)
        queue.pop()
        queue.advance(30_000)
        assert queue.pop_ids() == ["t1"]

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(steps=st.lists(st.tuples(st.sampled_from("pfrcwx"), st.integers(1, 4)), max_size=25))
    def test_the_cap_is_never_exceeded_whatever_happens(self, queue: "Bench", steps: list[tuple[str, int]]) -> None:
        queue.drop()
        queue.client.hset(queue.keys.meta, "test", "1")
        queue.advance(0)
        cap, held = 4, list[Granted]()
        queue.limit(cap=cap)
        queue.fill("ann", 10)
        queue.fill("bob", 2)
        for step, number in steps:
            before = len([t for t in held if queue.info(t.task_id).user_id == "ann"])
            match step:
                case "p":
                    held += queue.pop(number)
                case "f":
                    queue.finish(*held[:number]) if held else None
                    del held[:number]
                case "r":
                    queue.release(*held[:number]) if held else None
                    del held[:number]
                case "c":
                    cap = number
                    queue.limit(cap=cap)
                case "w":
                    queue.limit(weight=number * 10)
                case "x":
                    queue.limit(paused=1 if number % 2 else None)
            now = queue.standing().running
            assert now <= max(cap, before)
            assert now == len([t for t in held if queue.info(t.task_id).user_id == "ann"])


class TestPause:
    def test_a_paused_user_starts_nothing(self, queue: "Bench") -> None:
        queue.fill("ann", 3)
        queue.limit(paused=1)
        assert queue.pop(5) == ()
        assert not queue.snapshot("ready", "fresh", "critical")

    def test_tasks_pushed_during_a_pause_are_stored(self, queue: "Bench") -> None:
        queue.limit(paused=1)
        queue.woken()
        queue.fill("ann", 3)
        assert not queue.woken()
        assert queue.wait_ms() is None
        assert queue.standing().waiting == 3

    def test_running_tasks_continue_in_a_pause(self, queue: "Bench") -> None:
        held = queue.started()
        queue.limit(paused=1)
        assert queue.finish(held) == [(1, TaskState.FINISHED)]

    def test_a_resumed_user_is_served_and_a_worker_woken(self, queue: "Bench") -> None:
        queue.fill("ann", 3)
        queue.limit(paused=1)
        queue.woken()
        queue.limit(paused=None)
        assert queue.woken()
        assert len(queue.pop(5)) == 3

    def test_a_user_is_not_compensated_for_a_pause(self, queue: "Bench") -> None:
        queue.fill("ann", 40)
        queue.fill("bob", 80)
        queue.limit(paused=1)
        for _ in range(40):
            (held,) = queue.pop()
            queue.advance(1_000)
            queue.finish(held, ran_us=1_000_000)
        queue.limit(paused=None)
        users = []
        for _ in range(20):
            (held,) = queue.pop()
            users.append(queue.info(held.task_id).user_id)
            queue.advance(1_000)
            queue.finish(held, ran_us=1_000_000)
        assert abs(users.count("ann") - users.count("bob")) <= 2

    def test_a_pause_keeps_the_user_s_debt(self, queue: "Bench") -> None:
        queue.fill("ann", 2)
        queue.fill("bob", 2)
        ann, _ = queue.pop(2)
        queue.advance(10_000)
        queue.finish(ann, ran_us=10_000_000)
        queue.limit(paused=1)
        assert queue.snapshot("owe") == {"owe": [("ann", 10_000_000.0)]}
        assert queue.standing().ahead == 10
        queue.limit(paused=None)
        # Seen from bob, who is next and has had a millisecond.
        assert queue.standing().ahead == 9.999
        assert not queue.snapshot("owe")

    def test_a_pause_of_an_unknown_user_applies_to_its_first_push(self, queue: "Bench") -> None:
        queue.limit("new", paused=1)
        queue.fill("new", 1)
        assert queue.pop() == ()
