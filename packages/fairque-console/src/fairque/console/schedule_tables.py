"""Schedules and times as texts for people, and as values for machines."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from attrs import asdict

from fairque.protocol.model.schedules import Schedule, ScheduleInfo

__all__ = ["facts", "page_table", "shown", "times_table"]


def shown(at: int | None, schedule: Schedule) -> str:
    """Return a moment in the zone of a schedule; none is the empty text."""
    if at is None:
        return ""
    return datetime.fromtimestamp(at / 1000, ZoneInfo(schedule.timezone)).isoformat(sep=" ", timespec="milliseconds")


def page_table(infos: Iterable[ScheduleInfo]) -> str:
    """Return schedules as a table."""
    head = ("schedule", "when", "zone", "state", "next", "last", "fired", "missed", "skipped")
    rows = [
        (
            info.schedule_id,
            _when(info.schedule),
            info.schedule.timezone,
            _state(info),
            shown(info.next_at, info.schedule),
            shown(info.last_at, info.schedule),
            f"{info.fired:,}",
            f"{info.missed:,}",
            f"{info.skipped:,}",
        )
        for info in infos
    ]
    return _table([head, *rows], numbers=3)


def times_table(times: Iterable[tuple[int, ScheduleInfo]]) -> str:
    """Return times as a table."""
    rows = [(shown(at, info.schedule), info.schedule.timezone, info.schedule_id) for at, info in times]
    return _table([("next", "zone", "schedule"), *rows], numbers=0)


def facts(info: ScheduleInfo) -> dict[str, Any]:
    """Return all that is known of a schedule as JSON values."""
    known = asdict(info)
    return {**known.pop("schedule"), **known, "last_task_id": info.last_task_id}


def _when(schedule: Schedule) -> str:
    if schedule.at is not None:
        return f"at {shown(schedule.at, schedule)}"
    return schedule.cron if schedule.cron is not None else f"every {(schedule.every_ms or 0) / 1000:g} s"


def _state(info: ScheduleInfo) -> str:
    if not info.enabled:
        return "paused"
    return "over" if info.next_at is None and info.forgotten_at is not None else "on"


def _table(rows: list[tuple[str, ...]], *, numbers: int) -> str:
    """Align columns, the last ``numbers`` of them to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = ["<"] * (len(widths) - numbers) + [">"] * numbers
    lines = ("  ".join(f"{cell:{s}{w}}" for cell, s, w in zip(row, sides, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
