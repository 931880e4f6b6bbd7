"""The measures of fairness, and the arguments that a simulation refuses."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairque.protocol.errors import InvalidArgument
from fairque.testing.fairness.simulation import SimulatedUser, jain_index, simulate
from fairque.testing.fairness.simulation.report import fair_allocation, percentile

#: Whole, because the smallest floats cannot be divided.
amounts = st.integers(0, 1_000_000)
demands = st.lists(st.tuples(st.floats(0.01, 100), amounts), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("values", "index"),
    [([1, 1, 1], 1), ([5, 0, 0, 0], 0.25), ([1, 2], 0.9), ([], 1), ([0, 0], 1)],
)
def test_jains_index_is_one_for_equal_values_and_falls_to_one_nth(values: list[float], index: float) -> None:
    assert jain_index(values) == pytest.approx(index)


@pytest.mark.parametrize("value", [-1, float("inf"), float("nan")])
def test_jains_index_refuses_negative_and_infinite_values(value: float) -> None:
    with pytest.raises(ValueError, match=f"finite values from 0, not {value!r}"):
        jain_index([1, value])


class TestFairAllocation:
    @pytest.mark.parametrize(
        ("wanted", "allocated"),
        [
            ([(1, 10), (1, 10)], [6, 6]),
            ([(1, 2), (1, 10)], [2, 10]),
            ([(1, 2), (1, 100), (1, 100)], [2, 5, 5]),
            ([(1, 100), (3, 100)], [3, 9]),
            ([(3, 3), (1, 100), (0.01, 0)], [3, 9, 0]),
            ([(1, 1), (1, 1)], [1, 1]),
        ],
    )
    def test_gives_users_with_unmet_demands_the_same_per_weight(
        self, wanted: list[tuple[float, float]], allocated: list[float]
    ) -> None:
        assert fair_allocation(12, wanted) == pytest.approx(allocated)

    @given(amounts, demands)
    def test_gives_the_whole_capacity_and_no_user_more_than_its_demand(
        self, capacity: float, wanted: list[tuple[float, float]]
    ) -> None:
        allocated = fair_allocation(capacity, wanted)
        assert all(0 <= got <= demand for got, (_, demand) in zip(allocated, wanted, strict=True))
        total = min(capacity, sum(demand for _, demand in wanted))
        assert sum(allocated) == pytest.approx(total, rel=1e-9, abs=1e-6)

    @given(amounts, demands)
    def test_gives_no_user_less_per_weight_than_another_unless_its_demand_is_met(
        self, capacity: float, wanted: list[tuple[float, float]]
    ) -> None:
        allocated = fair_allocation(capacity, wanted)
        levels = [got / weight for got, (weight, _) in zip(allocated, wanted, strict=True)]
        for got, level, (_, demand) in zip(allocated, levels, wanted, strict=True):
            assert got == demand or level >= max(levels) * (1 - 1e-9)


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (1, 1), (50, 50), (99, 99), (99.5, 100), (100, 100)])
def test_a_percentile_is_a_value_that_occurred(percent: float, value: int) -> None:
    assert percentile(range(1, 101), percent) == value


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "it has no tasks: give it a backlog, or every, or per_second"),
        ({"backlog": -1}, "backlog must be a whole number of tasks from 0, not -1"),
        ({"every": 0, "backlog": 1}, "every must be a number above 0, or None, not 0"),
        ({"per_second": -2}, "per_second must be a number above 0, or None, not -2"),
        ({"backlog": 1, "start": -1}, "start must be a number of seconds from 0, not -1"),
        ({"backlog": 1, "start": 5, "stop": 5}, "stop must be a number of seconds above start, or None, not 5"),
        ({"backlog": 1, "run_time": 0}, "run_time must be seconds above 0, or a function of a random.Random, not 0"),
        ({"backlog": 1, "priority": 6}, "priority must be one of Priority, not 6"),
        ({"backlog": 1, "weight": 0}, "weight must be a number from 0.01 to 100, not 0"),
        ({"backlog": 1, "cap": 0}, "cap must be a whole number from 1 to 1,000,000,000, not 0"),
    ],
)
def test_a_user_that_cannot_be_simulated_is_refused(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        SimulatedUser("ann", **fields)
    assert caught.value.problems == (f"simulated user 'ann': {problem}",)


def test_all_problems_of_a_user_are_reported() -> None:
    with pytest.raises(InvalidArgument) as caught:
        SimulatedUser("", weight=0, start=-1)
    assert len(caught.value.problems) == 4


def test_all_problems_of_a_simulation_are_reported() -> None:
    ann = SimulatedUser("ann", backlog=1)
    with pytest.raises(InvalidArgument) as caught:
        simulate([ann, ann], workers=0, seconds=0, lease=0, policy="lottery")  # type: ignore[arg-type]
    assert caught.value.problems == (
        "two users are named 'ann': each needs its own name",
        "workers must be a whole number from 1, not 0",
        "seconds must be a number above 0, not 0",
        "lease must be a number of seconds from 0.1, not 0",
        "policy must be one of 'fair', 'fifo', 'round_robin', not 'lottery'",
    )


def test_a_simulation_without_users_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="there are no users"):
        simulate([], workers=1, seconds=1)


def test_a_function_that_draws_an_invalid_time_is_reported() -> None:
    with pytest.raises(InvalidArgument, match="'ann': run_time gave -1, not seconds above 0"):
        simulate([SimulatedUser("ann", backlog=1, run_time=lambda _: -1)], workers=1, seconds=1)
