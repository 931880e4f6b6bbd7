"""The settings of a producer: the server, the queue, and whose tasks they are when nobody says so."""

import os
from typing import TYPE_CHECKING, Any

from attrs import evolve, field, frozen

from fairque.protocol.config import Loadable, QueueSection, RedisSection
from fairque.protocol.errors import ConfigurationError
from fairque.protocol.model.ids import check_id

if TYPE_CHECKING:
    from attrs import Attribute

__all__ = ["ClientSection", "ClientSettings", "settings_from_config", "settings_from_url"]


def _user_or_none(_instance: object, attribute: "Attribute[Any]", value: object) -> None:
    if value is not None:
        check_id(value, attribute.name)


@frozen(kw_only=True)
class ClientSection:
    """The section ``client`` of a configuration.

    Attributes:
        default_user_id: User of the tasks that name none; None makes such a task an error.

    Raises:
        ValueError: The user id is empty, too long, or has control characters.
    """

    default_user_id: str | None = field(default=None, validator=_user_or_none)


@frozen(kw_only=True)
class ClientSettings(Loadable):
    """Everything that a `TaskQueue` needs to know.

    Attributes:
        redis: How to reach the server.
        queue: The queue and its limits, which its workers share.
        client: What concerns producers only.
    """

    redis: RedisSection = field(factory=RedisSection)
    queue: QueueSection = field(factory=QueueSection)
    client: ClientSection = field(factory=ClientSection)


def settings_from_url(url: str, *, queue: str, default_user_id: str | None) -> ClientSettings:
    """Return the settings with these values and defaults for all others.

    Raises:
        ConfigurationError: One of them cannot be used.
    """
    try:
        return ClientSettings(
            redis=RedisSection(url=url),
            queue=QueueSection(name=queue),
            client=ClientSection(default_user_id=default_user_id),
        )
    except ValueError as error:
        raise ConfigurationError([str(error)]) from None


def settings_from_config(
    path: str | os.PathLike[str], *, queue: str | None, default_user_id: str | None
) -> ClientSettings:
    """Return the settings of a file, with these values in the place of its own where they are given.

    Raises:
        ConfigurationError: With every problem of the file, or the value that cannot be used.
    """
    settings = ClientSettings.load(path)
    try:
        if queue is not None:
            settings = evolve(settings, queue=evolve(settings.queue, name=queue))
        if default_user_id is not None:
            settings = evolve(settings, client=evolve(settings.client, default_user_id=default_user_id))
    except ValueError as error:
        raise ConfigurationError([str(error)]) from None
    return settings
