"""Time zones: found by name, and asked for their offset from UTC, all in whole seconds since 1970."""

from datetime import datetime, timedelta
from difflib import get_close_matches
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from fairque.protocol.errors import InvalidSchedule

__all__ = ["find_zone", "first_change", "highest_wall", "locate", "offset_at"]

_NOT_IANA = {"localtime", "posixrules", "posix", "right"}  # a machine's own setting, and trees beside the names
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - wall-clock time has no zone until one is given


def find_zone(name: str) -> ZoneInfo:
    """Return the time zone of that IANA name, such as ``Europe/Berlin``.

    Raises:
        InvalidSchedule: No such zone is known; the message lists close matches.
    """
    try:
        if name.partition("/")[0] not in _NOT_IANA:
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass  # unknown, malformed, or the name of a whole region
    close = _close_zones(name)
    meant = f": did you mean {' or '.join(close)}?" if close else ": write an IANA name such as Europe/Berlin or UTC"
    raise InvalidSchedule([f"time zone {name!r} is unknown{meant}"])


def _close_zones(name: str) -> list[str]:
    """Return at most three names that look like ``name``, as a whole or in their last part, the best first."""
    wanted = name.lower().replace(" ", "_")
    zones = {zone.lower(): zone for zone in sorted(available_timezones() - _NOT_IANA)}
    same_city = [zone for zone in zones if zone.rpartition("/")[2] == wanted]
    cities = {zone.rpartition("/")[2]: zone for zone in zones}
    close_cities = [cities[city] for city in get_close_matches(wanted, cities, cutoff=0.75)]
    found = dict.fromkeys([*same_city, *get_close_matches(wanted, zones, cutoff=0.75), *close_cities])
    return [zones[zone] for zone in found][:3]


def offset_at(zone: ZoneInfo, second: int) -> int:
    """Return the seconds by which the zone's clocks are ahead of UTC at an instant."""
    return _seconds(datetime.fromtimestamp(second, zone))


def first_change(zone: ZoneInfo, low: int, offset: int, high: int) -> int | None:
    """Return the first second in (low, high] whose offset is not ``offset``, the one at ``low``; None if there is none.

    The two may be at most two days apart: no zone has changed its clocks twice within that time since 1970.
    """
    return None if offset_at(zone, high) == offset else _change(zone, low, offset, high)


def _change(zone: ZoneInfo, low: int, offset: int, high: int) -> int:
    """Return the first second after ``low`` whose offset is not ``offset``, as the one at ``high`` is not."""
    while high - low > 1:
        middle = (low + high) // 2
        if offset_at(zone, middle) == offset:
            low = middle
        else:
            high = middle
    return high


def highest_wall(zone: ZoneInfo, second: int) -> int:
    """Return the highest wall-clock time that the zone's clocks have shown up to an instant.

    That is what they show, except while they repeat an hour: then it is the last second before they were set back.
    """
    local = datetime.fromtimestamp(second, zone)
    wall = second + _seconds(local)
    if not local.fold:
        return wall
    before = _seconds(local.replace(fold=0))
    return _change(zone, wall - before, before, second) - 1 + before


def locate(zone: ZoneInfo, wall: int) -> tuple[int, bool]:
    """Return the first instant at which the zone's clocks show ``wall``, and whether there is one.

    If there is none, since the clocks are set forward over that time, the instant is the first one after the gap.
    """
    local = (_EPOCH + timedelta(seconds=wall)).replace(tzinfo=zone)
    before = _seconds(local)
    second = wall - before
    if offset_at(zone, second) == before:
        return second, True
    # In a gap the first of the two readings of a wall-clock time lies after the change, and the second one before it.
    low = wall - _seconds(local.replace(fold=1))
    return _change(zone, low, offset_at(zone, low), second), False


def _seconds(local: datetime) -> int:
    offset = local.utcoffset() or timedelta()
    return offset.days * 86_400 + offset.seconds
