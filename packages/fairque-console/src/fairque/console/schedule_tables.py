"""Formats schedules and their runs as tables, and as JSON values."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from attrs import asdict

from fairque.protocol.durations import from_epoch_ms
from fairque.protocol.model.schedule_infos import ScheduleInfo
from fairque.protocol.model.schedules import Schedule

__all__ = ["facts", "page_table", "shown", "times_table"]


def shown(at: datetime | None, schedule: Schedule) -> str:
    """Return a time in the zone of a schedule; an empty string for None."""
    if at is None:
        return ""
    return at.astimezone(ZoneInfo(schedule.timezone)).isoformat(sep=" ", timespec="milliseconds")


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


def times_table(times: Iterable[tuple[datetime, ScheduleInfo]]) -> str:
    """Return runs as a table."""
    rows = [(shown(at, info.schedule), info.schedule.timezone, info.schedule_id) for at, info in times]
    return _table([("next", "zone", "schedule"), *rows], numbers=0)


def facts(info: ScheduleInfo) -> dict[str, Any]:
    """Return a schedule as JSON values, named like the arguments of `Schedule` and `Task`."""
    schedule, task = info.schedule, info.schedule.task
    return {
        "schedule_id": info.schedule_id,
        "cron": schedule.cron,
        "every": None if schedule.every_ms is None else schedule.every_ms / 1000,
        "at": _time(schedule.at_ms),
        "timezone": schedule.timezone,
        "start": _time(schedule.start_ms),
        "end": _time(schedule.end_ms),
        "jitter": schedule.jitter_ms / 1000,
        "misfire": schedule.misfire,
        "misfire_grace": schedule.misfire_grace_ms / 1000,
        "misfire_limit": schedule.misfire_limit,
        "overlap": schedule.overlap,
        "dst_gap": schedule.dst_gap,
        "task": {
            "func": task.func,
            "args": task.args,
            "kwargs": task.kwargs,
            "payload": task.payload,
            "user_id": task.user_id,
            "priority": None if task.priority is None else task.priority.name,
            "retries": task.retries,
            "backoff": None if task.backoff is None else asdict(task.backoff),
            "timeout": task.timeout_ms / 1000,
            "isolation": task.isolation,
            "cost": task.cost,
        },
        "declared": schedule.declared,
        "revision": info.revision,
        "paused": info.paused,
        "next_at": info.next_at,
        "last_at": info.last_at,
        "last_task_id": info.last_task_id,
        "fired": info.fired,
        "missed": info.missed,
        "skipped": info.skipped,
        "misses": info.misses,
    }


def _time(ms: int | None) -> datetime | None:
    return None if ms is None else from_epoch_ms(ms)


def _when(schedule: Schedule) -> str:
    if schedule.at_ms is not None:
        return f"at {shown(from_epoch_ms(schedule.at_ms), schedule)}"
    return schedule.cron if schedule.cron is not None else f"every {(schedule.every_ms or 0) / 1000:g} s"


def _state(info: ScheduleInfo) -> str:
    if info.paused:
        return "paused"
    return "over" if info.next_at is None and info.forgotten_ms is not None else "on"


def _table(rows: list[tuple[str, ...]], *, numbers: int) -> str:
    """Align columns: the last ``numbers`` to the right, the others to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = ["<"] * (len(widths) - numbers) + [">"] * numbers
    lines = ("  ".join(f"{cell:{s}{w}}" for cell, s, w in zip(row, sides, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
