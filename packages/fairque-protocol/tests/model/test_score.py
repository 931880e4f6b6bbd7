"""The order of a user's tasks: a bounded, constant head start by priority."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairque.protocol.model.score import BOOST_US, calculate_score
from fairque.protocol.model.states import Priority

SCORED = [p for p in Priority if p is not Priority.CRITICAL]
priorities = st.sampled_from(SCORED)
#: Microseconds since the epoch that a double holds exactly.
times = st.integers(300_000_000, 2**53 - 1)

NORMAL_AT = 1_800_000_000_000_000


@pytest.mark.parametrize(
    ("priority", "head_start_seconds"),
    [
        (Priority.VERY_LOW, 0),
        (Priority.LOW, 60),
        (Priority.NORMAL, 120),
        (Priority.HIGH, 180),
        (Priority.VERY_HIGH, 240),
    ],
)
def test_each_priority_has_its_head_start(priority: Priority, head_start_seconds: int) -> None:
    assert calculate_score(NORMAL_AT, priority) == NORMAL_AT - head_start_seconds * 1_000_000


def test_a_critical_task_has_no_score() -> None:
    with pytest.raises(ValueError, match="CRITICAL"):
        calculate_score(NORMAL_AT, Priority.CRITICAL)


def test_every_other_priority_has_a_head_start() -> None:
    assert set(BOOST_US) == set(SCORED)


@given(times, priorities, times, priorities)
def test_no_task_is_overtaken_by_one_pushed_more_than_four_minutes_later(
    first: int, low: Priority, second: int, high: Priority
) -> None:
    if second - first > 240_000_000:
        assert calculate_score(first, low) < calculate_score(second, high)


@given(times, times, priorities)
def test_tasks_of_one_priority_keep_their_order(first: int, second: int, priority: Priority) -> None:
    assert (first < second) == (calculate_score(first, priority) < calculate_score(second, priority))


@given(times, priorities)
def test_a_score_is_exact_as_a_double(enqueued_us: int, priority: Priority) -> None:
    score = calculate_score(enqueued_us, priority)
    assert int(float(score)) == score
