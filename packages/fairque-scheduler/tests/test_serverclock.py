"""The server's time is known without the wall clock here: never ahead of it, and not far behind."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairque.protocol import clock
from fairque.scheduler.serverclock import ServerClock


class Hands:
    """A monotonic clock that stands still."""

    now = 1_000.0


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> type[Hands]:
    monkeypatch.setattr(clock, "monotonic", lambda: Hands.now)
    Hands.now = 1_000.0
    return Hands


def test_the_quickest_answer_counts(hands: type[Hands]) -> None:
    known = ServerClock()
    known.note(500_000, 999.0, 1_000.0)
    assert known.now_ms() == 500_000
    hands.now = 1_002.0
    assert known.now_ms() == 502_000
    known.note(502_900, 1_001.99, 1_002.0)
    assert known.now_ms() == 502_900
    known.note(502_901, 1_001.0, 1_002.0)
    assert known.now_ms() == 502_901
    known.note(502_500, 1_001.0, 1_002.0)
    assert known.now_ms() == 502_901


def test_a_clock_that_is_set_back_or_forth_is_followed(hands: type[Hands]) -> None:
    known = ServerClock()
    known.note(500_000, 999.999, 1_000.0)
    known.note(400_000, 999.999, 1_000.0)
    assert known.now_ms() == 400_000
    known.note(900_000, 999.999, hands.now)
    assert known.now_ms() == 900_000


def test_how_long_to_wait_for_a_moment(hands: type[Hands]) -> None:
    known = ServerClock()
    assert known.now_ms() == 0
    known.note(500_000, 999.999, hands.now)
    assert known.seconds_until(500_250) == pytest.approx(0.25)
    assert known.seconds_until(100) == 0


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
def test_it_is_never_ahead_of_a_server_whose_clock_runs_as_ours(
    questions: list[tuple[float, float, float]],
) -> None:
    known, now, ahead_ms = ServerClock(), 0.0, 10_000_000.0
    for pause, there, back in questions:
        asked = now + pause
        read = asked + there
        now = read + back
        known.note(int(read * 1000 + ahead_ms), asked, now)
        least = now * 1000 + ahead_ms - 1_000 * back - 2
        real = now * 1000 + ahead_ms
        assert least <= now * 1000 + (known._offset_ms or 0) <= real + 0.001
