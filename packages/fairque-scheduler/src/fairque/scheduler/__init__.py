"""Cron for a fairque queue: any number of schedulers may run, one of them leads, and each run enqueues one task."""

from fairque.protocol.config import QueueSection, RedisSection
from fairque.protocol.cron.cron import Cron, parse_cron
from fairque.protocol.errors import (
    ConfigurationError,
    FairqueError,
    InvalidSchedule,
    RedisUnavailable,
    ScheduleConflict,
    ScheduleNotFound,
    SchemaMismatch,
    ServerUnsuitable,
)
from fairque.protocol.model.retry import Backoff
from fairque.protocol.model.schedule_infos import Miss, ScheduleInfo, SchedulerStatus
from fairque.protocol.model.schedules import Schedule
from fairque.protocol.model.states import Priority
from fairque.scheduler._version import __version__
from fairque.scheduler.scheduler import TaskScheduler
from fairque.scheduler.settings import SchedulerSection, SchedulerSettings

# Grouped by what they are for, not sorted.
__all__ = [  # noqa: RUF022 - see above
    # The scheduler
    "TaskScheduler",
    # Schedules
    "Schedule",
    "ScheduleInfo",
    "SchedulerStatus",
    "Miss",
    "Priority",
    "Backoff",
    "Cron",
    "parse_cron",
    # Settings
    "SchedulerSettings",
    "SchedulerSection",
    "QueueSection",
    "RedisSection",
    # Errors
    "FairqueError",
    "ConfigurationError",
    "InvalidSchedule",
    "RedisUnavailable",
    "ScheduleConflict",
    "ScheduleNotFound",
    "SchemaMismatch",
    "ServerUnsuitable",
    "__version__",
]
