"""The pause of a decision: it is valid for the queue whatever a subclass sets as ``after``."""

import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairque.protocol.model.outcome import decide
from fairque.protocol.model.retry import LONGEST_PAUSE_SECONDS, Backoff, Retry, Snooze


class LateRetry(Retry):
    """A subclass that computes its pause itself, such as from the time at which an external rate limit ends."""

    def __init__(self, after: float) -> None:
        super().__init__()
        self.after = after


class LateSnooze(Snooze):
    """The same for `Snooze`."""

    def __init__(self, after: float) -> None:
        super().__init__(0)
        self.after = after


class Wild(Backoff):
    """A custom backoff."""

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
def test_a_pause_set_by_a_subclass_is_clamped(asked: Any, after: Any, seconds: float) -> None:
    assert decide(asked(after), retries=1, failures=0).pause_ms == seconds * 1000


@given(after=st.floats() | st.integers(), asked=st.sampled_from([LateRetry, LateSnooze]))
def test_every_number_becomes_a_pause(after: float, asked: Any) -> None:
    assert 0 <= decide(asked(after), retries=1, failures=0).pause_ms <= LONGEST_PAUSE_SECONDS * 1000


def test_a_pause_of_a_custom_backoff_is_clamped() -> None:
    decision = decide(ValueError(), retries=1, failures=0, backoff=Wild())
    assert decision.pause_ms == LONGEST_PAUSE_SECONDS * 1000
