"""The promised bounds, in count mode, where every start costs 1: computed, then compared."""

from math import ceil
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairque.protocol.model.states import Priority
from fairque.testing.fairness.ledger import CostMode
from fairque.testing.fairness.order import FRESH_RUN
from fairque.testing.fairness.records import Lane

if TYPE_CHECKING:
    from tests.fairness.conftest import Bench

#: B and Bc, in tasks.
BURST = CREDIT = 8
ROUNDING = 1e-6

weights = st.floats(0.01, 100)
#: Pushes of others before a pop: numbers of tasks of new users and of new users with CRITICAL tasks, or of a user
#: that comes and goes.
crowds = st.lists(st.tuples(*[st.integers(0, 2)] * 3), min_size=20, max_size=80)


def crowd(queue: "Bench", step: int, arrivals: tuple[int, int, int]) -> None:
    fresh, critical, again = arrivals
    for number in range(fresh):
        queue.push(f"new{step}.{number}")
    for number in range(critical):
        queue.push(f"urgent{step}.{number}", priority=Priority.CRITICAL)
    queue.push("returning", again)


class TestTwoUsersThatAlwaysHaveWork:
    @settings(max_examples=60, deadline=None)
    @given(weights, weights, crowds)
    def test_are_never_further_apart_than_one_task_of_each(
        self, bench: "type[Bench]", ann: float, bob: float, arrivals: list[tuple[int, int, int]]
    ) -> None:
        queue = bench("count")
        for name, weight in ("ann", ann), ("bob", bob):
            queue.set(name, weight=weight)
            queue.push(name, 200)
        for step, arrived in enumerate(arrivals):
            crowd(queue, step, arrived)
            queue.pop()
        bound = 1 / ann + 1 / bob
        assert queue.advantage("ann", "bob") <= bound * (1 + ROUNDING)
        assert queue.advantage("bob", "ann") <= bound * (1 + ROUNDING)

    @settings(max_examples=40, deadline=None)
    @given(weights, weights)
    def test_gain_at_most_the_credit_by_marking_all_tasks_critical(
        self, bench: "type[Bench]", ann: float, bob: float
    ) -> None:
        queue = bench("count")
        for name, weight, priority in ("ann", ann, Priority.CRITICAL), ("bob", bob, Priority.NORMAL):
            queue.set(name, weight=weight)
            queue.push(name, 200, priority=priority)
        queue.pop(150)
        bound = 1 / ann + 1 / bob
        assert queue.advantage("ann", "bob") <= (CREDIT / ann + bound) * (1 + ROUNDING)
        assert queue.advantage("bob", "ann") <= (CREDIT / ann + bound) * (1 + ROUNDING)

    def test_use_the_credit_if_all_their_tasks_are_critical(self, counting: "Bench") -> None:
        counting.push("bob", 200)
        counting.pop()
        counting.push("ann", 200, priority=Priority.CRITICAL)
        counting.pop(150)
        assert counting.advantage("ann", "bob") == CREDIT


@settings(max_examples=60, deadline=None)
@given(weights, weights, st.lists(st.integers(0, 12), min_size=10, max_size=60))
def test_a_user_that_comes_and_goes_is_at_most_the_burst_ahead_of_one_that_stays(
    bench: "type[Bench]", ann: float, bob: float, pushes: list[int]
) -> None:
    queue = bench("count")
    queue.set("ann", weight=ann)
    queue.set("bob", weight=bob)
    queue.push("bob", 500)
    for number in pushes:
        queue.push("ann", number)
        queue.finish(*queue.pop(3))
    queue.push("ann")
    assert queue.advantage("ann", "bob") <= ((BURST + 1) / ann + 1 / bob) * (1 + ROUNDING)


class TestTurns:
    @settings(max_examples=60, deadline=None)
    @given(crowds)
    def test_of_nine_pops_the_ready_ring_has_one_and_the_fresh_ring_two(
        self, bench: "type[Bench]", arrivals: list[tuple[int, int, int]]
    ) -> None:
        queue = bench("count")
        queue.push("ann", 200)
        queue.pop()
        queue.push("flood", 200, priority=Priority.CRITICAL)
        turns = []
        for step, arrived in enumerate(arrivals):
            crowd(queue, step, arrived)
            waiting = {"ready" for _ in queue.model.ready.items()} | {"fresh" for _ in queue.model.fresh.items()}
            turns.append((queue.turn(), waiting))
        for first in range(len(turns) - FRESH_RUN):
            window = turns[first : first + FRESH_RUN + 1]
            served = [turn for turn, _ in window]
            for ring, least in ("ready", 1), ("fresh", 2):
                if all(ring in waiting for _, waiting in window):
                    assert served.count(ring) >= least, (ring, served)

    def test_rotate_in_this_pattern_when_all_three_rings_are_full(self, counting: "Bench") -> None:
        counting.push("ann", 50)
        counting.pop()
        for number in range(50):
            counting.push(f"new{number}")
            counting.push(f"urgent{number}", priority=Priority.CRITICAL)
        while counting.turn() != "ready":
            pass
        turns = [counting.turn() for _ in range(18)]
        # The credit used up in one round is restored with the first fresh user of the next.
        half = ["fresh", *["critical"] * 3]
        assert turns == [*half, *half, "ready"] * 2

    @pytest.mark.parametrize("before", [0, 1, 7, 8, 50])
    @pytest.mark.parametrize("phase", range(9))
    def test_a_new_user_waits_for_those_before_it_and_every_ninth_pop(
        self, counting: "Bench", before: int, phase: int
    ) -> None:
        ahead = new_user_behind(counting, before, phase)
        assert pops_until_served(counting) <= ahead + 1 + ceil((ahead + 1) / FRESH_RUN)

    @pytest.mark.parametrize("before", [0, 1, 7, 8, 50])
    @pytest.mark.parametrize("phase", range(9))
    def test_a_flood_of_critical_tasks_delays_a_new_user_by_a_bounded_number_of_pops(
        self, counting: "Bench", before: int, phase: int
    ) -> None:
        ahead = new_user_behind(counting, before, phase)
        for number in range(500):
            counting.push(f"urgent{number}", priority=Priority.CRITICAL)
        assert pops_until_served(counting) <= 9 * ceil((ahead + 1) / 2) + 8


def new_user_behind(queue: "Bench", before: int, phase: int) -> int:
    """A new user arrives during a round; others wait in the ready ring, and some before it in the fresh ring."""
    queue.push("ann", 1_000)
    queue.pop()
    for number in range(phase):
        queue.push(f"phase{number}")
    queue.pop(phase)
    for number in range(before):
        queue.push(f"before{number}")
    ahead = len(queue.model.fresh)
    queue.push("new")
    return ahead


def pops_until_served(queue: "Bench") -> int:
    done = len(queue.started)
    while "new" not in queue.started:
        queue.pop()
    return len(queue.started) - done


class TestIdleAndParkedTime:
    def test_earns_nothing(self, counting: "Bench") -> None:
        counting.push("ann")
        counting.serve()
        counting.push("bob", 300)
        counting.serve(100)
        counting.push("ann", 100)
        served = counting.serve(40)
        assert served.count("ann") - served.count("bob") <= BURST

    @pytest.mark.parametrize("stop", [{"paused": True}, {"cap": 1}])
    def test_of_a_paused_or_capped_user_earns_nothing(self, counting: "Bench", stop: dict[str, object]) -> None:
        counting.push("ann", 100)
        counting.push("bob", 300)
        counting.pop(2)
        counting.set("ann", **stop)
        assert counting.serve(100) == ["bob"] * 100
        counting.set("ann", cap=None, paused=False)
        served = counting.serve(40)
        assert abs(served.count("ann") - served.count("bob")) <= 2

    def test_costs_nothing_if_it_was_used_while_no_user_waited(self, queue: "Bench") -> None:
        queue.push("ann", 100)
        queue.serve(100, ran=10)
        queue.push("ann", 50)
        queue.push("bob", 50)
        served = queue.serve(20, ran=10)
        assert abs(served.count("ann") - served.count("bob")) <= 2

    def test_of_tasks_that_still_run_costs_nothing_either(self, queue: "Bench") -> None:
        """Ann has all workers when others arrive, and none of her tasks waits."""
        queue.push("ann", 4)
        running = queue.pop(4)
        for _ in range(100):
            queue.advance(10)
            queue.model.beat(queue.now_us, running)
        for user in ("bob", "eve", "ann"):
            queue.push(user, 50)
        queue.finish(*running, ran=1_000)
        served = queue.serve(30, ran=1)
        assert all(served.count(user) >= 9 for user in ("ann", "bob", "eve"))


def test_emptying_a_queue_does_not_clear_a_debt_while_others_wait(queue: "Bench") -> None:
    """Hopper has one long task at a time, so its queue is often empty."""
    queue.push("steady", 300)
    seconds = {"hopper": 0, "steady": 0}
    for _ in range(300):
        if "hopper" not in queue.model.users or not queue.user("hopper").pending:
            queue.push("hopper")
        (task_id,) = queue.pop()
        ran = 5 if queue.started[-1] == "hopper" else 1
        seconds[queue.started[-1]] += ran
        queue.advance(ran)
        queue.finish(task_id, ran=ran)
    # The burst of one second, and a task of each.
    assert seconds["hopper"] - seconds["steady"] <= 1 + 5 + 1


class TestLanes:
    @pytest.mark.parametrize(
        ("mode", "debt", "lane"),
        [
            ("time", 1_000_000, Lane.FRESH),
            ("time", 1_000_001, Lane.READY),
            ("count", BURST, Lane.FRESH),
            ("count", BURST + 1, Lane.READY),
        ],
    )
    def test_a_user_that_owes_more_than_the_burst_is_not_fresh(
        self, bench: "type[Bench]", mode: CostMode, debt: int, lane: Lane
    ) -> None:
        queue = bench(mode)
        queue.push("ann")
        queue.push("bob", 3)
        running, _ = queue.pop(2)
        # Virtual time will be the tag of bob, the next user.
        queue.user("ann").S = queue.user("bob").S + debt
        queue.finish(running, ran=0)
        queue.push("ann")
        assert (queue.user("ann").lane, queue.user("ann").S) == (lane, queue.model.V + debt)

    def test_a_user_with_running_tasks_is_not_fresh(self, queue: "Bench") -> None:
        queue.push("ann")
        queue.pop()
        queue.push("ann")
        assert queue.user("ann").lane is Lane.READY

    def test_a_user_that_was_paused_with_tasks_is_not_fresh(self, queue: "Bench") -> None:
        queue.set("ann", paused=True)
        queue.push("ann")
        queue.set("ann", paused=False)
        assert queue.user("ann").lane is Lane.READY


class TestAUserThatItsCapHeldBack:
    """Ann runs one task at a time; Bob has tasks of 40 s and no limit, so V advances in steps of that."""

    @pytest.fixture
    def leaping(self, queue: "Bench") -> "Bench":
        queue.set("ann", cap=1)
        queue.push("bob", 100, cost_us=1)
        queue.push("ann", 100, cost_us=1)
        return queue

    def leap(self, queue: "Bench", seconds: float = 40, ran: float = 0.001) -> None:
        """Let Bob run a task of this length, and start another one, while Ann runs a very short one."""
        held = queue.pop(2, lease_ms=900_000)
        assert sorted(queue.started[-2:]) == ["ann", "bob"]
        anns = next(task for task in held if queue.model.tasks[task].user == "ann")
        bobs = next(task for task in held if task != anns)
        queue.advance(seconds)
        queue.finish(bobs, ran=seconds)
        (again,) = queue.pop(lease_ms=900_000)
        queue.finish(anns, again, ran=ran)

    def test_keeps_its_place_as_far_as_its_leeway_reaches(self, leaping: "Bench") -> None:
        self.leap(leaping, 6)
        assert (leaping.model.V, leaping.tag()) == (6_000_000, 1_000)
        self.leap(leaping, 6)
        assert (leaping.model.V, leaping.tag()) == (12_001_000, 2_001_000)

    def test_has_twice_the_leeway_once_it_had_to_wait_for_its_turn_after_a_cut(self, leaping: "Bench") -> None:
        self.leap(leaping)
        ann = leaping.user()
        assert (leaping.model.V - ann.S, ann.cut, ann.leeway) == (10_000_000, leaping.model.V, None)
        # She catches up with Bob, has to wait for him, and then gets her turn.
        assert leaping.serve(3, ran=25) == ["ann", "bob", "ann"]
        assert (ann.cut, ann.leeway) == (None, 20_000_000)

    def test_has_the_first_leeway_again_when_its_cap_binds_for_long(self, leaping: "Bench") -> None:
        self.leap(leaping)
        leaping.user().leeway = 20_000_000
        for _ in range(9):
            self.leap(leaping)
        assert (leaping.model.V - leaping.tag(), leaping.user().leeway) == (10_000_000, None)

    @pytest.mark.parametrize(("leaps", "leeway"), [(3, 20_000_000), (4, None)])
    def test_has_no_more_leeway_when_it_has_to_wait_only_long_after_a_cut(
        self, leaping: "Bench", leaps: int, leeway: int | None
    ) -> None:
        """Sixteen leeways are 160 s: until then its cap binds, and then others arrive."""
        for _ in range(1 + leaps):
            self.leap(leaping)
        assert leaping.user().cut == 40_000_000
        assert leaping.serve(3, ran=25) == ["ann", "bob", "ann"]
        assert (leaping.user().cut, leaping.user().leeway) == (None, leeway)

    def test_has_its_leeway_in_service_whatever_its_weight(self, leaping: "Bench") -> None:
        leaping.set("ann", weight=4)
        self.leap(leaping)
        assert (leaping.model.V - leaping.tag(), leaping.user().cut) == (2_500_000, 40_000_000)

    def test_waits_for_no_turn_when_it_had_no_work_since_a_cut(self, leaping: "Bench") -> None:
        self.leap(leaping)
        leaping.pop()
        assert (leaping.started[-1], leaping.user().cut) == ("ann", 40_000_000)
        while head := leaping.user().n.head():
            task_id = head[1]
            leaping.model.cancel(leaping.now_us, task_id)
        assert (leaping.user().lane, leaping.user().cut) == (Lane.IDLE, None)

    def test_has_no_more_leeway_without_a_cap(self, queue: "Bench") -> None:
        queue.set("ann", rate=0.01)
        queue.push("bob", 100, cost_us=1)
        queue.push("ann", 100, cost_us=1)
        queue.serve(5, ran=20)
        queue.advance(100)
        queue.model.sweep(queue.now_us)
        assert queue.user().cut == queue.model.V
        queue.set("bob", paused=True)
        queue.serve(ran=90)
        queue.advance(100)
        queue.set("bob", paused=False)
        assert "ann" in queue.serve(2, ran=1)
        assert (queue.user().cut, queue.user().leeway) == (None, None)

    @pytest.mark.parametrize("change", [{"cap": 2}, {"cap": None}, {"rate": 5.0}, {"paused": True}, {"burst": 3}])
    def test_has_earned_nothing_when_an_operator_changes_its_limits(
        self, leaping: "Bench", change: dict[str, Any]
    ) -> None:
        self.leap(leaping)
        leaping.user().leeway = 20_000_000
        leaping.pop()
        leaping.set("ann", **change)
        leaping.set("ann", paused=False)
        ann = leaping.user()
        assert (ann.S >= leaping.model.V, ann.cut, ann.leeway) == (True, None, None)

    def test_keeps_its_place_in_service_when_its_weight_changes(self, leaping: "Bench") -> None:
        self.leap(leaping, 6)
        before = leaping.model.V - leaping.tag()
        leaping.set("ann", weight=4)
        assert leaping.model.V - leaping.tag() == before / 4

    def test_has_earned_nothing_in_the_time_without_work(self, queue: "Bench") -> None:
        """Its only task runs, and others are served; then more of its tasks arrive, and it is at its cap."""
        queue.set("ann", cap=1)
        queue.push("ann")
        queue.push("bob", 50)
        (running,) = queue.pop()
        assert queue.started == ["ann"]
        queue.serve(5, ran=1)
        queue.push("ann", 5)
        assert (queue.user().lane, queue.tag()) == (Lane.PARKED, queue.model.V)
        queue.finish(running, ran=0.001)
        assert queue.tag() == queue.model.V

    def test_lends_no_turn_to_critical_tasks(self, leaping: "Bench") -> None:
        self.leap(leaping, 6)
        leaping.push("bob", 5, priority=Priority.CRITICAL)
        leaping.pop()
        assert leaping.started[-1] == "ann"

    def test_may_also_be_held_back_by_its_rate(self, queue: "Bench") -> None:
        queue.set("ann", rate=0.1)
        queue.push("ann", 5)
        queue.push("bob", 50)
        queue.serve(2, ran=0.001)
        queue.serve(5, ran=2)
        assert queue.tag() == 1_000
        assert queue.serve(ran=0.001) == ["ann"]
        assert queue.tag() == 2_000
