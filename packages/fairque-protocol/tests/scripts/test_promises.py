"""The promises of the design on the real scripts: each bound is computed by its formula, then compared."""

import json
from collections.abc import Callable, Sequence
from itertools import combinations, cycle, islice, permutations
from math import ceil
from typing import TYPE_CHECKING, Any

import pytest
from attrs import frozen
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fairque.protocol.calls.pop import Granted
from fairque.protocol.model.score import BOOST_US
from fairque.protocol.model.states import Priority
from fairque.testing.internal import calls

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench, Crew

NewCrew = Callable[..., "Crew"]

FRESH_RUN = 8
#: B and Bc: microseconds, or tasks where each costs one.
BURST_US, CREDIT_US = 1_000_000, 2_000_000
#: K: how far behind a user may come back from its cap, at first.
LEEWAY_US = 10_000_000
BURST = CREDIT = 8
#: Tags are sums of floats, and a hint loses up to a microsecond on the way.
ROUNDING = 1 + 1e-6
LEASE_MS = 3_000
LONGEST_PREPAY_US = LEASE_MS * 1_000 // 3


@frozen(kw_only=True)
class Plan:
    """What a user pushes: so many tasks of these costs in turn, with a hint that is so many times the cost."""

    weight: float
    costs: Sequence[int]
    hint: float | None

    def of(self, number: int) -> list[int]:
        return list(islice(cycle(self.costs), number))


def plans(longest_us: int = 10_000_000) -> st.SearchStrategy[Plan]:
    costs = st.sampled_from([c for c in (1_000, 30_000, 900_000, 10_000_000) if c <= longest_us])
    return st.builds(
        Plan,
        weight=st.sampled_from([1.0, 1.0, 2.0]) | st.floats(0.01, 100),
        costs=st.lists(costs | st.integers(1_000, longest_us), min_size=1, max_size=12),
        hint=st.sampled_from([None, 1.0, 0.01, 100.0]),
    )


def quickly(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def counting(crew: "Crew") -> "Crew":
    crew.queue.run(calls.configure(crew.queue.keys, cost_mode="count"))
    return crew


def fill(crew: "Crew", user: str, plan: Plan, number: int, **fields: Any) -> None:
    crew.queue.limit(user, weight=plan.weight)
    crew.push(user, *plan.of(number), hint=plan.hint, **fields)


def crowd(crew: "Crew", step: int, arrivals: tuple[int, int, int]) -> None:
    """New users, new users that are CRITICAL, and tasks of a user that comes and goes."""
    fresh, critical, again = arrivals
    for number in range(fresh):
        crew.push(f"new{step}.{number}", 5_000)
    for number in range(critical):
        crew.push(f"urgent{step}.{number}", 5_000, priority=Priority.CRITICAL)
    if again:
        crew.push("returning", *[5_000] * again)


crowds = st.lists(st.tuples(*[st.sampled_from([0, 0, 1, 2])] * 3), min_size=40, max_size=80)


class TestTwoUsersThatAlwaysHaveWork:
    @quickly(12)
    @given(st.lists(plans(), min_size=2, max_size=4), st.integers(1, 5), crowds)
    def test_are_never_further_apart_than_one_task_of_each(
        self, new_crew: NewCrew, users: list[Plan], workers: int, arrivals: list[tuple[int, int, int]]
    ) -> None:
        """From when both were served, in a crowd in which they come one after the other."""
        crew = counting(new_crew(workers, lease_ms=LEASE_MS))
        weights: dict[str, float] = {}
        for step, arrived in enumerate(arrivals):
            if step % 6 == 0 and len(weights) < len(users):
                plan, name = users[len(weights)], f"user{len(weights)}"
                fill(crew, name, plan, 100)
                weights[name] = plan.weight
            crowd(crew, step, arrived)
            crew.work(1, while_wait=weights)
        for one, other in permutations({*weights} & {*crew.started}, 2):
            bound = 1 / weights[one] + 1 / weights[other]
            since = max(crew.started.index(one), crew.started.index(other))
            assert crew.lead_in_starts(one, other, weights, since=since) <= bound * ROUNDING

    @quickly(12)
    @given(st.lists(st.tuples(plans(), st.integers(0, 12)), min_size=2, max_size=4), st.integers(1, 5))
    def test_are_so_from_the_arrival_of_the_later_one(
        self, new_crew: NewCrew, users: list[tuple[Plan, int]], workers: int
    ) -> None:
        crew = counting(new_crew(workers, lease_ms=LEASE_MS))
        crew.push("first", *[1_000_000] * 150)
        weights: dict[str, float] = {}
        came: dict[str, int] = {}
        for number, (plan, starts) in enumerate(users):
            crew.work(starts, while_wait=weights)
            name = f"user{number}"
            weights[name], came[name] = plan.weight, len(crew.started)
            fill(crew, name, plan, 80)
        crew.work(60, while_wait=weights)
        for one, other in permutations(weights, 2):
            bound = 1 / weights[one] + 1 / weights[other]
            since = max(came[one], came[other])
            assert crew.lead_in_starts(one, other, weights, since=since) <= bound * ROUNDING

    def test_are_so_too_after_one_of_them_waited_in_a_crowd_of_new_users(self, new_crew: NewCrew) -> None:
        crew = counting(new_crew())
        crew.push("steady", *[5_000] * 100)
        for number in range(40):
            crew.push(f"new{number}", 5_000)
        crew.push("late", *[5_000] * 100)
        while "late" not in crew.started:
            crew.work(1)
        since = len(crew.started) - 1
        crew.work(40)
        assert crew.lead_in_starts("late", "steady", {}, since=since) <= 2

    @quickly(25)
    @given(plans(), plans(), st.none() | plans(), st.integers(1, 6))
    @pytest.mark.thorough
    def test_get_times_that_differ_by_their_running_tasks_and_one_more_at_most(
        self, new_crew: NewCrew, ann: Plan, bob: Plan, eve: Plan | None, workers: int
    ) -> None:
        crew = new_crew(workers, lease_ms=LEASE_MS)
        users = {"ann": ann, "bob": bob, **({"eve": eve} if eve else {})}
        for name, plan in users.items():
            fill(crew, name, plan, 100)
        crew.work(120, while_wait=["ann", "bob"])
        bound = apart({"ann": (ann, workers), "bob": (bob, workers)})
        weights = {name: plan.weight for name, plan in users.items()}
        assert crew.lead("ann", "bob", weights) <= bound * ROUNDING
        assert crew.lead("bob", "ann", weights) <= bound * ROUNDING

    @quickly(15)
    @given(plans(LONGEST_PREPAY_US), plans(LONGEST_PREPAY_US))
    def test_get_with_one_worker_and_true_hints_times_that_differ_by_one_task_of_each(
        self, new_crew: NewCrew, ann: Plan, bob: Plan
    ) -> None:
        crew = new_crew(lease_ms=LEASE_MS)
        weights = {"ann": ann.weight, "bob": bob.weight}
        for name, plan in ("ann", ann), ("bob", bob):
            crew.queue.limit(name, weight=plan.weight)
            crew.push(name, *plan.of(100), hint=1)
        crew.work(120, while_wait=["ann", "bob"])
        bound = (max(ann.costs) + 1) / ann.weight + (max(bob.costs) + 1) / bob.weight
        assert crew.lead("ann", "bob", weights) <= bound * ROUNDING
        assert crew.lead("bob", "ann", weights) <= bound * ROUNDING

    @quickly(10)
    @given(plans(), plans(), st.integers(1, 3), st.integers(3, 6))
    def test_gain_nothing_from_a_cap(self, new_crew: NewCrew, ann: Plan, bob: Plan, cap: int, workers: int) -> None:
        crew = new_crew(workers, lease_ms=LEASE_MS)
        crew.queue.limit("ann", cap=cap)
        fill(crew, "ann", ann, 100)
        fill(crew, "bob", bob, 100)
        crew.work(120, while_wait=["ann", "bob"])
        bound = apart({"ann": (ann, cap), "bob": (bob, workers)}) + leeway(ann, bob, cap, workers) / ann.weight
        assert crew.lead("ann", "bob", {"ann": ann.weight, "bob": bob.weight}) <= bound * ROUNDING


def apart(users: dict[str, tuple[Plan, int]]) -> float:
    """Promise 2: by how much the times of two users may differ, in microseconds per weight."""
    return sum(running * (max(plan.costs) + LONGEST_PREPAY_US) / plan.weight for plan, running in users.values())


def leeway(ann: Plan, bob: Plan, cap: int, workers: int) -> float:
    """Promise 3: how much time a cap of Ann can have saved up for her, while Bob has none, in microseconds."""
    if cap >= workers:
        return 0
    of_bob = workers * max(*bob.costs, LONGEST_PREPAY_US) + (2 * workers - cap) * LONGEST_PREPAY_US
    excursion = ann.weight * of_bob / bob.weight + 2 * cap * LONGEST_PREPAY_US
    return max(LEEWAY_US, 2 * excursion)


def turn(queue: "Bench") -> tuple[str, set[str]]:
    """Pop and finish a task; return the ring that it came from, and the rings that had users before."""
    prefix = queue.keys.prefix
    with queue.client.pipeline() as pipeline:
        pipeline.zrange(f"{prefix}fresh", 0, 0)
        pipeline.zrange(f"{prefix}ready", 0, 0)
        fresh, ready = pipeline.execute()
    on_credit = queue.globals()["cg"]
    (held,) = queue.pop()
    user = user_of(held)
    queue.finish(held)
    waiting = {name for name, head in (("fresh", fresh), ("ready", ready)) if head}
    if queue.globals()["cg"] > on_credit:
        return "critical", waiting
    return "fresh" if fresh and fresh[0].decode() == user else "ready", waiting


def user_of(held: Granted) -> str:
    return str(json.loads(held.message)["user"])


class TestTurns:
    @quickly(12)
    @given(crowds, st.sampled_from(["time", "count"]), st.sampled_from([0, 100]))
    def test_of_nine_pops_the_ready_ring_has_one_and_the_fresh_ring_two(
        self, new_crew: NewCrew, arrivals: list[tuple[int, int, int]], cost_mode: Any, flood: int
    ) -> None:
        crew = new_crew()
        crew.queue.run(calls.configure(crew.queue.keys, cost_mode=cost_mode))
        crew.push("steady", *[5_000] * 100)
        crew.queue.pop()
        if flood:
            crew.push("flood", *[5_000] * flood, priority=Priority.CRITICAL)
        turns = []
        for step, arrived in enumerate(arrivals):
            crowd(crew, step, arrived)
            turns.append(turn(crew.queue))
        for first in range(len(turns) - FRESH_RUN):
            window = turns[first : first + FRESH_RUN + 1]
            served = [ring for ring, _ in window]
            for ring, least in ("ready", 1), ("fresh", 2):
                if all(ring in waiting for _, waiting in window):
                    assert served.count(ring) >= least, (ring, served)

    @quickly(15)
    @given(st.sampled_from([0, 1, 6, 7, 8, 9, 30]), st.integers(0, 8))
    def test_a_new_user_waits_for_those_before_it_and_every_ninth_pop(
        self, new_crew: NewCrew, before: int, phase: int
    ) -> None:
        queue = new_crew().queue
        ahead = new_user_behind(queue, before, phase)
        assert pops_until_new_is_served(queue) <= ahead + 1 + ceil((ahead + 1) / FRESH_RUN)

    @quickly(15)
    @given(st.sampled_from([0, 1, 6, 7, 8, 9, 30]), st.integers(0, 8))
    def test_a_flood_of_critical_tasks_delays_a_new_user_by_a_bounded_number_of_pops(
        self, new_crew: NewCrew, before: int, phase: int
    ) -> None:
        queue = new_crew().queue
        ahead = new_user_behind(queue, before, phase)
        queue.push(*(queue.task(f"urgent{number}", priority=Priority.CRITICAL) for number in range(200)))
        assert pops_until_new_is_served(queue) <= 9 * ceil((ahead + 1) / 2) + 8


def new_user_behind(queue: "Bench", before: int, phase: int) -> int:
    """A new user comes in the middle of a round; others wait in the ready ring, and so many before it in the fresh."""
    queue.fill("steady", 100)
    queue.pop()
    if phase:
        queue.push(*(queue.task(f"phase{number}") for number in range(phase)))
        queue.pop(phase)
    if before:
        queue.push(*(queue.task(f"before{number}") for number in range(before)))
    ahead = int(queue.client.zcard(f"{queue.keys.prefix}fresh"))
    queue.push(queue.task("new"))
    return ahead


def pops_until_new_is_served(queue: "Bench") -> int:
    pops = 1
    while user_of(*queue.pop()) != "new":
        pops += 1
    return pops


class TestCriticalTasks:
    priorities = st.sampled_from([*Priority, *[Priority.CRITICAL] * 5])

    @quickly(12)
    @given(plans(), plans(), st.sampled_from([0, 100]), st.integers(1, 5))
    def test_of_a_user_with_only_critical_tasks_gain_it_the_credit_at_most_once(
        self, new_crew: NewCrew, ann: Plan, bob: Plan, rival: int, workers: int
    ) -> None:
        crew = counting(new_crew(workers, lease_ms=LEASE_MS))
        weights = {"ann": ann.weight, "bob": bob.weight}
        fill(crew, "bob", bob, 100)
        if rival:
            crew.push("eve", *[5_000] * rival, priority=Priority.CRITICAL)
        crew.work(10, while_wait=["bob"])
        since = len(crew.started)
        fill(crew, "ann", ann, 100, priority=Priority.CRITICAL)
        crew.work(100, while_wait=weights)
        bound = (1 + CREDIT) / ann.weight + 1 / bob.weight
        assert crew.lead_in_starts("ann", "bob", weights, since=since) <= bound * ROUNDING
        assert crew.lead_in_starts("bob", "ann", weights, since=since) <= bound * ROUNDING

    def test_use_the_credit(self, new_crew: NewCrew) -> None:
        crew = counting(new_crew())
        crew.push("bob", *[5_000] * 100)
        crew.work(1)
        crew.push("ann", *[5_000] * 100, priority=Priority.CRITICAL)
        crew.work(60)
        assert crew.lead_in_starts("ann", "bob", {}) == CREDIT

    @quickly(12)
    @given(plans(), plans(), st.integers(1, 4))
    def test_gain_no_more_time_than_the_credit_either(
        self, new_crew: NewCrew, ann: Plan, bob: Plan, workers: int
    ) -> None:
        crew = new_crew(workers, lease_ms=LEASE_MS)
        fill(crew, "bob", bob, 100)
        fill(crew, "ann", ann, 100, priority=Priority.CRITICAL)
        crew.work(120, while_wait=["ann", "bob"])
        bound = apart({"ann": (ann, workers), "bob": (bob, workers)}) + CREDIT_US / ann.weight
        weights = {"ann": ann.weight, "bob": bob.weight}
        assert crew.lead("ann", "bob", weights) <= bound * ROUNDING
        assert crew.lead("bob", "ann", weights) <= bound * ROUNDING

    @quickly(25)
    @given(st.lists(st.tuples(st.sampled_from([0, 1, 20_000, 61_000]), priorities), min_size=10, max_size=40))
    def test_and_other_tasks_of_a_user_overtake_each_other_by_their_head_start_only(
        self, new_crew: NewCrew, pushes: list[tuple[int, Priority]]
    ) -> None:
        queue = new_crew().queue
        came: dict[str, tuple[int, Priority]] = {}
        for pause_ms, priority in pushes:
            queue.advance(pause_ms)
            task = queue.task(priority=priority)
            queue.push(task)
            came[task.task_id] = (queue.now_us, priority)
        order = queue.pop_ids(100)
        assert len(order) == len(pushes)
        plain = [came[task_id] for task_id in order if came[task_id][1] is not Priority.CRITICAL]
        for (later, urgent), (sooner, other) in combinations(plain, 2):
            # Tasks that come at the same time are a microsecond apart.
            assert later - sooner <= BOOST_US[urgent] - BOOST_US[other] + len(pushes) <= 240_000_000 + len(pushes)
        row = 0
        for place, task_id in enumerate(order):
            row = row + 1 if came[task_id][1] is Priority.CRITICAL else 0
            assert row <= 4 or all(came[after][1] is Priority.CRITICAL for after in order[place:])


class TestTimeAway:
    @quickly(10)
    @given(plans(), plans(), st.integers(1, 4), st.lists(st.integers(0, 10), min_size=20, max_size=40))
    def test_gives_a_head_start_of_the_burst_at_most(
        self, new_crew: NewCrew, ann: Plan, bob: Plan, workers: int, pushes: list[int]
    ) -> None:
        weights = {"ann": ann.weight, "bob": bob.weight}
        by_count, by_time = counting(new_crew(workers, lease_ms=LEASE_MS)), new_crew(workers, lease_ms=LEASE_MS)
        for crew in by_count, by_time:
            fill(crew, "bob", bob, 150)
            crew.queue.limit("ann", weight=ann.weight)
            for number in pushes:
                if number and not crew.waiting["ann"]:
                    crew.push("ann", *ann.of(number), hint=ann.hint)
                crew.work(3, while_wait=["bob"])
        bound = (BURST + 1) / ann.weight + 1 / bob.weight
        assert by_count.lead_in_starts("ann", "bob", weights) <= bound * ROUNDING
        bound = apart({"ann": (ann, workers), "bob": (bob, workers)}) + BURST_US / ann.weight
        assert by_time.lead("ann", "bob", weights) <= bound * ROUNDING

    def test_of_a_user_with_true_hints_is_worth_the_burst_and_one_task_of_each(self, new_crew: NewCrew) -> None:
        crew = new_crew()
        crew.push("steady", *[100_000] * 200, hint=1)
        for _ in range(100):
            if not crew.waiting["hopper"]:
                crew.push("hopper", 100_000, hint=1)
            crew.work(until_us=crew.queue.now_us + 100_000)
        assert BURST_US / 2 < crew.lead("hopper", "steady", {}) <= BURST_US + 2 * 100_000

    @pytest.mark.parametrize(("stop", "go"), [({"paused": 1}, {"paused": None}), ({"cap": 1}, {"cap": None})])
    def test_in_a_pause_or_at_a_cap_is_not_compensated(
        self, new_crew: NewCrew, stop: dict[str, int], go: dict[str, None]
    ) -> None:
        crew = counting(new_crew(2))
        crew.push("ann", 3_000_000, *[5_000] * 100)
        crew.push("bob", *[5_000] * 400)
        crew.work(2)
        crew.queue.limit("ann", **stop)
        crew.work(200)
        assert crew.started[2:] == ["bob"] * 200
        crew.queue.limit("ann", **go)
        crew.work(80)
        assert crew.lead_in_starts("ann", "bob", {}, since=202) <= 2
        assert crew.lead_in_starts("bob", "ann", {}, since=202) <= 2

    @pytest.mark.parametrize("first", ["ann", "bob"])
    @pytest.mark.parametrize("workers", [1, 3])
    def test_of_all_others_costs_nothing_later(self, new_crew: NewCrew, workers: int, first: str) -> None:
        crew = new_crew(workers)
        crew.push("ann", *[90_000_000] * workers)
        crew.work()
        crew.queue.advance(5_000)
        since_us = crew.queue.now_us
        for name in sorted(["ann", "bob"], key=first.__ne__):
            crew.push(name, *[1_000_000] * 60, hint=1)
        crew.work(50)
        # True hints: one task of each with one worker, and with several as many more as run.
        bound = 2 * workers * 1_000_000
        assert crew.lead("ann", "bob", {}, since_us=since_us) <= bound
        assert crew.lead("bob", "ann", {}, since_us=since_us) <= bound
