"""The times of a cron schedule in its time zone: pure arithmetic on instants, without reading a clock."""

from collections.abc import Mapping
from typing import Literal
from zoneinfo import ZoneInfo

from attrs import field, frozen

from fairque.protocol.cron.expression import read_expression
from fairque.protocol.cron.wallclock import HORIZON_YEARS, WallClock
from fairque.protocol.cron.zones import find_zone, first_change, highest_wall, locate, offset_at
from fairque.protocol.errors import InvalidSchedule

__all__ = ["Cron", "DstGap", "parse_cron"]

DstGap = Literal["run", "skip"]

_DST_GAPS: Mapping[str, DstGap] = {"run": "run", "skip": "skip"}
_REACH = 172_800  # two days: more than two offsets of one zone can differ
_HORIZON = HORIZON_YEARS * 366 * 86_400
_LATEST = 253_370_764_800  # the year 9999, after which dates end


@frozen
class Cron:
    """A cron expression in a time zone. Created by `parse_cron`, which explains the rules.

    Attributes:
        expression: The expression, with single spaces.
        timezone: IANA name of the zone.
        dst_gap: What happens to times in the gap when clocks are set forward.
    """

    expression: str
    timezone: str
    dst_gap: DstGap
    _clock: WallClock = field(eq=False, repr=False)
    _zone: ZoneInfo = field(eq=False, repr=False)

    def after(self, ms: int) -> int | None:
        """Return the first time it fires strictly after an instant.

        Args:
            ms: Unix time in milliseconds. Nothing fires before 1970.

        Returns:
            Unix time in milliseconds, of a whole second; None if nothing fires within the next 50 years.
        """
        second = max(ms // 1000, -1)
        if second >= _LATEST:
            return None
        fire = self._elapsed(second) if self._clock.every_hour else self._daily(second)
        return None if fire is None else fire * 1000

    def _daily(self, second: int) -> int | None:
        """Fire once for each wall-clock time, when clocks first show it or first pass it."""
        shown = highest_wall(self._zone, second)
        horizon = shown + _HORIZON
        while (wall := self._clock.after(shown)) is not None and wall <= horizon:
            fire, exists = locate(self._zone, wall)
            if exists or self.dst_gap == "run":
                return fire
            shown = fire + offset_at(self._zone, fire) - 1
        return None

    def _elapsed(self, second: int) -> int | None:
        """Fire whenever clocks show a matching time, which may be never or twice."""
        start = second + 1
        horizon = start + _HORIZON
        while start <= horizon:
            offset = offset_at(self._zone, start)
            wall = self._clock.after(start + offset - 1)
            if wall is None:
                return None
            fire = wall - offset
            near = min(fire, start + _REACH)
            change = first_change(self._zone, start, offset, near)
            if change is not None:
                start = change
            elif near == fire:
                return fire
            else:
                # Until then, clocks show only times before the next match, however they are changed.
                start = max(near, fire - _REACH)
        return None


def parse_cron(expression: str, timezone: str = "UTC", *, dst_gap: str = "run") -> Cron:
    """Read a cron expression.

    Five fields are minute, hour, day of month, month and day of week; six start with the second. ``@hourly``,
    ``@daily`` (``@midnight``), ``@weekly``, ``@monthly`` and ``@yearly`` (``@annually``) are the usual shortcuts. A
    field is ``*``, a number, a range ``a-b``, steps ``*/n``, ``a-b/n`` or ``a/n`` (starting at a), or several of these
    separated by commas. Months and days of the week have English names of three letters; Sunday is 0 or 7. The day of
    month may be ``L``, the last one; a day of the week may be ``mon#2``, the second Monday of a month, or ``L5``, the
    last Friday.

    A day must match both the day of month and the day of week if one of the two fields starts with a star, and only one
    of them otherwise: ``0 0 13 * 5`` runs on each 13th and on each Friday, as in any cron.

    If clocks are set forward or back, the rules are those of Debian's cron, and depend on the hour field:

    - If it does not start with a star (``30 2 * * *``), the job follows the wall clock. It runs once for each of its
      times, in the first pass of a repeated hour. Times in a gap run together, once, at the first instant after the
      gap; with ``dst_gap="skip"`` they do not run.
    - If it starts with a star (``*/15 * * * *``, ``0 */2 * * *``), the job follows elapsed time: it runs in both passes
      of a repeated hour, and not in a gap.

    Args:
        expression: The expression.
        timezone: IANA name of the time zone.
        dst_gap: "run" or "skip".

    Raises:
        InvalidSchedule: The expression, the zone or ``dst_gap`` is invalid, or no existing day ever matches. The error
            has all problems, each with the field, its position and the reason.
    """
    problems: list[str] = []
    clock = zone = None
    try:
        clock = read_expression(expression)
    except InvalidSchedule as error:
        problems += error.problems
    try:
        zone = find_zone(timezone)
    except InvalidSchedule as error:
        problems += error.problems
    gap = _DST_GAPS.get(dst_gap)
    if gap is None:
        problems.append(f"dst_gap {dst_gap!r} is unknown: it is 'run' or 'skip'")
    if clock is None or zone is None or gap is None:
        raise InvalidSchedule(problems)
    return Cron(" ".join(expression.split()), timezone, gap, clock, zone)
