from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairque.protocol.calls.push import arguments_of, push
from fairque.protocol.durations import LONGEST_MS, LONGEST_SECONDS, to_epoch_ms, to_ms, to_us, whole_ms
from fairque.protocol.errors import InvalidTask
from fairque.protocol.model.outcome import decide
from fairque.protocol.model.retry import Retry, Snooze
from fairque.protocol.model.schedules import Schedule
from fairque.protocol.model.states import Priority
from fairque.protocol.model.task import Task
from fairque.protocol.wire.body import content_head
from fairque.protocol.wire.codec import encode_task
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.schedules import schedule_problems

milliseconds = st.integers(0, LONGEST_MS // 1000 * 1000)
near = st.integers(0, 200_000)


class _NoOffset(tzinfo):
    def utcoffset(self, _: datetime | None) -> None:
        return None

    def dst(self, _: datetime | None) -> None:
        return None

    def tzname(self, _: datetime | None) -> None:
        return None


def _every(value: Any) -> list[str]:
    return schedule_problems(Schedule("s", Task(func="m:f", user_id="ann"), every=value))


@given(milliseconds | near)
def test_a_timedelta_of_whole_milliseconds_is_exact(ms: int) -> None:
    assert to_ms(timedelta(milliseconds=ms), "") == whole_ms(timedelta(milliseconds=ms), "") == ms


@given(near)
def test_seconds_with_three_decimals_are_their_milliseconds(ms: int) -> None:
    seconds = float(f"{ms // 1000}.{ms % 1000:03}")
    assert to_ms(seconds, "") == whole_ms(seconds, "") == ms
    assert decide(Snooze(seconds), retries=0, failures=0).pause_ms == ms
    assert decide(Retry(after=timedelta(milliseconds=ms)), retries=1, failures=0).pause_ms == ms


@given(near)
def test_seconds_with_six_decimals_are_their_microseconds(us: int) -> None:
    seconds = float(f"0.{us:06}")
    assert to_us(seconds, "") == to_us(timedelta(microseconds=us), "") == us


@given(near)
def test_each_interval_of_whole_milliseconds_is_itself(ms: int) -> None:
    assert Schedule("s", Task(), every=timedelta(milliseconds=ms)).every_ms == ms
    assert Schedule("s", Task(), every=ms / 1000).every_ms == ms


@given(st.integers(0, 4 * 10**12))
def test_a_time_of_whole_milliseconds_is_exact(ms: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    assert to_epoch_ms(moment, "") == to_epoch_ms(moment.astimezone(timezone(timedelta(hours=5.5))), "") == ms


def test_rounding_errors_of_floats_are_ignored() -> None:
    assert to_ms(0.1 + 0.2, "delay") == 300


@pytest.mark.parametrize("value", [0.0001, 1e-9, 5e-324, timedelta(microseconds=1)])
def test_a_fraction_of_a_millisecond_is_rounded_up(value: Any) -> None:
    assert to_ms(value, "delay") == 1


def test_a_time_within_a_millisecond_is_rounded_up() -> None:
    noon = datetime(2026, 1, 2, 12, tzinfo=UTC)
    assert to_epoch_ms(noon + timedelta(microseconds=1), "at") == 1_767_355_200_001


def test_a_time_before_the_epoch_is_in_the_past() -> None:
    assert to_epoch_ms(datetime(1960, 1, 1, tzinfo=UTC), "at") == 0


@pytest.mark.parametrize("value", [timedelta(milliseconds=500, microseconds=1), 1 / 3])
def test_an_interval_with_a_fraction_of_a_millisecond_is_refused(value: Any) -> None:
    assert any("of whole milliseconds" in problem for problem in _every(value))


@pytest.mark.parametrize("value", [-0.001, timedelta(microseconds=-1), LONGEST_SECONDS + 1, float("nan"), True, "5"])
def test_an_invalid_duration_is_refused(value: Any) -> None:
    with pytest.raises(InvalidTask, match=r"^delay must be a number of seconds from 0 to 9,007,199,254 or a timedelta"):
        to_ms(value, "delay")


@pytest.mark.parametrize("value", [float("inf"), timedelta.max])
def test_a_duration_that_is_too_long_is_refused(value: Any) -> None:
    with pytest.raises(InvalidTask, match="from 0 to 9,007,199,254"):
        to_ms(value, "delay")


@pytest.mark.parametrize(
    ("value", "near"), [(0.0000005, "0.001"), (2.0075, "2.008"), (100_000.0005, "100000.001"), (3.0001, "3.001")]
)
def test_the_error_for_a_fraction_suggests_a_valid_interval(value: float, near: str) -> None:
    with pytest.raises(InvalidTask, match=f"such as to {near} s$"):
        whole_ms(value, "every")
    assert whole_ms(float(near), "every") > 0


def test_a_time_zone_without_an_offset_is_refused() -> None:
    with pytest.raises(InvalidTask, match="has no time zone"):
        to_epoch_ms(datetime(2026, 1, 1, tzinfo=_NoOffset()), "at")


def test_the_longest_durations_reach_the_scripts_as_whole_numbers_that_lua_can_hold() -> None:
    task = Task(func="m:f", user_id="ann", delay=LONGEST_SECONDS, timeout=LONGEST_SECONDS, cost=LONGEST_SECONDS)
    push(QueueKeys("q"), [task], message_limit=1_000, result_ttl_ms=1)
    arguments = arguments_of(task, encode_task(task))
    assert arguments[0] == f"{task.task_id}\n+{LONGEST_SECONDS}000"
    most_us = LONGEST_SECONDS * 1_000_000
    assert arguments[1].startswith(content_head(Priority.NORMAL, LONGEST_SECONDS * 1_000, most_us))
    assert most_us < 2**53
