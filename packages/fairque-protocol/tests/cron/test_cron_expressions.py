"""Cron expressions: their syntax, their errors, and the wall-clock times that match."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import available_timezones

import pytest
from croniter import CroniterBadDateError, croniter
from hypothesis import example, given, reject
from hypothesis import strategies as st

from fairque.protocol.cron.cron import parse_cron
from fairque.protocol.cron.expression import read_expression
from fairque.protocol.cron.zones import find_zone
from fairque.protocol.errors import InvalidSchedule

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - wall-clock time


def problems(expression: str, timezone: str = "UTC", dst_gap: str = "run") -> list[str]:
    with pytest.raises(InvalidSchedule) as caught:
        parse_cron(expression, timezone, dst_gap=dst_gap)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return list(caught.value.problems)


def times(expression: str, start: str, count: int) -> list[str]:
    """The first times on a clock in UTC."""
    cron = parse_cron(expression)
    found: list[str] = []
    at = int(datetime.fromisoformat(start).replace(tzinfo=UTC).timestamp() * 1000) - 1
    while len(found) < count and (after := cron.after(at)) is not None:
        found.append(f"{datetime.fromtimestamp(after / 1000, UTC):%Y-%m-%d %H:%M:%S}".removesuffix(":00"))
        at = after
    return found


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("*/20 * * * *", ["2026-02-27 00:00", "2026-02-27 00:20", "2026-02-27 00:40"]),
        ("5/25 1 * * *", ["2026-02-27 01:05", "2026-02-27 01:30", "2026-02-27 01:55"]),
        ("59/15 0 * * *", ["2026-02-27 00:59", "2026-02-28 00:59", "2026-03-01 00:59"]),
        ("0 8-12/2 * * *", ["2026-02-27 08:00", "2026-02-27 10:00", "2026-02-27 12:00"]),
        ("0 0 L * *", ["2026-02-28 00:00", "2026-03-31 00:00", "2026-04-30 00:00"]),
        ("0 0 1,l * *", ["2026-02-28 00:00", "2026-03-01 00:00", "2026-03-31 00:00"]),
        ("0 0 31 * *", ["2026-03-31 00:00", "2026-05-31 00:00", "2026-07-31 00:00"]),
        ("0 0 29 FEB ?", ["2028-02-29 00:00", "2032-02-29 00:00", "2036-02-29 00:00"]),
        ("0 0 * * Mon-Fri", ["2026-02-27 00:00", "2026-03-02 00:00", "2026-03-03 00:00"]),
        ("0 0 * * fri-sun", ["2026-02-27 00:00", "2026-02-28 00:00", "2026-03-01 00:00"]),
        ("0 0 * * 5-7/2", ["2026-02-27 00:00", "2026-03-01 00:00", "2026-03-06 00:00"]),
        ("0 0 * * 7", ["2026-03-01 00:00", "2026-03-08 00:00", "2026-03-15 00:00"]),
        ("0 0 * * mon#1", ["2026-03-02 00:00", "2026-04-06 00:00", "2026-05-04 00:00"]),
        ("0 0 * * 5#5", ["2026-05-29 00:00", "2026-07-31 00:00", "2026-10-30 00:00"]),
        ("0 0 * * L5", ["2026-02-27 00:00", "2026-03-27 00:00", "2026-04-24 00:00"]),
        ("0 0 * * 7#1,L6", ["2026-02-28 00:00", "2026-03-01 00:00", "2026-03-28 00:00"]),
        ("0 0 13 * 5", ["2026-02-27 00:00", "2026-03-06 00:00", "2026-03-13 00:00"]),
        ("0 0 5 * mon#1", ["2026-03-02 00:00", "2026-03-05 00:00", "2026-04-05 00:00"]),
        ("0 0 */10 * 1", ["2026-05-11 00:00", "2026-06-01 00:00", "2026-08-31 00:00"]),
        ("*/30 0 0 * * *", ["2026-02-27 00:00", "2026-02-27 00:00:30", "2026-02-28 00:00"]),
        (" 0  12\t* * * ", ["2026-02-27 12:00", "2026-02-28 12:00", "2026-03-01 12:00"]),
        ("@hourly", ["2026-02-27 00:00", "2026-02-27 01:00", "2026-02-27 02:00"]),
        ("@daily", ["2026-02-27 00:00", "2026-02-28 00:00", "2026-03-01 00:00"]),
        ("@midnight", ["2026-02-27 00:00", "2026-02-28 00:00", "2026-03-01 00:00"]),
        ("@Weekly", ["2026-03-01 00:00", "2026-03-08 00:00", "2026-03-15 00:00"]),
        ("@monthly", ["2026-03-01 00:00", "2026-04-01 00:00", "2026-05-01 00:00"]),
        ("@yearly", ["2027-01-01 00:00", "2028-01-01 00:00", "2029-01-01 00:00"]),
        ("@annually", ["2027-01-01 00:00", "2028-01-01 00:00", "2029-01-01 00:00"]),
    ],
)
def test_an_expression_matches_these_times(expression: str, expected: list[str]) -> None:
    assert times(expression, "2026-02-27", 3) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 25 * * *", ["field 2 (hour) '25' is above 23"]),
        ("0 0 0 * *", ["field 3 (day of month) '0' is below 1"]),
        ("1-80 * * * *", ["field 1 (minute) '1-80' has 80, which is above 59"]),
        ("60 0 0 * * *", ["field 1 (second) '60' is above 59"]),
        ("0 0 24 * * *", ["field 3 (hour) '24' is above 23"]),
        ("0 0 * 13 8", ["field 4 (month) '13' is above 12", "field 5 (day of week) '8' is above 7"]),
        ("0 0 * * 7/2", ["field 5 (day of week) '7/2' has 7, which is above 6"]),
        ("0 noon * * *", ["field 2 (hour) 'noon' is not a number"]),
        ("0 0 * * mon-fry", ["field 5 (day of week) 'mon-fry' has fry, which is not a number or a name (sun, mon, "]),
        ("-5 * * * *", ["field 1 (minute) '-5' is not understood: write *, a number, a-b, */n or a-b/n"]),
        ("1,,2 * * * *", ["field 1 (minute) '' is empty: remove a comma"]),
        ("0 0 1 * 0,*", ["field 5 (day of week) '0,*' lists * with others: write only *, which includes them"]),
        ("*/0 * * * *", ["field 1 (minute) '*/0' has the step 0, which is not a number from 1"]),
        ("*/90 * * * *", ["field 1 (minute) '*/90' has the step 90, but there are only 60 values"]),
        ("0 22-2 * * *", ["field 2 (hour) '22-2' runs backwards: write 22-23,0-2"]),
        ("0 21-3/2 * * *", ["field 2 (hour) '21-3/2' runs backwards: write its numbers with commas"]),
        ("0 5-5 * * *", ["field 2 (hour) '5-5' is a range of one value: write 5"]),
        ("0 0 * * sun-sun", ["field 5 (day of week) 'sun-sun' is a range of one value: write sun"]),
        ("0 0 ?/2 * *", ["field 3 (day of month) '?/2' is not understood"]),
        ("0 ? * * *", ["field 2 (hour) '?' is not understood"]),
        ("0 0 L-3 * *", ["field 3 (day of month) 'l-3' has l, which is not a number"]),
        ("0 0 15W * *", ["field 3 (day of month) '15w' stands for the nearest working day, which is not supported"]),
        ("0 0 * * 5L", ["field 5 (day of week) '5l' is not understood: write L5 for the last one of a month"]),
        (
            "0 0 * * mon#6",
            ["field 5 (day of week) 'mon#6' selects number 6 of these days in a month: use 1 to 5"],
        ),
        ("0 0 * * 9#1", ["field 5 (day of week) '9#1' has 9, which is above 7"]),
        ("0 0 * * 1#1,3", ["field 5 (day of week) '1#1,3' mixes days of every week with '1#1': make two schedules"]),
        ("H * * * *", ["field 1 (minute) 'h' stands for a time picked by hash or at random: write the time itself"]),
        ("0 R(0-3)/2 * * *", ["field 2 (hour) 'r(0-3)/2' stands for a time picked by hash or at random"]),
        ("", ["it has 0 fields: it needs minute, hour, day of month, month and day of week, or a second before these"]),
        ("* * * *", ["it has 4 fields: "]),
        (
            "0 0 1 1 * * 2027",
            ["it has 7 fields: it needs minute, hour, day of month, month and day of week, or a second"],
        ),
        ("@dayly", ["'@dayly' is unknown (known: @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually)"]),
        ("@reboot", ["'@reboot' is unknown (known: "]),
    ],
)
def test_a_bad_expression_is_refused_with_each_field_its_position_and_the_reason(
    expression: str, expected: list[str]
) -> None:
    found = problems(expression)
    assert [text[: len(start)] for text, start in zip(found, full(expression, expected), strict=True)] == full(
        expression, expected
    )


def full(expression: str, reasons: list[str]) -> list[str]:
    return [f"cron expression {expression!r}: {reason}" for reason in reasons]


@pytest.mark.parametrize(
    ("expression", "fields"),
    [
        ("0 0 30 2 *", "field 3 (day of month) '30', field 4 (month) '2' and field 5 (day of week) '*'"),
        ("0 0 31 2,4,6,9,11 */2", "field 3 (day of month) '31', field 4 (month) '2,4,6,9,11' and field 5"),
        ("0 0 0 30-31 feb *", "field 4 (day of month) '30-31', field 5 (month) 'feb' and field 6 (day of week) '*'"),
        ("0 0 */31 * 1#2", "field 3 (day of month) '*/31', field 4 (month) '*' and field 5 (day of week) '1#2'"),
    ],
)
def test_a_date_that_does_not_exist_is_refused(expression: str, fields: str) -> None:
    (problem,) = problems(expression)
    assert problem.startswith(f"cron expression {expression!r}: it never fires: no existing day matches {fields}")


def test_a_date_that_is_rare_is_not_refused() -> None:
    assert times("0 0 29 2 */7", "2072-01-01", 2) == ["2088-02-29 00:00", "2128-02-29 00:00"]


def test_a_weekday_makes_a_nonexistent_day_of_the_month_acceptable() -> None:
    assert times("0 0 30 2 1", "2026-02-01", 2) == ["2026-02-02 00:00", "2026-02-09 00:00"]


def test_all_problems_are_reported_at_once() -> None:
    assert [problem.partition("is ")[2][:7] for problem in problems("60 24 * * *", "Berlin", "maybe")] == [
        "above 5",
        "above 2",
        "unknown",
        "unknown",
    ]
    assert problems("* * * * *", dst_gap="maybe") == ["dst_gap 'maybe' is unknown: it is 'run' or 'skip'"]


def test_a_very_long_expression_is_refused_without_being_repeated() -> None:
    assert problems("0" * 1_001 + " * * * *") == ["the cron expression has 1,009 characters, allowed are 1,000"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Europe/Berln", "did you mean Europe/Berlin or "),
        ("berlin", "did you mean Europe/Berlin?"),
        ("europe/berlin", "did you mean Europe/Berlin or "),
        ("New York", "did you mean America/New_York?"),
        ("Asia/Calcuta", "did you mean Asia/Calcutta?"),
        *(
            (name, "write an IANA name such as Europe/Berlin or UTC")
            for name in ("", "Europe", "../UTC", "/etc/passwd")
        ),
        *(
            (name, "")
            for name in ("localtime", "posixrules", "right/UTC", "posix/UTC", "a\0b", "\ud800", "UTC/", "x" * 300)
        ),
    ],
)
def test_an_unknown_zone_is_refused_with_close_matches(name: str, meant: str) -> None:
    (problem,) = problems("* * * * *", name)
    assert problem.startswith(f"time zone {name!r} is unknown: {meant}")


def test_every_zone_of_the_database_is_known() -> None:
    for name in sorted(available_timezones() - {"localtime"}):
        assert find_zone(name).key == name


def test_an_expression_is_a_value() -> None:
    assert parse_cron(" 0  0 * * * ") == parse_cron("0 0 * * *")
    assert len({parse_cron("0 0 * * *"), parse_cron("0 0 * * *"), parse_cron("0 0 * * *", "Europe/Paris")}) == 2
    assert repr(parse_cron("@daily")) == "Cron(expression='@daily', timezone='UTC', dst_gap='run')"


def item(low: int, high: int) -> st.SearchStrategy[str]:
    """A number, or a range of at least two, or with a step."""
    number = st.integers(low, high)
    pair = st.lists(number, min_size=2, max_size=2, unique=True).map(sorted)
    step = st.integers(1, high - low)
    return st.one_of(
        number.map(str),
        pair.map(lambda ends: f"{ends[0]}-{ends[1]}"),
        st.tuples(pair, step).map(lambda drawn: f"{drawn[0][0]}-{drawn[0][1]}/{drawn[1]}"),
        step.map(lambda drawn: f"*/{drawn}"),
    )


def texts(low: int, high: int, *more: str) -> st.SearchStrategy[str]:
    items = st.one_of(item(low, high), *map(st.just, more))
    return st.just("*") | st.lists(items, min_size=1, max_size=3).map(",".join)


# croniter takes a star behind a comma for one at the beginning, if the weekdays are all seven; cron does not.
EXPRESSIONS = (
    st.tuples(texts(0, 59), texts(0, 23), texts(1, 31, "L"), texts(1, 12, "feb", "jan-mar"), texts(0, 7, "sat"))
    .map(" ".join)
    .filter(lambda text: ",*" not in text)
)


@given(EXPRESSIONS | st.tuples(texts(0, 59), EXPRESSIONS).map(" ".join), st.integers(0, 3_000_000_000))
@example("0 0 29 2 */7", 3_000_000_000)
def test_the_calendar_agrees_with_croniter(expression: str, wall: int) -> None:
    """In UTC, where clocks never change."""
    start = EPOCH + timedelta(seconds=wall)
    theirs = croniter(expression, start, second_at_beginning=True, implement_cron_bug=True)
    try:
        expected = int((theirs.get_next(datetime) - EPOCH).total_seconds())
    except CroniterBadDateError:
        reject()
    assert read_expression(expression).after(wall) == expected


@given(st.text(alphabet="0123456789*/-,#?lLwWhHrR @adefmonsu", max_size=24))
@example("* * * * *,*")
@example("0 0 * * l")
@example("0 0 * * #")
def test_any_text_is_accepted_or_refused(text: str) -> None:
    try:
        cron = parse_cron(text)
    except InvalidSchedule as error:
        refused = error.problems
    else:
        refused = () if cron.after(1_800_000_000_000) is not None else ("it never fires",)
    assert all(problem.startswith(f"cron expression {text!r}: ") for problem in refused)


def test_times_of_a_frequent_expression_continue_to_the_end_of_the_calendar() -> None:
    cron = parse_cron("0 0 1 1 *")
    last = int(datetime(9998, 1, 1, tzinfo=UTC).timestamp() * 1000)
    assert cron.after(last - 1) == last
    assert cron.after(last) is None
    assert cron.after(10**18) is None


def test_nothing_fires_before_1970() -> None:
    cron = parse_cron("@hourly")
    assert [cron.after(at) for at in (-(10**18), -3_600_000, -1, 0)] == [0, 0, 0, 3_600_000]


@given(st.lists(st.integers(0, 59), min_size=1, max_size=60, unique=True))
def test_a_list_of_minutes_fires_at_each_of_them(minutes: list[int]) -> None:
    cron = parse_cron(f"{','.join(map(str, minutes))} 5 * * *")
    found = [int(at[-2:]) for at in times(cron.expression, "2026-05-01", len(minutes))]
    assert found == sorted(minutes)
    assert all(earlier < later for earlier, later in pairwise(found))
