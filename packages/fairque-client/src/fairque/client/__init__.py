"""fairque for producers: push tasks to a queue that is fair between users, and wait for their results."""

from fairque.client._version import __version__
from fairque.client.aio import AsyncTaskHandle, AsyncTaskQueue
from fairque.client.control import UNCHANGED
from fairque.client.functions import AsyncTaskFunction, TaskDefaults, TaskFunction, TaskOptions, task
from fairque.client.handle import TaskHandle
from fairque.client.outcomes import CancelResult
from fairque.client.queue import TaskQueue
from fairque.client.schedules import AsyncSchedules, Schedules
from fairque.client.settings import ClientOptions, ClientSettings
from fairque.client.users import AsyncUsers, Users
from fairque.protocol.calls import Configured, QueueStats, TaskInfo
from fairque.protocol.config import QueueSettings, RedisSettings
from fairque.protocol.errors import (
    BatchTooLarge,
    ConfigurationError,
    FairqueError,
    InvalidSchedule,
    InvalidTask,
    PartialPush,
    QueueFull,
    RedisUnavailable,
    ResultExpired,
    ScheduleNotFound,
    ServerUnsuitable,
    TaskCanceled,
    TaskConflict,
    TaskFailed,
    TaskNotFound,
    TaskTooLarge,
    UnknownParent,
    UserNotFound,
)
from fairque.protocol.fairness.simulation import (
    SimulatedUser,
    SimulationReport,
    UserReport,
    jain_index,
    simulate,
)
from fairque.protocol.model.dependencies import After
from fairque.protocol.model.retry import Cancel, Retry, RetryPolicy, Snooze
from fairque.protocol.model.schedules import Miss, Schedule, ScheduleInfo, SchedulePage, SchedulerStatus
from fairque.protocol.model.shares import SharesReport, UserPage, UserRow, UserShare, UsersSnapshot, compare
from fairque.protocol.model.standing import TaskStanding, UserStanding
from fairque.protocol.model.states import Priority, TaskState
from fairque.protocol.model.task import Task

# Grouped by what they are for, not sorted.
__all__ = [  # noqa: RUF022 - see above
    # The queue
    "TaskQueue",
    "AsyncTaskQueue",
    "TaskHandle",
    "AsyncTaskHandle",
    "CancelResult",
    "QueueStats",
    "TaskInfo",
    "TaskState",
    # Its users
    "Users",
    "AsyncUsers",
    "UNCHANGED",
    "UserStanding",
    "TaskStanding",
    "UserPage",
    "UserRow",
    "Configured",
    "UsersSnapshot",
    "compare",
    "SharesReport",
    "UserShare",
    # Its schedules
    "Schedules",
    "AsyncSchedules",
    "Schedule",
    "ScheduleInfo",
    "SchedulePage",
    "SchedulerStatus",
    "Miss",
    # Its scheduling, tried without a server
    "simulate",
    "SimulatedUser",
    "SimulationReport",
    "UserReport",
    "jain_index",
    # Tasks
    "task",
    "TaskFunction",
    "AsyncTaskFunction",
    "TaskDefaults",
    "TaskOptions",
    "Task",
    "After",
    "Priority",
    "RetryPolicy",
    # What a task raises to decide for itself
    "Retry",
    "Snooze",
    "Cancel",
    # Settings
    "ClientSettings",
    "ClientOptions",
    "QueueSettings",
    "RedisSettings",
    # Errors
    "FairqueError",
    "BatchTooLarge",
    "ConfigurationError",
    "InvalidSchedule",
    "InvalidTask",
    "PartialPush",
    "QueueFull",
    "RedisUnavailable",
    "ResultExpired",
    "ScheduleNotFound",
    "ServerUnsuitable",
    "TaskCanceled",
    "TaskConflict",
    "TaskFailed",
    "TaskNotFound",
    "TaskTooLarge",
    "UnknownParent",
    "UserNotFound",
    "__version__",
]
