"""Weights, caps, pauses and rates of users, and defaults for all users."""

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairque.protocol.errors import InvalidArgument
from fairque.testing.fairness.records import UserSettings

if TYPE_CHECKING:
    from tests.fairness.conftest import Bench

weights = st.floats(0.01, 100)


class TestWeights:
    def test_share_the_workers_in_their_proportion(self, queue: "Bench") -> None:
        queue.set("ann", weight=3)
        queue.push("ann", 100)
        queue.push("bob", 100)
        assert queue.serve(80, ran=1).count("ann") in range(59, 62)

    def test_take_effect_on_waiting_tasks(self, counting: "Bench") -> None:
        counting.push("ann", 100)
        counting.push("bob", 100)
        counting.serve(20)
        counting.set("ann", weight=4)
        assert counting.serve(50).count("ann") in range(39, 42)

    @settings(max_examples=60, deadline=None)
    @given(weights, weights, st.floats(-5, 5))
    def test_keep_debts_and_leads(self, bench: "type[Bench]", before: float, after: float, seconds: float) -> None:
        queue = bench()
        queue.set("ann", weight=before)
        queue.push(number=2)
        queue.pop()
        queue.model.V = 1e9
        queue.user().S = queue.model.V + seconds * 1e6 / before
        queue.set("ann", weight=after)
        assert (queue.user().S - queue.model.V) * after == pytest.approx(seconds * 1e6, abs=1e-3)

    def test_flipped_at_every_start_gain_nothing(self, counting: "Bench") -> None:
        counting.push("ann", 1_000)
        counting.push("bob", 1_000)
        for step in range(400):
            counting.set("ann", weight=(0.01, 100)[step % 2])
            counting.pop()
        assert counting.started.count("ann") <= 400 * 100 / 101 + 2


class TestCaps:
    def test_bound_running_tasks_and_leave_the_workers_to_others(self, queue: "Bench") -> None:
        queue.set("ann", cap=2)
        queue.push("ann", 10)
        queue.push("bob", 10)
        queue.pop(8)
        assert queue.user("ann").inf == 2
        assert queue.user("bob").inf == 6

    def test_let_the_next_task_start_when_one_ends(self, queue: "Bench") -> None:
        queue.set("ann", cap=1)
        queue.push(number=2)
        running = queue.pop(2)
        assert queue.pop() == []
        queue.finish(*running)
        assert len(queue.pop()) == 1

    def test_of_a_user_win_over_the_default(self, queue: "Bench") -> None:
        queue.model.set_defaults(queue.now_us, cap=1)
        queue.set("ann", cap=3)
        queue.push("ann", 5)
        queue.push("bob", 5)
        queue.pop(10)
        assert (queue.user("ann").inf, queue.user("bob").inf) == (3, 1)
        queue.set("ann", cap=None)
        queue.finish(*[task for task, t in queue.model.tasks.items() if t.user == "ann" and t.start_us])
        queue.pop(10)
        assert queue.user("ann").inf == 1

    def test_a_lowered_default_takes_effect_at_the_next_pop(self, queue: "Bench") -> None:
        queue.push(number=10)
        queue.pop(3)
        queue.model.set_defaults(queue.now_us, cap=3)
        assert queue.pop() == []


class TestPauses:
    def test_start_nothing_until_they_end(self, queue: "Bench") -> None:
        queue.set("ann", paused=True)
        queue.push(number=2)
        assert queue.pop() == []
        queue.set("ann", paused=False)
        assert len(queue.pop(2)) == 2

    def test_do_not_affect_running_tasks(self, queue: "Bench") -> None:
        queue.push()
        running = queue.pop()
        queue.set("ann", paused=True)
        queue.finish(*running)
        assert not queue.model.tasks


class TestRates:
    def test_space_starts_and_say_when_the_next_is(self, queue: "Bench") -> None:
        queue.set("ann", rate=4)
        queue.push(number=3)
        assert len(queue.pop(3)) == 1
        assert queue.model.wake_at_us() == queue.now_us + 250_000
        queue.advance(0.249_999)
        assert queue.pop() == []
        queue.advance(0.000_001)
        assert len(queue.pop(3)) == 1

    def test_allow_a_burst_after_a_rest(self, queue: "Bench") -> None:
        queue.set("ann", rate=1, burst=5)
        queue.push(number=20)
        assert len(queue.pop(20)) == 5
        queue.advance(2)
        assert len(queue.pop(20)) == 2

    @settings(max_examples=60, deadline=None)
    @given(st.floats(0.1, 1_000), st.integers(1, 5), st.lists(st.integers(0, 2_000_000), max_size=40))
    def test_hold_over_any_interval(self, bench: "type[Bench]", rate: float, burst: int, pauses_us: list[int]) -> None:
        queue = bench()
        queue.set("ann", rate=rate, burst=burst)
        starts: list[int] = []
        for pause_us in pauses_us:
            queue.now_us += pause_us
            # The queue is emptied repeatedly, which must not refill the bucket.
            queue.push(number=1)
            starts += [queue.now_us for _ in queue.pop(5)]
        for index, first in enumerate(starts):
            for number, last in enumerate(starts[index:], start=1):
                assert number <= burst + rate * (last - first) / 1_000_000 * (1 + 1e-9) + 1e-3

    def test_that_are_raised_take_effect_at_once(self, queue: "Bench") -> None:
        queue.set("ann", rate=0.001)
        queue.push(number=3)
        queue.pop()
        queue.advance(1)
        assert queue.pop() == []
        queue.set("ann", rate=1_000)
        queue.advance(0.001)
        assert len(queue.pop()) == 1

    def test_that_are_removed_hold_no_user_back(self, queue: "Bench") -> None:
        queue.set("ann", rate=0.001)
        queue.push(number=3)
        queue.pop()
        queue.set("ann", rate=None)
        assert len(queue.pop(3)) == 2

    def test_that_are_removed_leave_no_bucket(self, queue: "Bench") -> None:
        queue.set("ann", rate=0.001)
        queue.push()
        queue.serve()
        queue.set("ann", rate=None)
        queue.model.sweep(queue.now_us)
        assert not queue.model.users

    def test_leave_the_workers_to_others(self, queue: "Bench") -> None:
        queue.model.set_defaults(queue.now_us, rate=1, burst=2)
        queue.set("bob", rate=100, burst=100)
        queue.push("ann", 10)
        queue.push("bob", 10)
        queue.pop(10)
        assert (queue.user("ann").inf, queue.user("bob").inf) == (2, 8)

    def test_leave_no_record_once_the_bucket_is_full(self, queue: "Bench") -> None:
        queue.set("ann", rate=0.1)
        queue.push()
        queue.serve()
        queue.model.sweep(queue.now_us)
        assert "ann" in queue.model.users
        queue.advance(10)
        queue.model.sweep(queue.now_us)
        assert not queue.model.users


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"weight": 0.001}, "weight must be a number from 0.01 to 100, not 0.001"),
        ({"weight": float("nan")}, "weight"),
        ({"weight": 101}, "weight"),
        ({"cap": 0}, "cap must be a whole number from 1 to 1,000,000,000, not 0"),
        ({"cap": 1.5}, "cap"),
        ({"cap": True}, "cap"),
        ({"rate": 0}, "rate must be a number from 0.000001 to 1,000,000, not 0"),
        ({"rate": float("inf")}, "rate"),
        ({"burst": 0}, "burst must be a whole number from 1 to 1,000,000,000, not 0"),
    ],
)
def test_an_invalid_setting_is_refused_before_anything_changes(
    queue: "Bench", changes: dict[str, Any], problem: str
) -> None:
    queue.push()
    with pytest.raises(InvalidArgument) as caught:
        queue.set("ann", paused=True, **changes)
    assert problem in caught.value.problems[0]
    assert len(queue.pop()) == 1


def test_all_problems_of_settings_are_reported() -> None:
    with pytest.raises(InvalidArgument) as caught:
        UserSettings(weight=0, cap=0, rate=-1, burst=-1)
    assert len(caught.value.problems) == 4
