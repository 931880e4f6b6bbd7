"""Reads the declared limits and schedules of a file for ``fairque apply``."""

from importlib.util import find_spec
from typing import Any

from attrs import field, frozen

from fairque.protocol.config import FairnessSection, QueueSection, RedisSection
from fairque.protocol.errors import ConfigurationError
from fairque.protocol.service.options import Given

__all__ = ["read_declared"]


@frozen(kw_only=True)
class _WithoutScheduler:
    """The declarations of a file if the scheduler, which defines the section ``schedules``, is not installed."""

    redis: RedisSection = field(factory=RedisSection)
    queue: QueueSection = field(factory=QueueSection)
    fairness: FairnessSection | None = None
    schedules: dict[str, Any] | None = None


def read_declared(given: Given, file: Any) -> Any:
    """Return the settings of a file, after importing the functions of its schedules.

    Raises:
        ConfigurationError: With all problems of the file, or because it declares nothing.
        CannotImport: A module of the section ``scheduler`` cannot be imported.
    """
    if find_spec("fairque.scheduler") is None:
        settings: Any = given.load(_WithoutScheduler, file)
        if settings.schedules:
            raise ConfigurationError([f"{file}: to apply its schedules, install fairque-console[schedules]"])
    else:
        from fairque.scheduler.declared import FileSettings, import_functions  # noqa: PLC0415 - may not be installed

        settings, origins = given.trace(FileSettings, file)
        import_functions(settings, origins)
    if settings.fairness is None and settings.schedules is None:
        raise ConfigurationError([f"{file}: has neither a section fairness nor schedules: there is nothing to apply"])
    return settings
