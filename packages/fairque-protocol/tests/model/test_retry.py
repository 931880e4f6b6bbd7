"""Pauses between attempts, and the exceptions with which a task requests them."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairque.protocol.errors import InvalidTask
from fairque.protocol.model.retry import Backoff, Cancel, Retry, Snooze

seconds = st.floats(0.001, 1_000_000)


@given(
    policy=st.builds(Backoff, base=seconds, factor=st.floats(0.1, 100), longest=seconds),
    failures=st.integers(1, 10_000),
    draw=st.floats(0, 1, exclude_max=True),
)
def test_every_pause_is_within_its_bounds(policy: Backoff, failures: int, draw: float) -> None:
    assert 0 <= policy.pause_seconds(failures, lambda: draw) <= policy.longest


@given(policy=st.builds(Backoff, base=seconds), failures=st.integers(1, 2_000))
def test_the_longest_pause_does_not_shrink_with_the_failures(policy: Backoff, failures: int) -> None:
    assert policy.pause_seconds(failures + 1, lambda: 1) >= policy.pause_seconds(failures, lambda: 1)


@pytest.mark.parametrize(("failures", "longest"), [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (5_000, 300)])
def test_the_default_doubles_from_one_second_to_five_minutes(failures: int, longest: float) -> None:
    assert Backoff().pause_seconds(failures, lambda: 1) == longest


def test_the_jitter_is_full() -> None:
    assert Backoff().pause_seconds(3, lambda: 0) == 0
    assert Backoff().pause_seconds(3, lambda: 0.5) == 2


def test_without_a_draw_it_is_random() -> None:
    assert len({Backoff().pause_seconds(5) for _ in range(20)}) > 10


@pytest.mark.parametrize("field", ["base", "factor", "longest"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), 1e10])
def test_a_backoff_needs_positive_numbers(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{field} must be above 0"):
        Backoff(**{field: value})


@pytest.mark.parametrize("value", ["3", None, True])
def test_the_error_of_a_backoff_says_that_it_takes_numbers(value: Any) -> None:
    with pytest.raises(InvalidTask, match=r"base must be above 0 .* a number, not "):
        Backoff(base=value)


@pytest.mark.parametrize("after", ["3", True, timedelta(seconds=-1), timedelta.max, [1]])
@pytest.mark.parametrize("asked", [lambda after: Retry(after=after), Snooze])
def test_a_delay_is_a_number_or_a_timedelta(asked: Any, after: Any) -> None:
    with pytest.raises(ValueError, match="seconds from 0 to 1,000,000,000, or a timedelta, not "):
        asked(after)


def test_a_timedelta_is_converted_to_seconds() -> None:
    assert Retry(after=timedelta(minutes=2)).after == 120
    assert (Snooze(timedelta(seconds=2.5)).after, str(Snooze(timedelta(seconds=2.5)))) == (
        2.5,
        "the task asked to wait 2.5 s",
    )


@pytest.mark.parametrize("after", [-0.1, float("nan"), float("inf"), 1e10])
@pytest.mark.parametrize("asked", [lambda after: Retry(after=after), Snooze])
def test_an_invalid_delay_is_refused(asked: Any, after: float) -> None:
    with pytest.raises(ValueError, match="after must be a number of seconds from 0"):
        asked(after)


def test_the_text_of_the_exceptions_says_what_the_task_asked_for() -> None:
    assert (str(Retry()), Retry().after) == ("the task asked to be retried", None)
    assert (str(Retry("busy", after=0)), Retry(after=0).after) == ("busy", 0)
    assert (str(Snooze(2.5)), Snooze(2.5).after) == ("the task asked to wait 2.5 s", 2.5)
    assert str(Snooze(1, "closed")) == "closed"
    assert str(Cancel()) == "the task asked for no further attempt"
    assert str(Cancel("sold out")) == "sold out"


def test_a_backoff_takes_timedeltas() -> None:
    assert Backoff(base=timedelta(seconds=3), longest=timedelta(minutes=1)) == Backoff(base=3, longest=60)
