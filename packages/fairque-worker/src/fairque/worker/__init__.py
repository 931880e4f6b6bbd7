"""Run the tasks of a fairque queue, fairly between users."""

from fairque.protocol.errors import FairqueError, LeaseLost, RemoteError, TaskTimeout, TooManyAbandoned
from fairque.protocol.model.context import TaskContext, current_context
from fairque.protocol.model.retry import Backoff, Cancel, Retry, Snooze
from fairque.protocol.model.stopping import StopReason
from fairque.protocol.model.task import Task
from fairque.worker._version import __version__
from fairque.worker.consumer import Consumer
from fairque.worker.handling.handler import FunctionTaskHandler, TaskHandler
from fairque.worker.processes.process import ChildDied
from fairque.worker.settings import WorkerSection, WorkerSettings
from fairque.worker.worker import Worker

__all__ = [
    "Backoff",
    "Cancel",
    "ChildDied",
    "Consumer",
    "FairqueError",
    "FunctionTaskHandler",
    "LeaseLost",
    "RemoteError",
    "Retry",
    "Snooze",
    "StopReason",
    "Task",
    "TaskContext",
    "TaskHandler",
    "TaskTimeout",
    "TooManyAbandoned",
    "Worker",
    "WorkerSection",
    "WorkerSettings",
    "__version__",
    "current_context",
]
