"""All calls in one place, for tests of what the scripts do."""

from fairque.protocol.calls.beat import beat
from fairque.protocol.calls.cancel import cancel
from fairque.protocol.calls.dead import MAX_DEAD, Redriven, delete, read_dead, redrive
from fairque.protocol.calls.endings import Ended, Failed, Finished, Released, fail, finish, release
from fairque.protocol.calls.fire import Fired, Firing, Leadership, Move, fire, lead, move
from fairque.protocol.calls.interrupt import interrupt
from fairque.protocol.calls.limits import (
    ALL_USERS,
    Purged,
    Setting,
    configure,
    limit,
    purge,
)
from fairque.protocol.calls.outputs import MAX_OUTPUTS, read_outputs
from fairque.protocol.calls.pop import Granted, Popped, pop
from fairque.protocol.calls.progress import Reported, parse_progress, progress, read_progress
from fairque.protocol.calls.push import Pushed, push
from fairque.protocol.calls.read import QueueStats, read_stats, read_task
from fairque.protocol.calls.reclaimed import Reclaimed
from fairque.protocol.calls.rights import rights
from fairque.protocol.calls.rouse import rouse
from fairque.protocol.calls.schedules import (
    Due,
    Overdue,
    Scheduled,
    ScheduleWrite,
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
from fairque.protocol.calls.verify import (
    Finding,
    verify_counts,
    verify_keys,
    verify_parents,
    verify_places,
    verify_running,
    verify_schedules,
    verify_settings,
    verify_tasks,
    verify_users,
)
from fairque.protocol.calls.watch import LISTENING_MS, MAX_WATCH_TASKS, Outcome, watch, watch_many

__all__ = [
    "ALL_USERS",
    "LISTENING_MS",
    "MAX_DEAD",
    "MAX_OUTPUTS",
    "MAX_WATCH_TASKS",
    "Configured",
    "Due",
    "Ended",
    "Failed",
    "Finding",
    "Finished",
    "Fired",
    "Firing",
    "Granted",
    "Leadership",
    "Move",
    "Outcome",
    "Overdue",
    "Popped",
    "Purged",
    "Pushed",
    "QueueStats",
    "Reclaimed",
    "Redriven",
    "Released",
    "Reported",
    "ScheduleWrite",
    "Scheduled",
    "Setting",
    "Swept",
    "beat",
    "cancel",
    "configure",
    "delete",
    "due",
    "enable",
    "explain",
    "fail",
    "finish",
    "fire",
    "interrupt",
    "lead",
    "limit",
    "move",
    "parse_progress",
    "pop",
    "progress",
    "purge",
    "push",
    "read_configured",
    "read_dead",
    "read_outputs",
    "read_progress",
    "read_schedule",
    "read_scheduler",
    "read_schedules",
    "read_some",
    "read_stats",
    "read_task",
    "read_user",
    "read_users",
    "redrive",
    "release",
    "rights",
    "rouse",
    "schedule",
    "sweep",
    "unschedule",
    "verify_counts",
    "verify_keys",
    "verify_parents",
    "verify_places",
    "verify_running",
    "verify_schedules",
    "verify_settings",
    "verify_tasks",
    "verify_users",
    "watch",
    "watch_many",
]
