"""The wall-clock calendar of a cron expression: the next matching second, on a clock that is never adjusted."""

from bisect import bisect_left
from datetime import MAXYEAR, date, timedelta
from typing import Literal

from attrs import field, frozen

__all__ = ["HORIZON_YEARS", "WallClock"]

HORIZON_YEARS = 50
"""How far a search looks ahead: more than the 40 years that may be between two Mondays on a 29 February."""

_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)
_DAY_SECONDS = 86_400
_EPOCH = date(1970, 1, 1).toordinal()


@frozen(kw_only=True)
class WallClock:
    """The seconds of a wall clock that match an expression.

    Wall-clock time is the number of seconds from 1970-01-01 00:00:00 on the clock itself, without any time zone.

    Attributes:
        seconds: Ascending, as are `minutes` and `hours`.
        month_end: Whether the last day of a month matches, too.
        weekdays: 0 is Sunday.
        nth_weekdays: Pairs of a weekday and which one of the month it must be: 1 to 5, or "l" for the last.
        both: Whether a day must match by its number and by its weekday; otherwise one of the two is enough.
        every_hour: Whether the hour field starts with a star.
    """

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    month_end: bool = False
    months: frozenset[int]
    weekdays: frozenset[int]
    nth_weekdays: frozenset[tuple[int, int | Literal["l"]]] = field(default=frozenset())
    both: bool
    every_hour: bool

    def after(self, wall: int) -> int | None:
        """Return the first matching second later than ``wall``; None if there is none within `HORIZON_YEARS`."""
        number, second = divmod(wall + 1, _DAY_SECONDS)
        day = date.fromordinal(_EPOCH + number)
        last_year = min(day.year + HORIZON_YEARS, MAXYEAR - 1)
        while day.year <= last_year:
            if day.month not in self.months:
                day = date(day.year + day.month // 12, day.month % 12 + 1, 1)
            else:
                if self._has(day) and (found := self._from(second)) is not None:
                    return (day.toordinal() - _EPOCH) * _DAY_SECONDS + found
                day += _DAY
            second = 0
        return None

    def _has(self, day: date) -> bool:
        """Return whether a day matches, given that its month does."""
        by_number = day.day in self.days or (self.month_end and (day + _DAY).day == 1)
        if by_number is not self.both:
            return by_number  # the number alone decides
        weekday = day.isoweekday() % 7
        if weekday in self.weekdays:
            return True
        if not self.nth_weekdays:
            return False
        which = (day.day + 6) // 7
        is_last = (day + _WEEK).month != day.month
        return (weekday, which) in self.nth_weekdays or (is_last and (weekday, "l") in self.nth_weekdays)

    def _from(self, second: int) -> int | None:
        """Return the first matching second of a day from ``second`` on."""
        rest, earliest_second = divmod(second, 60)
        earliest_hour, earliest_minute = divmod(rest, 60)
        for hour in self.hours[bisect_left(self.hours, earliest_hour) :]:
            same_hour = hour == earliest_hour
            for minute in self.minutes[bisect_left(self.minutes, earliest_minute) if same_hour else 0 :]:
                same_minute = same_hour and minute == earliest_minute
                for named in self.seconds[bisect_left(self.seconds, earliest_second) if same_minute else 0 :]:
                    return hour * 3600 + minute * 60 + named
        return None
