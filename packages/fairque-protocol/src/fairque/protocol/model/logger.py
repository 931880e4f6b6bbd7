"""The logger of a running task, whose records identify the task."""

import logging
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

__all__ = ["RESERVED", "TaskLogger"]

#: Attributes that every log record has; all others come from ``extra``.
RESERVED: Final = frozenset({*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName"})

_LOGGER = logging.getLogger("fairque.task")


class TaskLogger(logging.LoggerAdapter[logging.Logger]):
    """Logs to ``fairque.task``; records have ``task_id``, ``user_id`` and ``attempt``, and the caller's ``extra``.

    A name in ``extra`` that log records use themselves, such as ``name``, gets a ``_`` appended.
    """

    def __init__(self, *, task_id: str, user_id: str, attempt: int) -> None:
        super().__init__(_LOGGER, {"task_id": task_id, "user_id": user_id, "attempt": attempt})

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the attributes of the task to a record, and keep the caller's ``extra``, unlike the standard adapter."""
        given = kwargs.get("extra") or {}
        # With invalid names or types, the standard logger would raise in the middle of the task.
        own = {"extra": given} if not isinstance(given, Mapping) else given
        free = {f"{name}_" if name in RESERVED else name: value for name, value in own.items()}
        kwargs["extra"] = {**free, **(self.extra or {})}
        return msg, kwargs
