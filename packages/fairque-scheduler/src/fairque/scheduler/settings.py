"""The settings of a scheduler: its own section, beside those of the server and the queue."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, TypedDict

from attrs import Attribute, field, frozen
from attrs.validators import optional

from fairque.protocol.config import FairnessSection, Loadable, LogSection, QueueSection, RedisSection, Seconds, seconds
from fairque.protocol.config.validators import between, matches
from fairque.protocol.service.settings import given_settings, own_name, several
from fairque.protocol.showing import shown

__all__ = ["SchedulerOptions", "SchedulerSection", "SchedulerSettings", "names_of_modules", "settings_from_url"]


def names_of_modules(_: object, attribute: "Attribute[Any]", value: object) -> None:
    """Refuse what is not a tuple of names."""
    if not isinstance(value, tuple) or not all(isinstance(name, str) and name for name in value):
        raise ValueError(f"{attribute.name}: must be a list of names of modules, found {shown(value)}")


@frozen(kw_only=True)
class SchedulerSection:
    """The section ``scheduler:`` of the configuration.

    Attributes:
        name: Names this scheduler in the lock and in logs; by default host, process and a random part. Several may
            have the same, and one of them leads.
        lease: How long without a sign of life of the leader until another one takes over. It renews its lease three
            times as often.
        modules: Python modules with task functions. If there are any, they are imported, and a schedule for a
            function that is not in them is refused.
        http_host: Where it answers ``/livez``, ``/readyz`` and ``/metrics``.
        http_port: And on which port; None does not, 0 takes a free one.
        stop_timeout: How long a call to the server may yet take after the signal to stop.

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
    """What `TaskScheduler.from_url` takes by name: the keys of `SchedulerSection`."""

    name: str
    lease: float | timedelta
    modules: Iterable[str]
    http_host: str
    http_port: int | None
    stop_timeout: float | timedelta


@frozen(kw_only=True)
class SchedulerSettings(Loadable):
    """All that a scheduler needs to know.

    Attributes:
        redis: The server.
        queue: The queue.
        scheduler: The scheduler's own section.
        log: What the command writes to standard error.
        fairness: Limits of users, which it applies to a queue that has none, or when the server has lost data.
    """

    redis: RedisSection = field(factory=RedisSection)
    queue: QueueSection = field(factory=QueueSection)
    scheduler: SchedulerSection = field(factory=SchedulerSection)
    log: LogSection = field(factory=LogSection)
    fairness: FairnessSection = field(factory=FairnessSection)


def settings_from_url(url: str, queue: str, options: Mapping[str, Any]) -> SchedulerSettings:
    """Return settings with these values, the options being fields of `SchedulerSection`, and defaults for all others.

    Raises:
        ConfigurationError: With all of them that cannot be used.
        TypeError: There is no such option.
    """
    return given_settings(SchedulerSettings, url, queue, "scheduler", options)
