"""The settings of a producer: the server, the queue and the default user."""

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
        default_user_id: User of tasks without a user; if None, pushing such a task is an error.

    Raises:
        ValueError: The user id is empty, too long, or has control characters.
    """

    default_user_id: str | None = field(default=None, validator=_user_or_none)


@frozen(kw_only=True)
class ClientSettings(Loadable):
    """The settings of a `TaskQueue`.

    Attributes:
        redis: The server.
        queue: The queue and its limits; use the same for its workers.
        client: Settings of producers only.
    """

    redis: RedisSection = field(factory=RedisSection)
    queue: QueueSection = field(factory=QueueSection)
    client: ClientSection = field(factory=ClientSection)


def settings_from_url(url: str, *, queue: str, default_user_id: str | None) -> ClientSettings:
    """Return settings with these values, and the defaults for all others.

    Raises:
        ConfigurationError: A value is invalid.
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
    """Return the settings of a file, overridden by these values unless they are None.

    Raises:
        ConfigurationError: With all problems of the file, or with the invalid value.
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
