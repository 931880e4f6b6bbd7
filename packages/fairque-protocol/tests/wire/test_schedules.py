"""The definition of a schedule: it survives a round trip, and all problems are reported at once."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairque.protocol.errors import ProtocolError
from fairque.protocol.model.outputs import Output
from fairque.protocol.model.retry import Backoff
from fairque.protocol.model.schedules import Schedule, task_of
from fairque.protocol.model.states import Priority
from fairque.protocol.model.task import Task
from fairque.protocol.wire.codec import encode_task
from fairque.protocol.wire.schedules import decode_schedule, encode_schedule, schedule_problems, timing_digest
from fairque.testing.internal import stored_schedule, stored_schedule_with

GOOD = stored_schedule(schedule_id="s", cron="0 3 * * *", user_id="ann", func="m:f")

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
schedules = st.builds(
    stored_schedule,
    schedule_id=st.text("abü:{}* ", min_size=1, max_size=20),
    every_ms=st.integers(100, 10**9),
    user_id=st.just("ann"),
    func=st.none() | st.just("m:f"),
    args=st.lists(json_values, max_size=3).map(tuple),
    kwargs=st.dictionaries(st.text(max_size=5), json_values, max_size=3),
    payload=json_values,
    priority=st.sampled_from(Priority),
    retries=st.integers(0, 1_000),
    backoff=st.none() | st.just(Backoff(base=0.5)),
    timeout_ms=st.integers(1, 10**9),
    cost=st.none() | st.floats(0, 10),
    start=st.none() | st.integers(0, 10**12),
    jitter_ms=st.integers(0, 10**6),
    misfire_grace_ms=st.integers(0, 10**6),
    misfire=st.sampled_from(["latest", "all", "skip"]),
    misfire_limit=st.integers(1, 1_000),
    overlap=st.sampled_from(["allow", "skip"]),
    isolation=st.sampled_from([None, "process"]),
    paused=st.none() | st.booleans(),
    declared=st.booleans(),
)


@given(schedules)
def test_a_schedule_survives_a_round_trip(schedule: Schedule) -> None:
    assert schedule_problems(schedule) == []
    assert decode_schedule(encode_schedule(schedule), paused=schedule.paused) == schedule


@given(schedules)
def test_the_task_of_a_run_is_deterministic_to_the_byte(schedule: Schedule) -> None:
    again = decode_schedule(encode_schedule(schedule))
    assert encode_task(task_of(schedule, 5)) == encode_task(task_of(again, 5))


def test_whether_it_is_paused_is_not_part_of_the_definition() -> None:
    assert encode_schedule(GOOD) == encode_schedule(stored_schedule_with(GOOD, paused=True))


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"args": (1,)}, True),
        ({"misfire": "all"}, True),
        ({"misfire_grace_ms": 5}, True),
        ({"user_id": "bob"}, True),
        ({"cron": "0 4 * * *"}, False),
        ({"timezone": "Europe/Berlin"}, False),
        ({"start": 5}, False),
        ({"jitter_ms": 5}, False),
        ({"dst_gap": "skip"}, False),
    ],
)
def test_only_fields_that_determine_the_runs_change_their_digest(change: dict[str, Any], *, same: bool) -> None:
    assert (timing_digest(stored_schedule_with(GOOD, **change)) == timing_digest(GOOD)) is same


def test_unknown_fields_are_ignored_and_a_later_version_is_not() -> None:
    assert decode_schedule(b'{"v":1,"id":"s","new":5}') == stored_schedule(schedule_id="s")
    for data in (b'{"v":2,"id":"s"}', b"{}", b"x", b'{"v":1,"id":"s","retry":{"factor":-1}}'):
        with pytest.raises(ProtocolError):
            decode_schedule(data)


def report(number: int) -> None: ...


def test_a_schedule_is_created_from_seconds_and_datetimes() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    made = Schedule(
        "s",
        Task(func=report, args=[1], timeout=3, user_id="ann"),
        every=timedelta(minutes=1),
        start=start,
        jitter=0.5,
        misfire_grace=2,
    )
    assert (made.every_ms, made.task.func, made.task.args) == (60_000, f"{__name__}:report", (1,))
    assert (made.start_ms, made.jitter_ms, made.misfire_grace_ms, made.task.timeout_ms) == (
        1_767_225_600_000,
        500,
        2_000,
        3_000,
    )
    assert schedule_problems(made) == []


NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 - it is what is refused


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (Schedule("s", Task(user_id="ann"), cron="x", start=NAIVE), "start must be a datetime with a time zone"),
        (Schedule("s", Task(user_id="ann"), every=-1), "every must be a number of seconds from 0.1 to 316,224,000"),
        (Schedule("s", Task(user_id="ann"), every=0.05), "every must be a number of seconds from 0.1 .* not 0.05"),
        (Schedule("s", Task(user_id="ann"), cron="x", jitter=10**6), "jitter must be .* to 86,400, not 1e"),
        (Schedule("s", Task(), cron="x"), "its task has no user_id: whose share"),
        (Schedule("s", Task(user_id="ann", task_id="mine"), cron="x"), "its task has the id 'mine': each run has"),
        (Schedule("s", Task(user_id="ann", delay=1), cron="x"), "its task has a delay or a time"),
        (Schedule("s", Task(user_id="ann", at=NAIVE.replace(tzinfo=UTC)), cron="x"), "its task has a delay or a time"),
        (Schedule("s", Task(user_id="ann", dedup_key="k"), cron="x"), "its task has the dedup_key 'k'"),
        (Schedule("s", Task(user_id="ann", depends_on="t"), cron="x"), "its task has dependencies"),
        (Schedule("s", Task(user_id="ann", args=[Output("t")]), cron="x"), "its task has dependencies"),
        (Schedule("s", report, cron="x"), "task must be a task, such as function.task"),  # type: ignore[arg-type]
        (stored_schedule_with(GOOD, payload=float("nan")), "payload is nan"),
        (stored_schedule_with(GOOD, overlap="wait"), "overlap must be one of allow, skip, not 'wait'"),
        (stored_schedule_with(GOOD, dst_gap="x"), "dst_gap must be one of run, skip, not 'x'"),
        (stored_schedule_with(GOOD, paused="no"), "paused must be True, False or None, not 'no'"),
        (stored_schedule_with(GOOD, cron=5), "cron must be a string"),
        (stored_schedule_with(GOOD, timezone=None), "timezone must be a name"),
        (stored_schedule_with(GOOD, cron=None, at=5, start=6), "at is before start: it could never fire"),
        (stored_schedule_with(GOOD, cron=None, at=5, end=4), "at is after end: it could never fire"),
        (stored_schedule_with(GOOD, timezone="\ud800"), "lone surrogate|surrogates not allowed"),
    ],
)
def test_invalid_values_are_named(made: Schedule, problem: str) -> None:
    assert re.search(problem, "\n".join(schedule_problems(made)))


@pytest.mark.parametrize("name", ["every", "jitter", "misfire_grace", "at", "start", "end"])
@pytest.mark.parametrize("value", [10_000_000_000, -5, True, 1.5e300, "5"], ids=str)
def test_a_value_without_a_unit_is_never_read_as_milliseconds(name: str, value: Any) -> None:
    times: dict[str, Any] = {} if name == "at" else {"every": 60}
    problems = schedule_problems(Schedule("nightly", Task(user_id="ann", func="shop:pack"), **{**times, name: value}))
    assert [problem for problem in problems if f"{name} must be" in problem and problem.endswith(f"not {value!r}")]
