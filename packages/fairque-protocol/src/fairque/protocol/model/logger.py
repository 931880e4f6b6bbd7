"""The logger of a running task: the standard one, with what tells its lines apart from those of other tasks."""

import logging
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

__all__ = ["RESERVED", "TaskLogger"]

#: What every record has; all else was given as ``extra``.
RESERVED: Final = frozenset({*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName"})

_LOGGER = logging.getLogger("fairque.task")


class TaskLogger(logging.LoggerAdapter[logging.Logger]):
    """Logs to ``fairque.task``; records have ``task_id``, ``user_id`` and ``attempt`` beside the caller's ``extra``.

    Where a record has an attribute of the same name, such as ``name``, that of the caller gets a ``_`` behind it.
    """

    def __init__(self, *, task_id: str, user_id: str, attempt: int) -> None:
        super().__init__(_LOGGER, {"task_id": task_id, "user_id": user_id, "attempt": attempt})

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add what the record carries. What the caller adds goes along, as that of the standard adapter would not."""
        given = kwargs.get("extra") or {}
        # The standard logger would raise, in the middle of the task.
        own = {"extra": given} if not isinstance(given, Mapping) else given
        free = {f"{name}_" if name in RESERVED else name: value for name, value in own.items()}
        kwargs["extra"] = {**free, **(self.extra or {})}
        return msg, kwargs
