"""The settings in effect of all installed packages, each with its origin and with secrets masked."""

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

__all__ = ["SettingLine", "all_settings", "lines_of", "text_of"]


@frozen
class SettingLine:
    """A setting, its value with secrets masked, and the origin of the value."""

    key: str
    value: Any
    origin: str


def all_settings(*, schedules: bool = False) -> type[Any]:
    """Return a class of settings with the sections of all installed packages.

    Args:
        schedules: Whether to include declared schedules, which are not settings of a process.
    """
    sections: dict[str, type[Any]] = {"redis": RedisSection, "queue": QueueSection, "client": ClientSection}
    if find_spec("fairque.worker"):
        from fairque.worker.settings import WorkerSection  # noqa: PLC0415 - may not be installed

        sections["worker"] = WorkerSection
    if find_spec("fairque.scheduler"):
        from fairque.scheduler.settings import SchedulerSection  # noqa: PLC0415 - may not be installed

        sections["scheduler"] = SchedulerSection
    sections |= {"log": LogSection, "fairness": FairnessSection}
    attributes = {name: field(factory=kind, type=kind) for name, kind in sections.items()}
    if schedules and "scheduler" in sections:
        from fairque.scheduler.declared import DeclaredSchedule  # noqa: PLC0415 - may not be installed

        attributes["schedules"] = field(factory=dict, type=dict[str, DeclaredSchedule])
    return make_class("AllSettings", attributes, frozen=True, kw_only=True)


def lines_of(settings: Any, origins: Mapping[str, str]) -> Iterator[SettingLine]:
    """Yield all settings with secrets masked."""
    for section in fields(type(settings)):
        values = getattr(settings, section.name)
        for attribute in fields(type(values)):
            key = f"{section.name}.{attribute.name}"
            own = (origin for name, origin in origins.items() if name == key or name.startswith(f"{key}."))
            yield SettingLine(key, _plain(_masked(key, getattr(values, attribute.name))), next(own, "default"))


def _masked(key: str, value: Any) -> Any:
    if isinstance(value, str):
        return mask_url(value) if is_secret(key) else mask_addresses(value)
    return tuple(map(mask_addresses, value)) if isinstance(value, tuple) else value


def _plain(value: Any) -> Any:
    """Convert a value to JSON values; limits that are not set are omitted."""
    if has(type(value)):
        return {name: item for name, item in asdict(value).items() if item is not None}
    return {name: _plain(item) for name, item in value.items()} if isinstance(value, dict) else value


def text_of(value: Any) -> str:
    """Format a value for humans."""
    if isinstance(value, dict):
        return dumps(value).decode()
    return "null" if value is None else ", ".join(value) if isinstance(value, tuple) else str(value)
