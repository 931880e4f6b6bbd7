"""Times against two oracles, around the days on which clocks change: a walk over each minute, and cronsim.

An ordinary run takes a seeded sample of zones. All changes of all zones since 1973 take more than half an hour:

    FAIRQUE_TEST_CRON_ORACLE=all hatch run pytest -k cron_oracle packages/fairque-scheduler --log-cli-level=INFO
"""

import logging
import os
import random
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import takewhile
from zoneinfo import ZoneInfo, available_timezones

import pytest
from cronsim import CronSim

from fairque.protocol.cron.cron import Cron, parse_cron

ALL = os.environ.get("FAIRQUE_TEST_CRON_ORACLE") == "all"
SEED = 6
HOUR, DAY = 3_600, 86_400
FIRST, LAST = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (1973, 2040))
# Half an hour; at midnight, of two kinds; winter time as the exception; a day left out; three hours; a month within;
# two hours; a quarter to; one minute past midnight.
ODD_ZONES = (
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Africa/Cairo",
    "Europe/Dublin",
    "Pacific/Apia",
    "Antarctica/Casey",
    "Africa/Casablanca",
    "Antarctica/Troll",
    "Pacific/Chatham",
    "America/St_Johns",
)

pytestmark = pytest.mark.timeout(0 if ALL else 600)
log = logging.getLogger(__name__)


class Named:
    """The wall-clock seconds that match an expression, by an independent parser."""

    def __init__(self, expression: str) -> None:
        texts = expression.lower().split()
        *_, hour, day, month, weekday = texts
        second, minute = texts[:2] if len(texts) == 6 else ("0", texts[0])
        self.every_hour = hour[0] == "*"
        self.times = {
            h * HOUR + m * 60 + s
            for h in numbers(hour, 0, 23)
            for m in numbers(minute, 0, 59)
            for s in numbers(second, 0, 59)
        }
        self.months = numbers(month, 1, 12)
        self.day, self.weekday = day, weekday
        self.days: dict[int, bool] = {}

    def __contains__(self, wall: int) -> bool:
        number, second = divmod(wall, DAY)
        if second not in self.times:
            return False
        if number not in self.days:
            self.days[number] = self.has(date(1970, 1, 1) + timedelta(days=number))
        return self.days[number]

    def has(self, day: date) -> bool:
        is_month_end = (day + timedelta(days=1)).month != day.month
        by_number = any(
            is_month_end if item == "l" else day.day in numbers(item, 1, 31) for item in self.day.split(",")
        )
        by_weekday = any(self.has_weekday(day, item) for item in self.weekday.split(","))
        both = "*" in (self.day[0], self.weekday[0])
        return day.month in self.months and (by_number and by_weekday if both else by_number or by_weekday)

    def has_weekday(self, day: date, item: str) -> bool:
        weekday = {day.isoweekday(), day.isoweekday() % 7}
        if item[0] == "l":
            return int(item[1:]) in weekday and (day + timedelta(days=7)).month != day.month
        item, _, which = item.partition("#")
        return bool(weekday & numbers(item, 0, 7)) and which in ("", str((day.day + 6) // 7))


@cache
def numbers(text: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        begin = low if first == "*" else int(first)
        end = int(last) if last else high if first == "*" or step else begin
        found.update(range(begin, end + 1, int(step or 1)))
    return found


class Walk:
    """The clocks of a zone at each step of a span of time."""

    def __init__(self, zone: str, start: int, end: int, step: int = 60) -> None:
        self.step = step
        self.instants = range(start, end, step)
        self.walls = [second + offset(zone, second) for second in self.instants]

    def fires(self, named: Named, *, skip_gap: bool) -> list[int]:
        """The rules, implemented again: times up to the highest one shown so far have passed."""
        found = []
        highest = self.walls[0] - self.step
        for instant, wall in zip(self.instants, self.walls, strict=True):
            due = wall in named
            if not named.every_hour:
                passed = () if skip_gap else range(highest + self.step, wall, self.step)
                due = wall > highest and (due or any(left_out in named for left_out in passed))
            if due:
                found.append(instant)
            highest = max(highest, wall)
        return found


def offset(zone: str, second: int) -> int:
    found = datetime.fromtimestamp(second, ZoneInfo(zone)).utcoffset()
    assert found is not None
    return int(found.total_seconds())


@cache
def changes(zone: str) -> tuple[int, ...]:
    """The instants at which the zone's clocks change. No two lie within one day."""
    days = range(FIRST, LAST, DAY)
    offsets = [offset(zone, day) for day in days]
    found = []
    for start, before, after in zip(days, offsets, offsets[1:], strict=False):
        low, high = start, start + DAY
        while before != after and high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(zone, middle) == before else (low, middle)
        if before != after:
            found.append(high)
    return tuple(found)


def distinct_zones() -> list[str]:
    """One zone of each group of zones whose clocks have agreed all the time, if they have changed at all."""
    groups: dict[object, str] = {}
    for zone in sorted(available_timezones() - {"localtime"}):
        groups.setdefault(tuple((at, offset(zone, at)) for at in (FIRST, *changes(zone))), zone)
    return [zone for zone in groups.values() if changes(zone)]


def seeded() -> random.Random:
    return random.Random(SEED)  # noqa: S311 - a sample that is the same in each run


def sampled_changes(each: int) -> Iterator[tuple[str, int]]:
    """Zones with instants at which their clocks change: all of them, or a few of some zones."""
    draw = seeded()
    names = sorted(available_timezones() - {"localtime"})
    zones = distinct_zones() if ALL else [zone for zone in (*ODD_ZONES, *draw.sample(names, 12)) if changes(zone)]
    for zone in zones:
        log.info("%s changes its clocks %d times", zone, len(changes(zone)))
        for change in changes(zone) if ALL else draw.choices(changes(zone), k=each):
            yield zone, change


def expressions(draw: random.Random, zone: str, change: int, count: int) -> Iterator[str]:
    """Expressions related to a change: times that it skips, repeats, or has around it."""
    local = datetime.fromtimestamp(change - 1, ZoneInfo(zone))
    near = [(local.hour + shift) % 24 for shift in (-1, 0, 1, 2, 3)]
    day, month = str(local.day), str(local.month)
    for _ in range(count):
        hour, later = draw.choice(near), draw.choice(near)
        hours = (
            "*",
            "*",
            "*/2",
            "*/3",
            "0-23",
            "*/24",
            str(hour),
            f"{hour},{later}",
            f"{min(near)}-{max(near)}",
            "1/2",
        )
        minutes = ("0", "30", "*/15", "*", "59", "5,35", "10-50/20", "7/13", "0,1", str(draw.randrange(60)))
        days = ("*",) * 6 + ("*/2", day, "L", "1-7", "8-14,L", "15/3")
        weekdays = ("*",) * 6 + ("*/2", "0", "7", "1-5", "L0", "0#1", "7#2,6#5", "5-7")
        months = ("*",) * 4 + (month, f"{month}/6", "*/3")
        yield " ".join(draw.choice(texts) for texts in (minutes, hours, days, months, weekdays))


def with_seconds(draw: random.Random, plain: Iterable[str]) -> Iterator[str]:
    for expression in plain:
        yield f"{draw.choice(['0', '*/20', '59', '7,30-32'])} {expression}"


def answers(cron: Cron, start: int, end: int) -> list[int]:
    found = []
    at = cron.after(start * 1000)
    while at is not None and at < end * 1000:
        found.append(at // 1000)
        at = cron.after(at)
    return found


def check(cron: Cron, walk: Walk, draw: random.Random) -> int:
    """Compare the time after each fire of the walk and after some instants in between; return the number of checks."""
    named = Named(cron.expression)
    start, end = walk.instants[0] + DAY, walk.instants[-1]
    expected = [fire for fire in walk.fires(named, skip_gap=cron.dst_gap == "skip") if start < fire <= end]
    where = f"{cron.expression!r} in {cron.timezone}, dst_gap={cron.dst_gap}"
    assert answers(cron, start, end + 1) == expected, where
    for fire, before in zip(expected, [start, *expected], strict=False):
        asked = draw.randrange(before * 1000, fire * 1000)
        assert cron.after(asked) == fire * 1000, f"{where} after {asked}"
    return 2 * len(expected) + 1


def around(zone: str, change: int, step: int = 60) -> Walk:
    """Start a day earlier, which is at least the time that a change repeats."""
    minute = change // 60 * 60
    span = (2 * DAY, DAY * 3 // 2) if step == 60 else (DAY + 4 * HOUR, 8 * HOUR)
    return Walk(zone, minute - span[0], minute + span[1], step)


def test_times_around_a_change_agree_with_a_walk_over_each_minute() -> None:
    draw, asked = seeded(), 0
    for zone, change in sampled_changes(each=3):
        walk = around(zone, change)
        for expression in expressions(draw, zone, change, 8 if ALL else 4):
            asked += check(parse_cron(expression, zone, dst_gap=draw.choice(["run", "run", "skip"])), walk, draw)
    log.info("compared %d times with the walk", asked)


def test_times_with_seconds_agree_with_a_walk_over_each_second() -> None:
    draw, asked = seeded(), 0
    zones = distinct_zones() if ALL else ODD_ZONES[:4]
    for zone in zones:
        change = draw.choice(changes(zone))
        walk = around(zone, change, step=1)
        for expression in with_seconds(draw, expressions(draw, zone, change, 4)):
            asked += check(parse_cron(expression, zone, dst_gap=draw.choice(["run", "skip"])), walk, draw)
    log.info("compared %d times with the walk over seconds", asked)


@pytest.mark.thorough
def test_rare_times_agree_with_a_walk_over_a_year() -> None:
    draw, asked = seeded(), 0
    zones = distinct_zones() if ALL else ["Africa/Cairo"]
    start, end = (int(datetime(year, month, 1, tzinfo=UTC).timestamp()) for year, month in ((2025, 12), (2027, 1)))
    for zone in zones:
        walk = Walk(zone, start, end)
        month = draw.randrange(1, 13)
        rare = [f"{draw.randrange(60)} {hour} {draw.randrange(1, 29)} {month} *" for hour in ("*", "2")]
        for expression in (*rare, "30 * * * L0", "0 */12 1 */3 *", "30 2 * 3,10 7#5"):
            asked += check(parse_cron(expression, zone), walk, draw)
    log.info("compared %d times with the walk over a year", asked)


def debian(cron: Cron, start: int, end: int) -> list[int]:
    """The times of cronsim, which also follows Debian's rules."""
    *texts, weekday = cron.expression.upper().split()
    weekdays = [f"{item[1:]}L" if item[0] == "L" else item for item in weekday.split(",")]
    found = CronSim(" ".join([*texts, ",".join(weekdays)]), datetime.fromtimestamp(start, ZoneInfo(cron.timezone)))
    return [int(at.timestamp()) for at in takewhile(lambda at: at.timestamp() < end, found)]


def is_comparable(cron: Cron, change: int) -> bool:
    """Skip cases in which cronsim differs; the tests below show each kind."""
    minute, hour = cron.expression.split()[:2]
    if hour[0] != "*":
        return minute[0] != "*"
    before, after = offset(cron.timezone, change - 1), offset(cron.timezone, change)
    whole_hours = (change + before) % HOUR == 0 and (after - before) % HOUR == 0
    first_left_out, first_shown = (change + before) % DAY, (change + after) % DAY
    return whole_hours and (after < before or 0 < first_left_out < first_shown)


def test_times_around_a_change_agree_with_cronsim() -> None:
    draw, asked = seeded(), 0
    for zone, change in sampled_changes(each=2):
        for expression in expressions(draw, zone, change, 4):
            cron = parse_cron(expression, zone)
            if is_comparable(cron, change):
                start, end = change - DAY, change + DAY
                expected = debian(cron, start, end)
                assert answers(cron, start, end) == expected, f"{expression!r} in {zone}"
                asked += len(expected) + 1
    log.info("compared %d times with cronsim", asked)


def both(expression: str, zone: str, day: str) -> tuple[list[str], list[str]]:
    """The times that only the package or only cronsim has on a day and the next one, in UTC."""
    start = int(datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)).timestamp()) - 1
    cron = parse_cron(expression, zone)
    ours, theirs = answers(cron, start, start + 2 * DAY), debian(cron, start, start + 2 * DAY)
    only_ours, only_theirs = sorted(set(ours) - set(theirs)), sorted(set(theirs) - set(ours))
    return [f"{datetime.fromtimestamp(at, UTC):%H:%M}" for at in only_ours], [
        f"{datetime.fromtimestamp(at, UTC):%H:%M}" for at in only_theirs
    ]


def test_a_star_in_the_minute_alone_does_not_make_a_job_follow_elapsed_time() -> None:
    """In cron and cronsim it does: ``*/30 2 * * *`` would not run at all in spring, and four times in autumn."""
    assert both("*/30 2 * * *", "Europe/Berlin", "2026-03-29") == (["01:00"], [])
    assert both("*/30 2 * * *", "Europe/Berlin", "2026-10-25") == ([], ["01:00", "01:30"])


def test_six_fields_keep_the_same_rules_as_five() -> None:
    """cronsim lets every job with seconds follow elapsed time."""
    assert both("0 30 2 * * *", "Europe/Berlin", "2026-03-29") == (["01:00"], [])
    assert both("0 30 2 * * *", "Europe/Berlin", "2026-10-25") == ([], ["01:30"])


def test_a_job_that_follows_elapsed_time_does_not_run_at_a_skipped_midnight() -> None:
    """cronsim enters a day at its midnight, and runs there even if no clock shows it."""
    assert both("0 */2 5 9 *", "America/Santiago", "2027-09-04") == ([], ["04:00"])


def test_a_job_that_follows_elapsed_time_keeps_its_minutes_when_clocks_change_by_half_an_hour() -> None:
    """cronsim steps by whole hours, and loses the minute; with 45 minutes it may never come to an end."""
    assert both("0 */3 * * *", "Australia/Lord_Howe", "2027-04-04") == (["16:30"], [])
