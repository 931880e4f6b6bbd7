"""Run the tasks of a fairque queue, fairly between users.

This imports what tasks and handlers need. The worker and its settings are imported at their first use, so that child
processes, which run tasks, start without them.
"""

from typing import TYPE_CHECKING

from fairque.protocol.errors import FairqueError, LeaseLost, RemoteError, TaskTimeout, TooManyAbandoned
from fairque.protocol.lazy import lazy_names
from fairque.protocol.model.context import TaskContext, current_context
from fairque.protocol.model.retry import Backoff, Cancel, Retry, Snooze
from fairque.protocol.model.stopping import StopReason
from fairque.protocol.model.task import Task
from fairque.worker._version import __version__
from fairque.worker.handling.handler import FunctionTaskHandler, TaskHandler

if TYPE_CHECKING:
    from fairque.worker.consumer import Consumer
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

#: The modules of the names that are imported at their first use.
_HOMES = {
    "ChildDied": "fairque.worker.processes.process",
    "Consumer": "fairque.worker.consumer",
    "Worker": "fairque.worker.worker",
    "WorkerSection": "fairque.worker.settings",
    "WorkerSettings": "fairque.worker.settings",
}


if not TYPE_CHECKING:  # to a type checker, a module with __getattr__ has every name
    __getattr__, __dir__ = lazy_names(__name__, _HOMES)
