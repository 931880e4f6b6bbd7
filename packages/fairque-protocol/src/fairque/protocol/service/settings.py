"""What the settings of both services have in common, and settings that a program gives."""

import os
import socket
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from attrs import fields_dict

from fairque.protocol.config.nodes import suggestion
from fairque.protocol.errors import ConfigurationError
from fairque.protocol.model.ids import new_nonce

__all__ = ["given_settings", "own_name", "several"]

T = TypeVar("T")


def own_name() -> str:
    """Return a name for this process: its host, its number, and a random part."""
    return f"{socket.gethostname()[:32]}-{os.getpid()}-{new_nonce()[:6]}"


def several(value: Iterable[str]) -> tuple[str, ...]:
    """Return values as a tuple."""
    # A text is several letters; it is kept for the validator to refuse.
    return value if isinstance(value, str) or not isinstance(value, Iterable) else tuple(value)  # type: ignore[return-value]


def given_settings(cls: type[T], url: str, queue: str, section: str, options: Mapping[str, Any]) -> T:
    """Return settings with the values that a program gives, and defaults for all others.

    Args:
        cls: The class of the settings.
        url: Address of the server.
        queue: Name of the queue.
        section: The service's own section.
        options: Values for fields of that section.

    Raises:
        ConfigurationError: With all of them that cannot be used.
        TypeError: There is no such option.
    """
    kinds: Mapping[str, Any] = {name: one.type for name, one in fields_dict(cls).items()}  # type: ignore[arg-type]
    known = fields_dict(kinds[section])
    if unknown := [f"{name!r} {suggestion(name, known)}" for name in options if name not in known]:
        raise TypeError(f"there is no option {', nor '.join(unknown)}")
    problems = []
    sections: dict[str, Any] = {}
    for name, given in (("redis", {"url": url}), ("queue", {"name": queue}), (section, options)):
        try:
            sections[name] = kinds[name](**given)
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise ConfigurationError(problems)
    return cls(**sections)
