"""fairque for producers: push tasks to a queue that is fair between users, and wait for their results.

This imports what a module with tasks needs, without redis-py. Queue objects, and what their methods take and return,
are imported at their first use.
"""

from typing import TYPE_CHECKING

from fairque.client._version import __version__
from fairque.client.functions import (
    AsyncContextTaskFunction,
    AsyncTaskFunction,
    ContextTaskFunction,
    TaskFunction,
    task,
)
from fairque.client.xcom import xcom_pull, xcom_push
from fairque.protocol.errors import (
    BatchTooLarge,
    ConfigurationError,
    Conflict,
    ErrorInfo,
    FairqueError,
    InvalidArgument,
    InvalidSchedule,
    InvalidTask,
    NotFound,
    OutputMissing,
    PartialPush,
    QueueFull,
    RedisUnavailable,
    ResultExpired,
    ScheduleConflict,
    ScheduleNotFound,
    SchemaMismatch,
    ServerError,
    ServerUnsuitable,
    TaskCanceled,
    TaskConflict,
    TaskEnded,
    TaskFailed,
    TaskNotFound,
    TaskTooLarge,
    UnknownDependency,
)
from fairque.protocol.lazy import lazy_names
from fairque.protocol.limits import CostMode
from fairque.protocol.model.context import TaskContext, current_context
from fairque.protocol.model.dependencies import After
from fairque.protocol.model.outputs import Output
from fairque.protocol.model.pipeline import Pipeline, pipeline
from fairque.protocol.model.progress import Progress
from fairque.protocol.model.retry import Backoff, Cancel, Retry, Snooze
from fairque.protocol.model.states import CancelResult, Priority, TaskState
from fairque.protocol.model.stopping import StopReason
from fairque.protocol.model.task import Task, TaskDefaults, TaskOptions
from fairque.protocol.reasons import CancelCause, DeadReason, WaitReason

if TYPE_CHECKING:
    from fairque.client._async.dead_letters import AsyncDeadLetters
    from fairque.client._async.handle import AsyncTaskHandle
    from fairque.client._async.pipelines import AsyncPipelineHandle
    from fairque.client._async.queue import AsyncTaskQueue
    from fairque.client._async.schedules import AsyncSchedules
    from fairque.client._async.tasks import AsyncTasks
    from fairque.client._async.users import AsyncUsers
    from fairque.client._sync.dead_letters import DeadLetters
    from fairque.client._sync.handle import TaskHandle
    from fairque.client._sync.pipelines import PipelineHandle
    from fairque.client._sync.queue import TaskQueue
    from fairque.client._sync.schedules import Schedules
    from fairque.client._sync.tasks import Tasks
    from fairque.client._sync.users import Users
    from fairque.client.arguments import UNCHANGED, Unchanged
    from fairque.client.filters import DeadLetterFilter, TaskFilter
    from fairque.client.settings import ClientSection, ClientSettings
    from fairque.protocol.config import QueueSection, RedisSection
    from fairque.protocol.model.dead_letters import DeadLetter
    from fairque.protocol.model.infos import Explanation, QueueInfo, TaskInfo
    from fairque.protocol.model.limits import Limits
    from fairque.protocol.model.page import Page
    from fairque.protocol.model.reports import BulkReport, RetryReport
    from fairque.protocol.model.schedule_infos import Miss, ScheduleInfo, SchedulerStatus
    from fairque.protocol.model.schedules import Schedule
    from fairque.protocol.model.users import SharesReport, UserInfo, UserRow, UserShare, UsersSnapshot

# Grouped by what they are for, not sorted.
__all__ = [  # noqa: RUF022 - see above
    # The queue
    "TaskQueue",
    "AsyncTaskQueue",
    "TaskHandle",
    "AsyncTaskHandle",
    "PipelineHandle",
    "AsyncPipelineHandle",
    "Progress",
    "CancelResult",
    "CancelCause",
    "Explanation",
    "WaitReason",
    "QueueInfo",
    "BulkReport",
    "RetryReport",
    "Page",
    "CostMode",
    "TaskInfo",
    "TaskState",
    # Its tasks, in bulk
    "Tasks",
    "AsyncTasks",
    "TaskFilter",
    # Its users
    "Users",
    "AsyncUsers",
    "UNCHANGED",
    "Unchanged",
    "UserInfo",
    "Limits",
    "UserRow",
    "UsersSnapshot",
    "SharesReport",
    "UserShare",
    # Its dead letters
    "DeadLetters",
    "AsyncDeadLetters",
    "DeadLetter",
    "DeadLetterFilter",
    "DeadReason",
    "ErrorInfo",
    # Its schedules
    "Schedules",
    "AsyncSchedules",
    "Schedule",
    "ScheduleInfo",
    "Miss",
    "SchedulerStatus",
    # Tasks
    "task",
    "TaskFunction",
    "AsyncTaskFunction",
    "ContextTaskFunction",
    "AsyncContextTaskFunction",
    "TaskDefaults",
    "TaskOptions",
    "Task",
    "After",
    "Pipeline",
    "pipeline",
    "Output",
    "Priority",
    "Backoff",
    # Inside a running task
    "TaskContext",
    "current_context",
    "xcom_push",
    "xcom_pull",
    # What a task raises to choose its ending
    "Retry",
    "Snooze",
    "StopReason",
    "Cancel",
    # Settings
    "ClientSettings",
    "ClientSection",
    "QueueSection",
    "RedisSection",
    # Errors
    "FairqueError",
    "InvalidArgument",
    "NotFound",
    "Conflict",
    "TaskEnded",
    "ServerError",
    "BatchTooLarge",
    "ConfigurationError",
    "InvalidSchedule",
    "InvalidTask",
    "OutputMissing",
    "PartialPush",
    "QueueFull",
    "RedisUnavailable",
    "ResultExpired",
    "ScheduleConflict",
    "ScheduleNotFound",
    "SchemaMismatch",
    "ServerUnsuitable",
    "TaskCanceled",
    "TaskConflict",
    "TaskFailed",
    "TaskNotFound",
    "TaskTooLarge",
    "UnknownDependency",
    "__version__",
]

#: The modules of the names that are imported at their first use.
_HOMES = {
    "AsyncDeadLetters": "fairque.client._async.dead_letters",
    "AsyncPipelineHandle": "fairque.client._async.pipelines",
    "AsyncSchedules": "fairque.client._async.schedules",
    "AsyncTaskHandle": "fairque.client._async.handle",
    "AsyncTaskQueue": "fairque.client._async.queue",
    "AsyncTasks": "fairque.client._async.tasks",
    "AsyncUsers": "fairque.client._async.users",
    "BulkReport": "fairque.protocol.model.reports",
    "ClientSection": "fairque.client.settings",
    "ClientSettings": "fairque.client.settings",
    "DeadLetter": "fairque.protocol.model.dead_letters",
    "DeadLetterFilter": "fairque.client.filters",
    "DeadLetters": "fairque.client._sync.dead_letters",
    "Explanation": "fairque.protocol.model.infos",
    "Limits": "fairque.protocol.model.limits",
    "Miss": "fairque.protocol.model.schedule_infos",
    "Page": "fairque.protocol.model.page",
    "PipelineHandle": "fairque.client._sync.pipelines",
    "QueueInfo": "fairque.protocol.model.infos",
    "QueueSection": "fairque.protocol.config",
    "RedisSection": "fairque.protocol.config",
    "RetryReport": "fairque.protocol.model.reports",
    "Schedule": "fairque.protocol.model.schedules",
    "ScheduleInfo": "fairque.protocol.model.schedule_infos",
    "SchedulerStatus": "fairque.protocol.model.schedule_infos",
    "Schedules": "fairque.client._sync.schedules",
    "SharesReport": "fairque.protocol.model.users",
    "TaskFilter": "fairque.client.filters",
    "TaskHandle": "fairque.client._sync.handle",
    "TaskInfo": "fairque.protocol.model.infos",
    "TaskQueue": "fairque.client._sync.queue",
    "Tasks": "fairque.client._sync.tasks",
    "UNCHANGED": "fairque.client.arguments",
    "Unchanged": "fairque.client.arguments",
    "UserInfo": "fairque.protocol.model.users",
    "UserRow": "fairque.protocol.model.users",
    "UserShare": "fairque.protocol.model.users",
    "Users": "fairque.client._sync.users",
    "UsersSnapshot": "fairque.protocol.model.users",
}


if not TYPE_CHECKING:  # to a type checker, a module with __getattr__ has every name
    __getattr__, __dir__ = lazy_names(__name__, _HOMES)
