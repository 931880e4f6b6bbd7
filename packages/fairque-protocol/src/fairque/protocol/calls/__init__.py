"""Builders of all calls, one for each verb: pure functions from arguments to a `Call`."""

from fairque.protocol.calls.beat import beat
from fairque.protocol.calls.cancel import cancel
from fairque.protocol.calls.endings import Ended, Failed, Finished, Released, fail, finish, release
from fairque.protocol.calls.pop import Granted, Popped, pop
from fairque.protocol.calls.push import Pushed, push
from fairque.protocol.calls.read import Outcome, QueueStats, TaskInfo, read_stats, read_task, watch
from fairque.protocol.calls.rouse import rouse
from fairque.protocol.calls.sweep import Swept, sweep

__all__ = [
    "Ended",
    "Failed",
    "Finished",
    "Granted",
    "Outcome",
    "Popped",
    "Pushed",
    "QueueStats",
    "Released",
    "Swept",
    "TaskInfo",
    "beat",
    "cancel",
    "fail",
    "finish",
    "pop",
    "push",
    "read_stats",
    "read_task",
    "release",
    "rouse",
    "sweep",
    "watch",
]
