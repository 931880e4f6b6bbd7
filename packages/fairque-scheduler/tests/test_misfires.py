"""What becomes of times that are past, by policy and grace; and that a schedule comes through however many they are."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairque.client.schedule_misses import MAX_COUNTED, overdue
from fairque.protocol.calls.schedules import Overdue
from fairque.protocol.model.schedule_infos import ScheduleInfo
from fairque.protocol.model.schedule_times import time_after
from fairque.protocol.model.schedules import Schedule
from fairque.scheduler.misfires import MAX_MISSED, Step, next_step
from fairque.testing.internal import stored_schedule


def every(interval: int = 10, **fields: Any) -> Schedule:
    return stored_schedule(
        **{"schedule_id": "s", "user_id": "ann", "every_ms": interval, "misfire_grace_ms": 0, **fields}
    )


@pytest.mark.parametrize(
    ("fields", "due", "now", "expected"),
    [
        # On time, or within the grace: fired, one after the other.
        ({"misfire_grace_ms": 5}, 100, 105, Step(100, 0, 0, 110)),
        ({"misfire_grace_ms": 50}, 100, 125, Step(100, 0, 0, 110)),
        ({"misfire_grace_ms": 50, "misfire": "skip"}, 100, 125, Step(100, 0, 0, 110)),
        # Later: the newest late one, unless something newer is within the grace.
        ({}, 100, 105, Step(100, 0, 0, 110)),
        ({}, 100, 139, Step(130, 3, 120, 140)),
        ({"misfire_grace_ms": 5}, 100, 142, Step(140, 4, 130, 150)),
        ({"misfire_grace_ms": 15}, 100, 142, Step(130, 3, 120, 140)),
        # All of them, up to the limit.
        ({"misfire": "all", "misfire_limit": 3}, 100, 125, Step(100, 0, 0, 110)),
        ({"misfire": "all", "misfire_limit": 3}, 100, 149, Step(120, 2, 110, 130)),
        ({"misfire": "all", "misfire_limit": 1}, 100, 149, Step(140, 4, 130, 150)),
        ({"misfire": "all", "misfire_limit": 2, "misfire_grace_ms": 10}, 100, 149, Step(120, 2, 110, 130)),
        # None of them.
        ({"misfire": "skip"}, 100, 139, Step(None, 4, 130, 140)),
        ({"misfire": "skip", "misfire_grace_ms": 15}, 100, 142, Step(130, 3, 120, 140)),
        # At the end of the schedule.
        ({"end": 110}, 100, 1_000, Step(110, 1, 100, None)),
        ({"end": 110, "misfire": "skip"}, 100, 1_000, Step(None, 2, 110, None)),
        ({"end": 110, "misfire": "all"}, 100, 1_000, Step(100, 0, 0, 110)),
    ],
)
def test_the_next_step(fields: dict[str, Any], due: int, now: int, expected: Step) -> None:
    assert next_step(every(**fields), due, now) == expected


@given(
    interval=st.integers(1, 50).map(lambda n: n * 100),
    late=st.integers(0, 3_000_000),
    misfire_grace=st.sampled_from([0, 150, 5_000, 10**9]),
    misfire=st.sampled_from(["latest", "all", "skip"]),
    limit=st.integers(1, 30),
)
def test_step_by_step_every_time_gets_its_fate_by_the_policy(
    interval: int, late: int, misfire_grace: int, misfire: str, limit: int
) -> None:
    """Whatever the steps are, together they fire what the policy says of all that is past, and miss the rest."""
    schedule = every(interval, misfire_grace_ms=misfire_grace, misfire=misfire, misfire_limit=limit)
    due, now = 10 * interval, 10 * interval + min(late, 500 * interval)
    past = list(range(due, now + 1, interval))
    within = [time for time in past if time >= now - misfire_grace]
    beyond = past[: len(past) - len(within)]
    allowed = {"latest": [] if within else beyond[-1:], "all": beyond[-limit:], "skip": []}[misfire]
    fired, missed, steps, at = [], 0, 0, due
    while at is not None and at <= now:
        step = next_step(schedule, at, now)
        assert step.fire_at is not None or step.missed
        assert step.missed == 0 or at <= step.missed_last < (step.fire_at or step.following or 10**18)
        fired += [] if step.fire_at is None else [step.fire_at]
        missed, steps, at = missed + step.missed, steps + 1, step.following  # type: ignore[assignment]  # ends the loop
    assert fired == [*allowed, *within]
    assert missed == len(past) - len(fired)
    assert at == time_after(schedule, now)


def info(schedule: Schedule, next_ms: int | None, from_ms: int | None = None, *, paused: bool = False) -> ScheduleInfo:
    return ScheduleInfo(
        schedule=schedule,
        revision=1,
        paused=paused,
        next_ms=next_ms,
        from_ms=from_ms,
        forgotten_ms=None,
        last_ms=None,
        fired=0,
        missed=0,
        skipped=0,
        misses=(),
    )


@given(
    fields=st.sampled_from([{"every_ms": 700}, {"every_ms": None, "cron": "*/3 * * * * *"}]),
    end=st.none() | st.integers(0, 300_000),
    jitter=st.integers(0, 5_000),
    late=st.integers(-5_000, 200_000),
    computed=st.booleans(),
)
def test_all_times_that_are_overdue_are_counted(
    fields: dict[str, Any],
    end: int | None,
    jitter: int,
    late: int,
    computed: bool,  # noqa: FBT001 - drawn by name
) -> None:
    schedule, since = every(end=end, jitter_ms=jitter, **fields), 100_000
    now, first = since + late, time_after(schedule, since)
    times, time = [], first
    while time is not None and time <= now:
        times.append(time)
        time = time_after(schedule, time)
    known = info(schedule, first) if computed else info(schedule, None, since)
    assert overdue(known, now) == (Overdue(len(times), times[0], times[-1]) if times else None)


def test_what_is_stopped_over_or_cannot_be_computed_is_not_overdue() -> None:
    assert overdue(info(every(), 10, paused=True), 99) is None
    assert overdue(info(every(), None), 99) is None
    assert overdue(info(every(every_ms=None, cron="@daily", timezone="Mars/Olympus"), 10), 99) is None


def test_a_next_time_by_hand_counts_with_those_after_it() -> None:
    assert overdue(info(every(), 95), 121) == Overdue(4, 95, 120)
    assert overdue(info(every(), 95), 99) == Overdue(1, 95, 95)


def test_of_a_cron_expression_the_counting_has_an_end() -> None:
    found = overdue(info(every(every_ms=None, cron="* * * * * *"), 1_000), 10**9)
    assert found == Overdue(MAX_COUNTED, 1_000, MAX_COUNTED * 1_000)


def test_a_schedule_that_was_away_for_long_continues_in_steps() -> None:
    step = next_step(every(1_000), 1_000, 10**9)
    assert (step.fire_at, step.missed) == (None, MAX_MISSED)
    assert step.following == (MAX_MISSED + 1) * 1_000
