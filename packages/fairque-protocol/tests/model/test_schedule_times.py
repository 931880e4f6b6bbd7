"""The runs of a schedule: intervals, a single time, cron; between start and end, delayed by a constant jitter."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairque.protocol.errors import InvalidSchedule
from fairque.protocol.model.schedule_times import jitter_of, time_after
from fairque.protocol.model.schedules import Schedule
from fairque.testing.internal import stored_schedule

HOUR = 3_600_000


def schedule(**fields: Any) -> Schedule:
    return stored_schedule(**{"schedule_id": "s", "user_id": "ann", **fields})


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("fields", "after", "expected"),
    [
        ({"every_ms": 1_000}, 0, 1_000),
        ({"every_ms": 1_000}, 999, 1_000),
        ({"every_ms": 1_000}, 1_000, 2_000),
        ({"every_ms": 1_000, "start": 2_500}, 0, 2_500),
        ({"every_ms": 1_000, "start": 2_500}, 2_500, 3_500),
        ({"every_ms": 1_000, "start": 2_500}, 9_499, 9_500),
        ({"every_ms": 1_000, "end": 2_000}, 1_999, 2_000),
        ({"every_ms": 1_000, "end": 2_000}, 2_000, None),
        ({"every_ms": 1_000, "start": 500, "end": 499}, 0, None),
        ({"at": 5_000}, 4_999, 5_000),
        ({"at": 5_000}, 5_000, None),
        ({"at": 5_000, "start": 5_001}, 0, None),
        ({"cron": "0 3 * * *"}, ms("2026-03-01 02:59:59"), ms("2026-03-01 03:00:00")),
        ({"cron": "0 3 * * *", "start": ms("2026-03-05 03:00:00")}, 0, ms("2026-03-05 03:00:00")),
        ({"cron": "0 3 * * *", "end": ms("2026-03-01 02:59:59")}, ms("2026-03-01 00:00:00"), None),
        ({"cron": "0 3 * * *", "timezone": "Asia/Kolkata"}, ms("2026-03-01 00:00:00"), ms("2026-03-01 21:30:00")),
        ({"cron": "*/10 * * * * *"}, 0, 10_000),
    ],
)
def test_the_first_run_after_a_time(fields: dict[str, Any], after: int, expected: int | None) -> None:
    assert time_after(schedule(**fields), after) == expected


def test_a_run_in_a_gap_is_fired_after_it_or_skipped() -> None:
    night = ms("2026-03-28 12:00:00")
    berlin = schedule(cron="30 2 * * *", timezone="Europe/Berlin")
    assert time_after(berlin, night) == ms("2026-03-29 01:00:00")
    assert time_after(berlin.evolve(dst_gap="skip"), night) == ms("2026-03-30 00:30:00")


@given(
    name=st.text(min_size=1, max_size=20),
    jitter=st.integers(0, HOUR),
    every=st.integers(100, HOUR),
    start=st.none() | st.integers(0, 10 * HOUR),
    after=st.integers(0, 20 * HOUR),
)
def test_the_jitter_delays_all_runs_by_the_same_time(
    name: str, jitter: int, every: int, start: int | None, after: int
) -> None:
    plain = schedule(schedule_id=name, every_ms=every, start=start)
    moved = plain.evolve(jitter=timedelta(milliseconds=jitter))
    by = jitter_of(moved)
    assert 0 <= by <= jitter
    assert time_after(moved, after + by) == (time_after(plain, after) or 0) + by


@given(every=st.integers(100, HOUR), start=st.none() | st.integers(0, 10**13), after=st.integers(0, 10**13))
def test_runs_increase_and_none_is_skipped(every: int, start: int | None, after: int) -> None:
    one = schedule(every_ms=every, start=start)
    first = time_after(one, after)
    assert first is not None
    assert first > after
    assert time_after(one, first) == first + every
    assert time_after(one, first - 1) == first


def test_an_unknown_time_zone_is_an_error() -> None:
    with pytest.raises(InvalidSchedule, match="time zone 'Mars/Olympus' is unknown"):
        time_after(schedule(cron="@daily", timezone="Mars/Olympus"), 0)
