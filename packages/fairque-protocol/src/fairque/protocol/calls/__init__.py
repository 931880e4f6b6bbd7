"""Builders of all calls, one for each verb: pure functions from arguments to a `Call`."""

from fairque.protocol.calls.beat import beat
from fairque.protocol.calls.cancel import cancel
from fairque.protocol.calls.endings import Ended, Failed, Finished, Released, fail, finish, release
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
from fairque.protocol.calls.sweep import Swept, sweep
from fairque.protocol.calls.users import Configured, explain, read_configured, read_user, read_users
from fairque.protocol.calls.verify import (
    Found,
    verify_counts,
    verify_keys,
    verify_places,
    verify_tasks,
    verify_users,
)

__all__ = [
    "ALL_USERS",
    "SETTING_NAMES",
    "Configured",
    "CostMode",
    "Ended",
    "Failed",
    "Finished",
    "Found",
    "Granted",
    "Outcome",
    "Popped",
    "Purged",
    "Pushed",
    "QueueStats",
    "Released",
    "Setting",
    "SettingName",
    "Swept",
    "TaskInfo",
    "beat",
    "cancel",
    "configure",
    "explain",
    "fail",
    "finish",
    "limit",
    "pop",
    "purge",
    "push",
    "read_configured",
    "read_stats",
    "read_task",
    "read_user",
    "read_users",
    "release",
    "rouse",
    "sweep",
    "verify_counts",
    "verify_keys",
    "verify_places",
    "verify_tasks",
    "verify_users",
    "watch",
]
