"""The pause of a decision: whatever a task has made of ``after``, the queue takes it."""

import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairque.protocol.model.outcome import decide
from fairque.protocol.model.retry import LONGEST_PAUSE_SECONDS, Backoff, Retry, Snooze


class LateRetry(Retry):
    """A subclass that reckons its pause itself, as from the moment at which a limit of somebody else ends."""

    def __init__(self, after: float) -> None:
        super().__init__()
        self.after = after


class LateSnooze(Snooze):
    """The same without a failed attempt."""

    def __init__(self, after: float) -> None:
        super().__init__(0)
        self.after = after


class Wild(Backoff):
    """A policy of the user's own."""

    def pause_seconds(self, *_: Any) -> float:
        return math.inf


@pytest.mark.parametrize("asked", [LateRetry, LateSnooze])
@pytest.mark.parametrize(
    ("after", "seconds"),
    [
        (-0.001, 0),
        (-1e300, 0),
        (-math.inf, 0),
        (math.nan, 0),
        (2.5, 2.5),
        (timedelta(minutes=1), 60),
        (1e10, LONGEST_PAUSE_SECONDS),
        (1e308, LONGEST_PAUSE_SECONDS),
        (math.inf, LONGEST_PAUSE_SECONDS),
    ],
)
def test_a_pause_that_is_set_later_is_brought_into_its_bounds(asked: Any, after: Any, seconds: float) -> None:
    assert decide(asked(after), retries=1, failures=0).pause_ms == seconds * 1000


@given(after=st.floats() | st.integers(), asked=st.sampled_from([LateRetry, LateSnooze]))
def test_every_number_becomes_a_pause(after: float, asked: Any) -> None:
    assert 0 <= decide(asked(after), retries=1, failures=0).pause_ms <= LONGEST_PAUSE_SECONDS * 1000


def test_a_policy_of_ones_own_is_held_to_the_bounds_as_well() -> None:
    decision = decide(ValueError(), retries=1, failures=0, backoff=Wild())
    assert decision.pause_ms == LONGEST_PAUSE_SECONDS * 1000
