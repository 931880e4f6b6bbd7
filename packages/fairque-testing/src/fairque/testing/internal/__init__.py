"""Helpers for the tests of the fairque packages themselves, without any promise of compatibility."""

from fairque.testing.internal.bench import QueueBench, pop_call
from fairque.testing.internal.effort import ask_for_all, examples, is_thorough, only_thorough
from fairque.testing.internal.patience import PATIENCE, eventually
from fairque.testing.internal.records import (
    TASK_RECORD,
    USER_RECORD,
    amend_globals,
    amend_record,
    packed,
    parse_globals,
    read_globals,
    read_message,
    set_schema,
    write_message,
)
from fairque.testing.internal.schedules import stored_schedule, stored_schedule_with

__all__ = [
    "PATIENCE",
    "TASK_RECORD",
    "USER_RECORD",
    "QueueBench",
    "amend_globals",
    "amend_record",
    "ask_for_all",
    "eventually",
    "examples",
    "is_thorough",
    "only_thorough",
    "packed",
    "parse_globals",
    "pop_call",
    "read_globals",
    "read_message",
    "set_schema",
    "stored_schedule",
    "stored_schedule_with",
    "write_message",
]
