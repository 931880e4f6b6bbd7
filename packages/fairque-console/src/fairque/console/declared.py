"""The settings that a file declares and ``fairque apply`` applies."""

from importlib.util import find_spec
from typing import Any

from attrs import field, frozen

from fairque.protocol.config import FairnessSection, QueueSection, RedisSection
from fairque.protocol.errors import ConfigurationError
from fairque.protocol.service.options import Given

__all__ = ["read_declared"]


@frozen(kw_only=True)
class _WithoutScheduler:
    """What a file declares where no scheduler is installed, which knows what a schedule is."""

    redis: RedisSection = field(factory=RedisSection)
    queue: QueueSection = field(factory=QueueSection)
    fairness: FairnessSection | None = None
    schedules: dict[str, Any] | None = None


def read_declared(given: Given, file: Any) -> Any:
    """Return what a file declares, with the functions of its schedules imported and known.

    Raises:
        ConfigurationError: With all that is wrong with the file, or it declares nothing.
        CannotImport: A module of its scheduler cannot be imported.
    """
    if find_spec("fairque.scheduler") is None:
        settings: Any = given.load(_WithoutScheduler, file)
        if settings.schedules:
            raise ConfigurationError([f"{file}: its schedules need the package fairque-console[schedules]"])
    else:
        from fairque.scheduler.declared import FileSettings, import_functions  # noqa: PLC0415 - it need not be installed

        settings, origins = given.trace(FileSettings, file)
        import_functions(settings, origins)
    if settings.fairness is None and settings.schedules is None:
        raise ConfigurationError([f"{file}: has no section fairness or schedules: there is nothing to apply"])
    return settings
