"""Malicious users, workers and operators on the real scripts: their gain is bounded, or nothing."""

import json
from collections import Counter
from collections.abc import Callable
from itertools import permutations
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fairque.protocol.calls.limits import Setting
from fairque.protocol.calls.pop import Granted
from fairque.protocol.model.states import Priority, TaskState
from fairque.protocol.wire.status import Status
from fairque.testing.internal import calls

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench, Crew

NewCrew = Callable[..., "Crew"]

SECOND_US = 1_000_000
#: B and Bc of the design: microseconds, or tasks where each costs one.
BURST_US = 1_000_000
CREDIT = 8
STAYS = {"meta", "g", "counts", "wake", "claim:w1"}


def user_of(held: Granted) -> str:
    return str(json.loads(held.message)["user"])


def counting(crew: "Crew") -> "Crew":
    crew.queue.run(calls.configure(crew.queue.keys, cost_mode="count"))
    return crew


def virtual_time(queue: "Bench") -> float:
    return queue.globals()["V"]


def tag(queue: "Bench", user: str = "ann") -> float:
    return float(queue.snapshot(f"u:{user}")[f"u:{user}"]["S"])


class TestFloods:
    @pytest.mark.parametrize("served_new", [0, 8])
    def test_one_task_behind_twenty_thousand_of_another_user_is_served_at_once_or_one_later(
        self, queue: "Bench", served_new: int
    ) -> None:
        for _ in range(20):
            queue.fill("noisy", 1_000)
        queue.pop(10)
        for number in range(served_new):
            queue.fill(f"new{number}", 1)
            queue.pop()
        queue.push(queue.task("quiet"))
        assert [*map(user_of, queue.pop(2))].index("quiet") == (1 if served_new else 0)

    def test_twenty_thousand_users_of_one_task_leave_nothing_behind(self, queue: "Bench") -> None:
        for batch in range(20):
            queue.push(*(queue.task(f"u{batch}.{number}") for number in range(1_000)))
        while held := queue.pop(100):
            queue.finish(*held)
        queue.advance(60_000)
        while (swept := queue.sweep()).users or swept.forgotten:
            pass
        assert queue.snapshot().keys() <= STAYS

    @pytest.mark.parametrize("priority", [Priority.NORMAL, Priority.CRITICAL])
    def test_new_users_with_one_and_a_half_times_the_capacity_leave_a_ninth_to_the_others(
        self, new_crew: NewCrew, priority: Priority
    ) -> None:
        crew = new_crew(4)
        crew.push("old1", *[SECOND_US] * 200)
        crew.push("old2", *[SECOND_US] * 200)
        crew.work(2)
        for second in range(70):
            for number in range(6):
                crew.push(f"new{second}.{number}", SECOND_US, priority=priority)
            crew.work(until_us=crew.queue.now_us + SECOND_US)
        started = [user if user.startswith("old") else "new" for user in crew.started]
        assert len(started) >= 4 * 70
        assert all({"old1", "old2"} & {*started[first : first + 9]} for first in range(len(started) - 8))
        old = Counter(started)
        assert min(old["old1"], old["old2"]) >= (len(started) // 9 - 1) // 2

    @pytest.mark.parametrize("weights", [[1, 1, 1, 1, 1], [1, 2, 5, 0.5, 1]])
    def test_users_that_mark_everything_critical_compete_only_with_each_other(
        self, new_crew: NewCrew, weights: list[float]
    ) -> None:
        crew = counting(new_crew(3))
        of = {f"user{number}": weight for number, weight in enumerate(weights)}
        for user, weight in of.items():
            crew.queue.limit(user, weight=weight)
            crew.push(user, *[5_000] * 150, priority=Priority.CRITICAL)
        crew.work(250, while_wait=of)
        for one, other in permutations(of, 2):
            bound = (1 + CREDIT) / of[one] + (1 + CREDIT) / of[other]
            assert crew.lead_in_starts(one, other, of) <= bound + 1e-6


class TestEstimates:
    @pytest.mark.parametrize(("tiny_hint", "huge_hint"), [(100, 0.01), (0.01, 100)])
    def test_wrong_by_a_factor_of_a_hundred_shift_no_time_between_tiny_and_huge_tasks(
        self, new_crew: NewCrew, tiny_hint: float, huge_hint: float
    ) -> None:
        crew = new_crew()
        weights = {"tiny": 0.01, "huge": 100.0}
        cost = {"tiny": 1_000, "huge": 600 * SECOND_US}
        for user, weight in weights.items():
            crew.queue.limit(user, weight=weight)
        for _ in range(12):
            crew.push("tiny", *[cost["tiny"]] * 100, hint=tiny_hint)
            crew.push("huge", cost["huge"], hint=huge_hint)
        crew.work(while_wait=weights)
        longest = {"tiny": max(1_000, 1_000 * tiny_hint), "huge": 600 * SECOND_US}
        # One worker: of each its running task, and one more.
        bound = sum(2 * longest[user] / weights[user] for user in weights)
        assert crew.lead("tiny", "huge", weights) <= bound
        assert crew.lead("huge", "tiny", weights) <= bound
        assert crew.started.count("huge") * cost["huge"] / weights["huge"] > 1.5 * bound

    def test_that_are_small_on_average_do_not_hide_long_tasks(self, new_crew: NewCrew) -> None:
        crew = new_crew(4, lease_ms=3_000)
        crew.push("sly", *[*[1_000] * 9, 20 * SECOND_US] * 20)
        crew.push("plain", *[SECOND_US] * 500)
        crew.work(while_wait=["sly", "plain"])
        bound = 5 * 20 * SECOND_US + 5 * SECOND_US
        assert crew.lead("sly", "plain", {}) <= bound
        assert crew.lead("plain", "sly", {}) <= bound
        assert crew.started.count("plain") * SECOND_US > 2 * bound


class TestComingAndGoing:
    def test_emptying_the_queue_does_not_clear_a_debt(self, new_crew: NewCrew) -> None:
        crew = new_crew(lease_ms=3_000)
        crew.push("steady", *[SECOND_US] * 200)
        for _ in range(180):
            if not crew.waiting["hopper"]:
                crew.push("hopper", 5 * SECOND_US)
            crew.work(until_us=crew.queue.now_us + SECOND_US)
        bound = 2 * 5 * SECOND_US + 2 * SECOND_US + BURST_US
        assert crew.lead("hopper", "steady", {}) <= bound

    def test_long_tasks_started_alone_cost_what_they_take_once_others_come(self, new_crew: NewCrew) -> None:
        crew = new_crew(4, lease_ms=3_000)
        crew.push("ann", *[60 * SECOND_US] * 4)
        begin = crew.queue.now_us
        crew.work(until_us=begin + 30 * SECOND_US)
        for user in ("bob", "eve", "ann", "zoe"):
            crew.push(user, *[SECOND_US] * 300, hint=1)
        crew.work(until_us=begin + 60 * SECOND_US)
        crew.work(until_us=begin + 300 * SECOND_US)
        for user in ("bob", "eve", "zoe"):
            # Four workers for the rest of the tasks; up to a beat of each was not charged yet; one task more of each.
            bound = 4 * 30 * SECOND_US + 4 * SECOND_US + 2 * 5 * SECOND_US
            assert crew.lead(user, "ann", {}, since_us=begin + 60 * SECOND_US) <= bound
            assert crew.lead("ann", user, {}, since_us=begin + 60 * SECOND_US) <= 2 * 5 * SECOND_US

    def test_simultaneous_bursts_of_many_users_get_at_most_a_share_and_a_head_start(self, new_crew: NewCrew) -> None:
        crew = new_crew(2)
        bursting = [f"burst{number}" for number in range(4)]
        cost = SECOND_US // 5
        crew.push("steady", *[cost] * 600, hint=1)
        for _ in range(8):
            for user in bursting:
                crew.push(user, *[cost] * 10, hint=1)
            crew.work(until_us=crew.queue.now_us + 6 * SECOND_US)
        for user in bursting:
            assert crew.lead(user, "steady", {}) <= 2 * 3 * cost + BURST_US


class TestOperators:
    def test_raising_the_caps_of_all_at_once_favors_no_user(self, new_crew: NewCrew) -> None:
        queue = counting(new_crew()).queue
        users = [f"user{number}" for number in range(30)]
        queue.run(calls.limit(queue.keys, [Setting(user, "cap", 1) for user in users]))
        queue.push(*(queue.task(user) for user in users for _ in range(10)))
        started = Counter(map(user_of, queue.pop(100)))
        assert started == dict.fromkeys(users, 1)
        queue.woken()
        queue.run(calls.limit(queue.keys, [Setting(user, "cap", None) for user in users]))
        assert queue.woken()
        for _ in range(2):
            started.update(map(user_of, queue.pop(100)))
            assert max(started.values()) - min(started.values()) <= 1
        assert started.total() == 230

    def test_a_capped_user_with_twenty_thousand_tasks_delays_no_other_user(self, queue: "Bench") -> None:
        queue.limit("big", cap=1)
        order = [task_id for _ in range(20) for task_id in queue.fill("big", 1_000)]
        for task_id in order[:60]:
            queue.push(queue.task("small"))
            held = queue.pop(5)
            assert sorted(map(user_of, held)) == ["big", "small"]
            assert task_id in [task.task_id for task in held]
            assert queue.pop(5) == ()
            queue.finish(*held)

    @settings(
        max_examples=6,
        deadline=None,
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(st.lists(st.integers(0, 3), min_size=40, max_size=90))
    def test_a_storm_of_pauses_favors_no_user_and_loses_none(self, new_crew: NewCrew, storm: list[int]) -> None:
        crew = counting(new_crew(2))
        users = ["steady1", "steady2", *(f"stormy{number}" for number in range(4))]
        for user in users:
            crew.push(user, *[5_000] * 120)
        paused: set[str] = set()
        for number in storm:
            user = f"stormy{number}"
            paused ^= {user}
            crew.queue.limit(user, paused=1 if user in paused else None)
            crew.work(1)
            assert crew.started[-1] not in paused
        for one, other in [("steady1", "steady2"), ("steady2", "steady1"), *((user, "steady1") for user in users)]:
            assert crew.lead_in_starts(one, other, {}) <= 2
        for user in paused:
            crew.queue.limit(user, paused=None)
        crew.work()
        assert not +crew.waiting

    @pytest.mark.parametrize("first", [0.01, 100])
    def test_changing_the_weight_at_every_pop_and_ending_creates_no_credit(
        self, new_crew: NewCrew, first: float
    ) -> None:
        queue = new_crew().queue
        queue.fill("ann", 500, cost=1.0)
        queue.fill("bob", 500, cost=1.0)
        weight, seen = 1.0, virtual_time(queue)
        entitled = 0.0
        times: Counter[str] = Counter()
        for turn in range(400):
            (held,) = queue.pop()
            entitled += weight * (virtual_time(queue) - seen)
            seen = virtual_time(queue)
            weight = first if turn % 2 else 1 / first
            queue.limit("ann", weight=weight)
            queue.advance(100)
            queue.finish(held, ran_us=100_000)
            times[user_of(held)] += 100_000
            # One task that runs, and one more, of the second that each was charged ahead.
            assert abs(times["ann"] - entitled) <= 2 * SECOND_US

    @pytest.mark.parametrize(
        ("limits", "wakes", "event"),
        [
            ({"cap": 1}, 1, lambda queue, _: queue.limit(cap=2)),
            ({"cap": 1}, 1, lambda queue, held: queue.finish(held)),
            ({"cap": 1}, 1, lambda queue, held: queue.release(held)),
            ({"cap": 1}, 1, lambda queue, held: queue.fail(held, verdict="dead")),
            ({"cap": 1}, 0, lambda queue, _: queue.advance(30_000)),
            ({"rate": 1}, 1, lambda queue, _: queue.limit(rate=None)),
            ({"rate": 1}, 0, lambda queue, _: queue.advance(1_000)),
            ({"paused": 1}, 1, lambda queue, _: queue.limit(paused=None)),
        ],
    )
    def test_the_next_pop_serves_the_last_user_that_may_run_again(
        self, queue: "Bench", limits: dict[str, int], wakes: int, event: Callable[["Bench", Granted], object]
    ) -> None:
        queue.fill("ann", 3)
        if "rate" in limits:
            queue.limit("ann", **limits)
        (held,) = queue.pop()
        queue.limit("ann", **limits)
        assert queue.pop() == ()
        queue.woken()
        event(queue, held)
        assert queue.woken() == wakes
        assert len(queue.pop()) == 1


class TestWorkers:
    def test_that_die_free_their_places_and_charge_nothing_twice(self, queue: "Bench") -> None:
        queue.limit(cap=1)
        held = queue.started(cost=2.0)
        queue.push(*(queue.task("bob") for _ in range(5)))
        queue.advance(4_000)
        queue.beat(held)
        assert tag(queue) == 4_000_000
        queue.advance(30_000)
        (again,) = (task for task in queue.pop(6) if user_of(task) == "ann")
        assert (again.task_id, again.solo) == (held.task_id, True)
        assert tag(queue) == 4_000_000 + 2_000_000
        assert queue.standing().running == 1
        queue.advance(500)
        queue.finish(again, ran_us=500_000)
        assert tag(queue) == 4_000_000 + 500_000

    def test_that_report_too_late_or_twice_change_nothing(self, queue: "Bench") -> None:
        queue.fill("ann", 3)
        queue.fill("bob", 3)
        late, _ = queue.pop(2)
        queue.advance(30_000)
        again = next(task for task in queue.pop(3) if task.task_id == late.task_id)
        before = queue.snapshot("u:", "ready", "owe", "running", "t:")
        assert queue.finish(late, ran_us=30_000_000) == [(Status.LOST, TaskState.STARTED)]
        assert queue.beat(late) == [Status.LOST]
        assert queue.snapshot("u:", "ready", "owe", "running", "t:") == before
        queue.advance(10)
        queue.finish(again, ran_us=10_000)
        before = queue.snapshot("u:", "ready", "owe", "running", "t:")
        assert queue.finish(again, ran_us=99_000_000) == [(Status.ALREADY, TaskState.FINISHED)]
        assert queue.snapshot("u:", "ready", "owe", "running", "t:") == before

    def test_whose_task_is_canceled_are_charged_once_and_free_the_cap(self, queue: "Bench") -> None:
        queue.limit(cap=1)
        queue.fill("ann", 2)
        queue.fill("bob", 3)
        held = next(task for task in queue.pop(2) if user_of(task) == "ann")
        assert queue.cancel(held.task_id)[0] is Status.REQUESTED
        assert queue.cancel(held.task_id)[0] is Status.REQUESTED
        queue.advance(50)
        assert queue.release(held, ran_us=50_000) == [(Status.OK, TaskState.CANCELED)]
        assert (tag(queue), queue.standing().running) == (50_000, 0)
        assert "t2" in [task.task_id for task in queue.pop(3)]

    def test_that_vanish_with_a_task_of_ten_hours_charge_its_user_the_prepaid_part(self, queue: "Bench") -> None:
        held = queue.started(cost=36_000.0, timeout_ms=40_000_000)
        assert tag(queue) == 10_000_000
        queue.fill("bob", 1)
        queue.advance(36_000_000)
        queue.sweep()
        assert (tag(queue), queue.standing().running) == (10_000_000, 0)
        again = next(task for task in queue.pop(2) if user_of(task) == "ann")
        assert (again.task_id, again.attempt) == (held.task_id, 2)

    def test_that_report_too_much_or_too_little_time_are_believed_within_bounds(self, queue: "Bench") -> None:
        queue.fill("ann", 4)
        queue.fill("bob", 4)
        total = 0
        for ran_us, charged in (10**15, 20_000), (0, 1_000), (7_000, 7_000):
            held = queue.pop(2)
            queue.advance(20)
            queue.finish(*held, ran_us=ran_us)
            total += charged
            assert tag(queue, "ann") == tag(queue, "bob") == total


class TestIdsAndClocks:
    def test_users_with_special_ids_are_treated_like_others(self, new_crew: NewCrew) -> None:
        crew = counting(new_crew(2))
        names = ["!", "~~~~", "0", "a:b", "{x}", "}{", "a,b", "*", "(", "-", "+", "ünï", "日本", "a b", "x" * 128]
        for name in names:
            crew.push(name, *[5_000] * 6)
        crew.work(24)
        assert {*crew.started} == {*names}
        crew.work(48)
        for one, other in permutations(names, 2):
            assert crew.lead_in_starts(one, other, {}, since=24) <= 2
        crew.work()
        crew.queue.advance(60_000)
        crew.queue.sweep()
        assert crew.queue.snapshot().keys() <= STAYS

    def test_ten_thousand_tasks_keep_their_order_whatever_their_ids(self, queue: "Bench") -> None:
        pushed = []
        for _ in range(10):
            tasks = [queue.task(task_id=uuid4().hex) for _ in range(1_000)]
            queue.push(*tasks)
            pushed += [task.task_id for task in tasks]
        popped: list[str] = []
        while held := queue.pop(100):
            popped += [task.task_id for task in held]
            queue.finish(*held)
        assert popped == pushed

    def test_a_clock_that_steps_back_reverses_neither_time_nor_order(self, queue: "Bench") -> None:
        order, seen = [], [virtual_time(queue)]
        queue.fill("bob", 40)
        for step in range(12):
            order += queue.fill("ann", 2)
            queue.advance(-700 if step % 2 else 400)
            held = queue.pop()
            seen.append(virtual_time(queue))
            queue.beat(*held)
            queue.finish(*held, ran_us=5_000)
            seen.append(virtual_time(queue))
        assert seen == sorted(seen)
        assert [task.task_id for task in queue.pop(100) if user_of(task) == "ann"] == order[-18:]

    def test_a_task_during_which_the_clock_steps_back_costs_the_minimum(self, queue: "Bench") -> None:
        held = queue.started(cost=5.0)
        queue.fill("ann", 1)
        queue.fill("bob", 3)
        queue.advance(-9_000)
        assert queue.beat(held) == [Status.OK]
        assert tag(queue) == 5_000_000
        queue.finish(held, ran_us=5_000_000)
        assert tag(queue) == 1_000
