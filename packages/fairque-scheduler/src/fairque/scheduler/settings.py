"""The settings of a scheduler: its section, and those of the server and the queue."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, TypedDict

from attrs import Attribute, field, frozen
from attrs.validators import optional

from fairque.protocol.config import FairnessSection, Loadable, LogSection, QueueSection, RedisSection, Seconds, seconds
from fairque.protocol.config.validators import between, matches
from fairque.protocol.safe_repr import safe_repr
from fairque.protocol.service.settings import given_settings, own_name, several

__all__ = ["SchedulerOptions", "SchedulerSection", "SchedulerSettings", "names_of_modules", "settings_from_url"]


def names_of_modules(_: object, attribute: "Attribute[Any]", value: object) -> None:
    """Refuse a value that is not a tuple of names."""
    if not isinstance(value, tuple) or not all(isinstance(name, str) and name for name in value):
        raise ValueError(f"{attribute.name}: must be a list of names of modules, found {safe_repr(value)}")


@frozen(kw_only=True)
class SchedulerSection:
    """The section ``scheduler:`` of the configuration.

    Attributes:
        name: Name of this scheduler in the lock and in logs; by default host, process and a random part. Several may
            have the same name, and one of them leads.
        lease: Seconds without a sign of life of the leader until another one takes over. The leader renews its lease
            three times as often.
        modules: Python modules with task functions. If there are any, they are imported, and a schedule for a
            function that is not in them is refused.
        http_host: The address on which it serves ``/livez``, ``/readyz`` and ``/metrics``.
        http_port: The port for them; None serves nothing, 0 takes a free port.
        stop_timeout: Seconds that a call to the server may still take after the signal to stop.

    Raises:
        ValueError: A value is out of its range; the message names the field.
    """

    name: str = field(
        factory=own_name,
        validator=matches(r"[^\x00-\x1f\x7f]{1,100}", "1 to 100 characters without control characters"),
    )
    lease: Seconds = field(default=10.0, converter=seconds, validator=between(0.1, 3_600))
    modules: tuple[str, ...] = field(default=(), converter=several, validator=names_of_modules)
    http_host: str = field(default="127.0.0.1", validator=matches(r"\S+", "the address of a network interface"))
    http_port: int | None = field(default=None, validator=optional(between(0, 65_535)))
    stop_timeout: Seconds = field(default=10.0, converter=seconds, validator=between(0, 86_400))


class SchedulerOptions(TypedDict, total=False):
    """The keyword arguments of `TaskScheduler.from_url`: the fields of `SchedulerSection`."""

    name: str
    lease: float | timedelta
    modules: Iterable[str]
    http_host: str
    http_port: int | None
    stop_timeout: float | timedelta


@frozen(kw_only=True)
class SchedulerSettings(Loadable):
    """All settings of a scheduler.

    Attributes:
        redis: The server.
        queue: The queue.
        scheduler: The section of the scheduler.
        log: What the command writes to standard error.
        fairness: Limits of users, which it applies to a queue that has none, or after the server has lost data.
    """

    redis: RedisSection = field(factory=RedisSection)
    queue: QueueSection = field(factory=QueueSection)
    scheduler: SchedulerSection = field(factory=SchedulerSection)
    log: LogSection = field(factory=LogSection)
    fairness: FairnessSection = field(factory=FairnessSection)


def settings_from_url(url: str, queue: str, options: Mapping[str, Any]) -> SchedulerSettings:
    """Return settings with these values and options, which are fields of `SchedulerSection`, and defaults otherwise.

    Raises:
        ConfigurationError: Some are invalid; the message names all of them.
        TypeError: There is no such option.
    """
    return given_settings(SchedulerSettings, url, queue, "scheduler", options)
