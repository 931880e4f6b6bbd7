"""Schedules as they are stored: with times in milliseconds, and the fields of their tasks beside their own."""

from typing import Any

from attrs import fields

from fairque.protocol.model.ids import ANY_TASK_ID
from fairque.protocol.model.schedules import Schedule, schedule_from_fields, schedule_with
from fairque.protocol.model.task import Task, from_fields, with_fields

__all__ = ["stored_schedule", "stored_schedule_with"]

_OF_TASK = {attribute.name for attribute in fields(Task)}
_MOMENTS = {"at": "at_ms", "start": "start_ms", "end": "end_ms"}


def stored_schedule(schedule_id: str, **given: Any) -> Schedule:
    """Make a schedule of its fields and those of its task."""
    task, own = _parted(given)
    made = from_fields(**{"task_id": ANY_TASK_ID, "created_at": 0, **task})
    return schedule_from_fields(schedule_id=schedule_id, task=made, **own)


def stored_schedule_with(schedule: Schedule, **changes: Any) -> Schedule:
    """Return a schedule with some of its fields and those of its task changed."""
    task, own = _parted(changes)
    return schedule_with(schedule, task=with_fields(schedule.task, **task), **own)


def _parted(given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    task = {name: value for name, value in given.items() if name in _OF_TASK}
    return task, {_MOMENTS.get(name, name): value for name, value in given.items() if name not in task}
