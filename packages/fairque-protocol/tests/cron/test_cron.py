"""When jobs run on days on which clocks change, in each kind of zone, and properties of any job at any time."""

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fairque.protocol.cron.cron import Cron, parse_cron


def local_times(cron: Cron, start: str, end: str) -> list[str]:
    """The times between two local times, as the clocks of the zone show them, with the offset if it matters."""
    zone = ZoneInfo(cron.timezone)
    at, last = (
        int(datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp() * 1000) - 1 + fold
        for text, fold in ((start, 0), (end, 1))
    )
    found = []
    while (after := cron.after(at)) is not None and after <= last:
        found.append(datetime.fromtimestamp(after / 1000, zone).isoformat(timespec="minutes"))
        at = after
    return found


@pytest.mark.parametrize(
    ("timezone", "day", "expression", "expected"),
    [
        # Spring in Berlin: 02:00 to 03:00 is left out.
        ("Europe/Berlin", "2026-03-29", "30 2 * * *", ["03:00+02:00"]),
        ("Europe/Berlin", "2026-03-29", "0,15,30,45 2 * * *", ["03:00+02:00"]),
        ("Europe/Berlin", "2026-03-29", "*/15 2 * * *", ["03:00+02:00"]),
        ("Europe/Berlin", "2026-03-29", "0 2,3 * * *", ["03:00+02:00"]),
        ("Europe/Berlin", "2026-03-29", "30 1-3 * * *", ["01:30+01:00", "03:00+02:00", "03:30+02:00"]),
        ("Europe/Berlin", "2026-03-29", "20,40 0 2 * * *", ["03:00+02:00"]),
        ("Europe/Berlin", "2026-03-29", "0 */2 * * *", ["00:00+01:00", "04:00+02:00", "06:00+02:00", "08:00+02:00"]),
        ("Europe/Berlin", "2026-03-29", "40 * * * *", ["00:40+01:00", "01:40+01:00", "03:40+02:00", "04:40+02:00"]),
        # Autumn: 02:00 to 03:00 comes twice.
        ("Europe/Berlin", "2026-10-25", "30 2 * * *", ["02:30+02:00"]),
        ("Europe/Berlin", "2026-10-25", "*/30 2 * * *", ["02:00+02:00", "02:30+02:00"]),
        ("Europe/Berlin", "2026-10-25", "0 1-3 * * *", ["01:00+02:00", "02:00+02:00", "03:00+01:00"]),
        ("Europe/Berlin", "2026-10-25", "5 * * * *", ["00:05+02:00", "01:05+02:00", "02:05+02:00", "02:05+01:00"]),
        ("Europe/Berlin", "2026-10-25", "0 0 */2 * * *", ["00:00+02:00", "02:00+02:00", "02:00+01:00", "04:00+01:00"]),
        # Dublin's winter time is the exception, with an offset below its standard time.
        ("Europe/Dublin", "2026-03-29", "30 1 * * *", ["02:00+01:00"]),
        ("Europe/Dublin", "2026-10-25", "30 1 * * *", ["01:30+01:00"]),
        ("Europe/Dublin", "2026-10-25", "30 */1 * * *", ["00:30+01:00", "01:30+01:00", "01:30+00:00", "02:30+00:00"]),
        # Half an hour.
        ("Australia/Lord_Howe", "2026-10-04", "15 2 * * *", ["02:30+11:00"]),
        ("Australia/Lord_Howe", "2026-10-04", "45 2 * * *", ["02:45+11:00"]),
        ("Australia/Lord_Howe", "2026-10-04", "15 * * * *", ["00:15+10:30", "01:15+10:30", "03:15+11:00"]),
        ("Australia/Lord_Howe", "2026-04-05", "45 1 * * *", ["01:45+11:00"]),
        ("Australia/Lord_Howe", "2026-04-05", "15,45 */1 * * *", ["00:15+11:00", "00:45+11:00", "01:15+11:00"]),
        ("Australia/Lord_Howe", "2026-04-05", "45 * * * *", ["00:45+11:00", "01:45+11:00", "01:45+10:30"]),
        # At midnight: the day begins at 01:00, and the day before ends with an hour twice.
        ("America/Sao_Paulo", "2018-11-04", "0 0 * * *", ["01:00-02:00"]),
        ("America/Sao_Paulo", "2018-11-04", "@daily", ["01:00-02:00"]),
        ("America/Sao_Paulo", "2018-11-04", "30 * * * *", ["01:30-02:00", "02:30-02:00", "03:30-02:00"]),
        ("America/Sao_Paulo", "2018-02-17", "30 23 * * *", ["23:30-02:00"]),
        ("America/Sao_Paulo", "2018-02-17", "30 */23 * * *", ["00:30-02:00", "23:30-02:00", "23:30-03:00"]),
        ("Africa/Cairo", "2026-04-24", "0 0 24 4 *", ["01:00+03:00"]),
        ("Africa/Cairo", "2026-04-24", "30 0 * * 5", ["01:00+03:00"]),
        ("Africa/Cairo", "2026-10-29", "59 23 * * *", ["23:59+03:00"]),
        # The clocks go back over midnight, into the day before.
        ("America/Havana", "2026-11-01", "0 0 * * *", ["00:00-04:00"]),
        ("America/Havana", "2026-11-01", "0 * * * *", ["00:00-04:00", "00:00-05:00", "01:00-05:00"]),
        ("America/Toronto", "2006-10-29", "30 1 * * *", ["01:30-04:00"]),
    ],
)
def test_a_job_runs_on_the_day_of_a_change(timezone: str, day: str, expression: str, expected: list[str]) -> None:
    found = local_times(parse_cron(expression, timezone), f"{day}T00:00", f"{day}T23:59:59")
    assert found[: len(expected)] == [f"{day}T{time}" for time in expected]
    if not parse_cron(expression, timezone)._clock.every_hour:
        assert found == [f"{day}T{time}" for time in expected]


@pytest.mark.parametrize("expression", ["30 2 * * *", "0 30 2 * * *", "* 2 * * *"])
def test_a_time_in_a_gap_can_be_skipped(expression: str) -> None:
    cron = parse_cron(expression, "Europe/Berlin", dst_gap="skip")
    assert local_times(cron, "2026-03-29T00:00", "2026-03-30T00:00") == []
    assert local_times(cron, "2026-03-28T00:00", "2026-03-31T00:00")[0] == "2026-03-28T" + local_hour(expression)


def local_hour(expression: str) -> str:
    return "02:00+01:00" if expression.startswith("* ") else "02:30+01:00"


def test_skipping_does_not_affect_times_that_clocks_show() -> None:
    cron = parse_cron("0,30 2,3 * * *", "Europe/Berlin", dst_gap="skip")
    assert local_times(cron, "2026-03-29T00:00", "2026-03-29T12:00") == [
        "2026-03-29T03:00+02:00",
        "2026-03-29T03:30+02:00",
    ]


def test_a_job_whose_only_time_is_always_in_a_gap_never_runs_with_skip() -> None:
    always = "30 2 * 3 L7"
    assert parse_cron(always, "Europe/Berlin", dst_gap="skip").after(1_900_000_000_000) is None
    assert parse_cron("30 */24 * 4 L5", "Africa/Cairo").after(1_900_000_000_000) is None
    assert local_times(parse_cron(always, "Europe/Berlin"), "2027-01-01", "2028-01-01") == ["2027-03-28T03:00+02:00"]


def test_every_quarter_of_an_hour_keeps_its_elapsed_time() -> None:
    for timezone in ("Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia", "Asia/Kathmandu"):
        cron = parse_cron("*/15 * * * *", timezone)
        at = int(datetime(2011, 1, 1, tzinfo=UTC).timestamp() * 1000)
        for _ in range(366 * 96):
            after = cron.after(at)
            assert after == at + 900_000, timezone
            at = after


def test_a_whole_skipped_day_runs_once_just_after() -> None:
    """Samoa had no 30 December 2011."""
    every_six = parse_cron("0 3,9,15,21 * * *", "Pacific/Apia")
    assert local_times(every_six, "2011-12-29T10:00", "2011-12-31T10:00") == [
        "2011-12-29T15:00-10:00",
        "2011-12-29T21:00-10:00",
        "2011-12-31T00:00+14:00",
        "2011-12-31T03:00+14:00",
        "2011-12-31T09:00+14:00",
    ]
    assert local_times(parse_cron("0 9 30 * *", "Pacific/Apia"), "2011-12-01", "2012-01-01") == [
        "2011-12-31T00:00+14:00"
    ]
    assert local_times(parse_cron("0 * 30 * *", "Pacific/Apia"), "2011-12-01", "2012-01-01") == []
    skipping = parse_cron("0 9 30 * *", "Pacific/Apia", dst_gap="skip")
    assert local_times(skipping, "2011-12-01", "2012-02-01") == ["2012-01-30T09:00+14:00"]


def test_three_hours_that_are_skipped_or_repeated() -> None:
    casey = parse_cron("30 0-4 * * *", "Antarctica/Casey")
    assert local_times(casey, "2019-10-04T00:00", "2019-10-04T06:00") == [
        f"2019-10-04T{time}" for time in ("00:30+08:00", "01:30+08:00", "02:30+08:00", "06:00+11:00")
    ]
    vostok = parse_cron("30 22-23 * * *", "Antarctica/Vostok")
    assert local_times(vostok, "2023-12-17T00:00", "2023-12-19T00:00") == [
        f"2023-12-{time}" for time in ("17T22:30+07:00", "17T23:30+07:00", "18T22:30+05:00", "18T23:30+05:00")
    ]


def test_an_offset_with_seconds() -> None:
    """Liberia went over to GMT in 1972 by setting its clocks forward by 44 minutes and 30 seconds."""
    cron = parse_cron("20 0,12 * * *", "Africa/Monrovia")
    start = int(datetime(1972, 1, 6, tzinfo=UTC).timestamp() * 1000)
    found = [start]
    for _ in range(5):
        after = cron.after(found[-1])
        assert after is not None
        found.append(after)
    assert [f"{datetime.fromtimestamp(at / 1000, UTC):%d %H:%M:%S}" for at in found[1:]] == [
        "06 01:04:30",
        "06 13:04:30",
        "07 00:44:30",
        "07 12:20:00",
        "08 00:20:00",
    ]


def test_the_time_after_an_instant_in_a_repeated_hour() -> None:
    """The second pass of an hour belongs to the past of a job on the wall clock, whatever the clocks show."""
    second_pass = int(datetime(2026, 10, 25, 1, 10, tzinfo=UTC).timestamp() * 1000)
    daily, elapsed = parse_cron("*/30 2,3 * * *", "Europe/Berlin"), parse_cron("*/30 * * * *", "Europe/Berlin")
    assert daily.after(second_pass) == int(datetime(2026, 10, 25, 2, 0, tzinfo=UTC).timestamp() * 1000)
    assert elapsed.after(second_pass) == int(datetime(2026, 10, 25, 1, 30, tzinfo=UTC).timestamp() * 1000)


def test_milliseconds_matter() -> None:
    cron = parse_cron("0 12 * * *")
    noon = int(datetime(2026, 5, 1, 12, tzinfo=UTC).timestamp() * 1000)
    assert [cron.after(at) for at in (noon - 1, noon, noon + 1)] == [noon, noon + 86_400_000, noon + 86_400_000]


def test_a_rare_job_that_follows_elapsed_time_is_found_after_many_changes() -> None:
    cron = parse_cron("0 * 29 2 *", "America/New_York")
    assert local_times(cron, "2025-03-01", "2028-02-29T01:00") == ["2028-02-29T00:00-05:00", "2028-02-29T01:00-05:00"]


ZONES = (
    "UTC",
    "Europe/Berlin",
    "Europe/Dublin",
    "America/New_York",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Antarctica/Troll",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Asia/Kathmandu",
)
CRONS = st.builds(
    lambda fields, zone, dst_gap: parse_cron(" ".join(fields), zone, dst_gap=dst_gap),
    st.tuples(
        st.sampled_from(["", "0", "*/20", "30"]),
        st.sampled_from(["*", "0", "*/15", "7,37", "59", "20-40/10"]),
        st.sampled_from(["*", "*/2", "0-23", "2", "1-3", "0", "22,23"]),
        st.sampled_from(["*", "*", "*/2", "1", "L", "15-21"]),
        st.sampled_from(["*", "*", "3,10", "12"]),
        st.sampled_from(["*", "*", "0", "1-5", "7#1", "L0"]),
    ),
    st.sampled_from(ZONES),
    st.sampled_from(["run", "skip"]),
)
MOMENTS = st.datetimes(datetime(1973, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001 - bounds
    lambda moment: int(moment.timestamp() * 1000)
)
AUTUMN = int(datetime(2026, 10, 25, 0, 59, 59, tzinfo=UTC).timestamp() * 1000)


@given(CRONS, MOMENTS)
@example(parse_cron("* 1-3 * * *", "Europe/Berlin"), AUTUMN)
def test_times_increase(cron: Cron, moment: int) -> None:
    found: list[int] = [moment]
    while len(found) < 20 and (after := cron.after(found[-1])) is not None:
        found.append(after)
    assert all(earlier < later for earlier, later in pairwise(found))
    assert all(after % 1000 == 0 for after in found[1:])


@given(CRONS, MOMENTS, st.floats(0, 1))
@example(parse_cron("* 1-3 * * *", "Europe/Berlin"), AUTUMN, 0.5)
def test_there_is_no_time_between_an_instant_and_the_next_time(cron: Cron, moment: int, part: float) -> None:
    after = cron.after(moment)
    if after is not None:
        between = min(moment + int((after - moment) * part), after - 1)
        assert cron.after(between) == after
        assert cron.after(after - 1) == after


@given(CRONS, MOMENTS)
def test_a_job_that_follows_elapsed_time_runs_only_when_its_hour_shows(cron: Cron, moment: int) -> None:
    after = cron.after(moment)
    if after is not None and cron._clock.every_hour:
        local = datetime.fromtimestamp(after / 1000, ZoneInfo(cron.timezone))
        assert local.hour in cron._clock.hours
        assert local.minute in cron._clock.minutes
        assert local.second in cron._clock.seconds
