"""Finds time zones by name, and computes their offsets from UTC, all in whole seconds since 1970."""

from datetime import datetime, timedelta
from difflib import get_close_matches
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from fairque.protocol.errors import InvalidSchedule

__all__ = ["find_zone", "first_change", "highest_wall", "locate", "offset_at"]

_NOT_IANA = {
    "localtime",
    "posixrules",
    "posix",
    "right",
}  # the setting of a machine, and other directories of the database
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - wall-clock time has no zone until one is given


def find_zone(name: str) -> ZoneInfo:
    """Return the time zone with an IANA name, such as ``Europe/Berlin``.

    Raises:
        InvalidSchedule: The zone is unknown; the message lists similar names.
    """
    try:
        if name.partition("/")[0] not in _NOT_IANA:
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass  # unknown, malformed, or the name of a whole region
    close = _close_zones(name)
    hint = f": did you mean {' or '.join(close)}?" if close else ": write an IANA name such as Europe/Berlin or UTC"
    raise InvalidSchedule([f"time zone {name!r} is unknown{hint}"])


def _close_zones(name: str) -> list[str]:
    """Return at most three names similar to ``name``, as a whole or in their last part, best first."""
    wanted = name.lower().replace(" ", "_")
    zones = {zone.lower(): zone for zone in sorted(available_timezones() - _NOT_IANA)}
    same_city = [zone for zone in zones if zone.rpartition("/")[2] == wanted]
    cities = {zone.rpartition("/")[2]: zone for zone in zones}
    close_cities = [cities[city] for city in get_close_matches(wanted, cities, cutoff=0.75)]
    similar = dict.fromkeys([*same_city, *get_close_matches(wanted, zones, cutoff=0.75), *close_cities])
    return [zones[zone] for zone in similar][:3]


def offset_at(zone: ZoneInfo, second: int) -> int:
    """Return by how many seconds the clocks of a zone are ahead of UTC at an instant."""
    return _seconds(datetime.fromtimestamp(second, zone))


def first_change(zone: ZoneInfo, low: int, offset: int, high: int) -> int | None:
    """Return the first second in (low, high] whose offset is not ``offset``, that at ``low``; None if there is none.

    They may be at most two days apart: since 1970, no zone has changed its clocks twice within that time.
    """
    return None if offset_at(zone, high) == offset else _change(zone, low, offset, high)


def _change(zone: ZoneInfo, low: int, offset: int, high: int) -> int:
    """Return the first second after ``low`` whose offset is not ``offset``, given that it differs at ``high``."""
    while high - low > 1:
        middle = (low + high) // 2
        if offset_at(zone, middle) == offset:
            low = middle
        else:
            high = middle
    return high


def highest_wall(zone: ZoneInfo, second: int) -> int:
    """Return the highest wall-clock time that the clocks of a zone have shown up to an instant.

    That is the time they show, except while they repeat an hour: then it is the last second before they were set back.
    """
    local = datetime.fromtimestamp(second, zone)
    wall = second + _seconds(local)
    if not local.fold:
        return wall
    before = _seconds(local.replace(fold=0))
    return _change(zone, wall - before, before, second) - 1 + before


def locate(zone: ZoneInfo, wall: int) -> tuple[int, bool]:
    """Return the first instant at which the clocks of a zone show ``wall``, and whether it exists.

    If it does not, because clocks are set forward over that time, the instant is the first one after the gap.
    """
    local = (_EPOCH + timedelta(seconds=wall)).replace(tzinfo=zone)
    before = _seconds(local)
    second = wall - before
    if offset_at(zone, second) == before:
        return second, True
    # In a gap, the first interpretation of a wall-clock time is after the change, and the second one before it.
    low = wall - _seconds(local.replace(fold=1))
    return _change(zone, low, offset_at(zone, low), second), False


def _seconds(local: datetime) -> int:
    offset = local.utcoffset() or timedelta()
    return offset.days * 86_400 + offset.seconds
