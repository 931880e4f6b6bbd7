"""Builders of all calls, one for each verb: pure functions from arguments to a `Call`."""

from fairque.protocol.calls.beat import beat
from fairque.protocol.calls.cancel import cancel
from fairque.protocol.calls.endings import Ended, Failed, Finished, Released, fail, finish, release
from fairque.protocol.calls.fire import Fired, Firing, Leadership, Move, fire, lead, move
from fairque.protocol.calls.limits import (
    ALL_USERS,
    SETTING_NAMES,
    CostMode,
    Purged,
    Setting,
    SettingName,
    configure,
    limit,
    purge,
)
from fairque.protocol.calls.pop import Granted, Popped, pop
from fairque.protocol.calls.push import Pushed, push
from fairque.protocol.calls.read import Outcome, QueueStats, TaskInfo, read_stats, read_task, watch
from fairque.protocol.calls.rouse import rouse
from fairque.protocol.calls.schedules import (
    Due,
    Scheduled,
    Storing,
    due,
    enable,
    read_schedule,
    read_scheduler,
    read_schedules,
    read_some,
    schedule,
    unschedule,
)
from fairque.protocol.calls.sweep import Swept, sweep
from fairque.protocol.calls.users import Configured, explain, read_configured, read_user, read_users

__all__ = [
    "ALL_USERS",
    "SETTING_NAMES",
    "Configured",
    "CostMode",
    "Due",
    "Ended",
    "Failed",
    "Finished",
    "Fired",
    "Firing",
    "Granted",
    "Leadership",
    "Move",
    "Outcome",
    "Popped",
    "Purged",
    "Pushed",
    "QueueStats",
    "Released",
    "Scheduled",
    "Setting",
    "SettingName",
    "Storing",
    "Swept",
    "TaskInfo",
    "beat",
    "cancel",
    "configure",
    "due",
    "enable",
    "explain",
    "fail",
    "finish",
    "fire",
    "lead",
    "limit",
    "move",
    "pop",
    "purge",
    "push",
    "read_configured",
    "read_schedule",
    "read_scheduler",
    "read_schedules",
    "read_some",
    "read_stats",
    "read_task",
    "read_user",
    "read_users",
    "release",
    "rouse",
    "schedule",
    "sweep",
    "unschedule",
    "watch",
]
