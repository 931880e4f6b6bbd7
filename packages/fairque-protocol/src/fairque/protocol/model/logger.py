"""The logger of a running task: the standard one, with what tells its lines apart from those of other tasks."""

import logging
from collections.abc import MutableMapping
from typing import Any

__all__ = ["TaskLogger"]

_LOGGER = logging.getLogger("fairque.task")


class TaskLogger(logging.LoggerAdapter[logging.Logger]):
    """Logs to ``fairque.task``; records have ``task_id``, ``user_id`` and ``attempt`` beside the caller's ``extra``."""

    def __init__(self, *, task_id: str, user_id: str, attempt: int) -> None:
        super().__init__(_LOGGER, {"task_id": task_id, "user_id": user_id, "attempt": attempt})

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add what the record carries. What the caller adds goes along, as that of the standard adapter would not."""
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **(self.extra or {})}
        return msg, kwargs
