"""The settings of a scheduler: its own section, beside those of the server and the queue."""

from collections.abc import Mapping
from typing import Any

from attrs import Attribute, field, frozen
from attrs.validators import optional

from fairque.protocol.config import FairnessSettings, QueueSettings, RedisSettings
from fairque.protocol.config.validators import between, matches
from fairque.protocol.service.settings import given_settings, own_name, several
from fairque.protocol.showing import shown

__all__ = ["SchedulerOptions", "SchedulerSettings", "names_of_modules", "settings_from_url"]


def names_of_modules(_: object, attribute: "Attribute[Any]", value: object) -> None:
    """Refuse what is not a tuple of names."""
    if not isinstance(value, tuple) or not all(isinstance(name, str) and name for name in value):
        raise ValueError(f"{attribute.name}: must be a list of names of modules, found {shown(value)}")


@frozen(kw_only=True)
class SchedulerOptions:
    """The section ``scheduler:`` of the configuration.

    Attributes:
        name: Names this scheduler in the lock and in logs; by default host, process and a random part. Several may
            have the same, and one of them leads.
        lease_seconds: After how many seconds without a sign of life of the leader another one takes over. It renews
            its lease three times as often.
        modules: Python modules with task functions. If there are any, they are imported, and a schedule for a
            function that is not in them is refused.
        http_host: Where it answers ``/livez``, ``/readyz`` and ``/metrics``.
        http_port: And on which port; None does not, 0 takes a free one.
        grace_seconds: How long a call to the server may yet take after the signal to stop.

    Raises:
        ValueError: A value is out of its range; the message names the field.
    """

    name: str = field(
        factory=own_name,
        validator=matches(r"[^\x00-\x1f\x7f]{1,100}", "1 to 100 characters without control characters"),
    )
    lease_seconds: float = field(default=10.0, validator=between(0.1, 3_600))
    modules: tuple[str, ...] = field(default=(), converter=several, validator=names_of_modules)
    http_host: str = field(default="127.0.0.1", validator=matches(r"\S+", "the address of a network interface"))
    http_port: int | None = field(default=None, validator=optional(between(0, 65_535)))
    grace_seconds: float = field(default=10.0, validator=between(0, 86_400))


@frozen(kw_only=True)
class SchedulerSettings:
    """All that a scheduler needs to know.

    Attributes:
        redis: The server.
        queue: The queue.
        scheduler: The scheduler's own section.
        fairness: Limits of users, which it applies to a queue that has none, or when the server has lost data.
    """

    redis: RedisSettings = field(factory=RedisSettings)
    queue: QueueSettings = field(factory=QueueSettings)
    scheduler: SchedulerOptions = field(factory=SchedulerOptions)
    fairness: FairnessSettings = field(factory=FairnessSettings)


def settings_from_url(url: str, queue: str, options: Mapping[str, Any]) -> SchedulerSettings:
    """Return settings with these values, the options being fields of `SchedulerOptions`, and defaults for all others.

    Raises:
        ConfigurationError: With all of them that cannot be used.
    """
    return given_settings(SchedulerSettings, url, queue, "scheduler", options)
