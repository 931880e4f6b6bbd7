"""The settings of all that is installed, each with what it comes from, as they may be shown."""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from attrs import asdict, field, fields, frozen, has, make_class

from fairque.client.settings import ClientSection
from fairque.protocol.config import (
    FairnessSection,
    LogSection,
    QueueSection,
    RedisSection,
    is_secret,
    mask_addresses,
    mask_url,
)
from fairque.protocol.jsonvalue import dumps

__all__ = ["Line", "all_settings", "lines_of", "text_of"]


@frozen
class Line:
    """One setting, its value as it may be shown, and where that comes from."""

    key: str
    value: Any
    origin: str


def all_settings(*, schedules: bool = False) -> type[Any]:
    """Return a class of settings with the sections of all packages that are installed.

    Args:
        schedules: Also with the schedules that a file declares, which are not settings of a process.
    """
    sections: dict[str, type[Any]] = {"redis": RedisSection, "queue": QueueSection, "client": ClientSection}
    if find_spec("fairque.worker"):
        from fairque.worker.settings import WorkerSection  # noqa: PLC0415 - it need not be installed

        sections["worker"] = WorkerSection
    if find_spec("fairque.scheduler"):
        from fairque.scheduler.settings import SchedulerSection  # noqa: PLC0415 - it need not be installed

        sections["scheduler"] = SchedulerSection
    sections |= {"log": LogSection, "fairness": FairnessSection}
    attributes = {name: field(factory=kind, type=kind) for name, kind in sections.items()}
    if schedules and "scheduler" in sections:
        from fairque.scheduler.declared import DeclaredSchedule  # noqa: PLC0415 - it need not be installed

        attributes["schedules"] = field(factory=dict, type=dict[str, DeclaredSchedule])
    return make_class("AllSettings", attributes, frozen=True, kw_only=True)


def lines_of(settings: Any, origins: Mapping[str, str]) -> Iterator[Line]:
    """Return each setting; secrets are masked."""
    for section in fields(type(settings)):
        values = getattr(settings, section.name)
        for attribute in fields(type(values)):
            key = f"{section.name}.{attribute.name}"
            within = (origin for name, origin in origins.items() if name == key or name.startswith(f"{key}."))
            yield Line(key, _plain(_masked(key, getattr(values, attribute.name))), next(within, "default"))


def _masked(key: str, value: Any) -> Any:
    if isinstance(value, str):
        return mask_url(value) if is_secret(key) else mask_addresses(value)
    return tuple(map(mask_addresses, value)) if isinstance(value, tuple) else value


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; of limits, those that are set."""
    if has(type(value)):
        return {name: given for name, given in asdict(value).items() if given is not None}
    return {name: _plain(given) for name, given in value.items()} if isinstance(value, dict) else value


def text_of(value: Any) -> str:
    """Return a value for people."""
    if isinstance(value, dict):
        return dumps(value).decode()
    return "null" if value is None else ", ".join(value) if isinstance(value, tuple) else str(value)
