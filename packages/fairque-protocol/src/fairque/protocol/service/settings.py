"""Shared by the settings of both services, and settings from a program's arguments."""

import os
import socket
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from attrs import evolve, fields_dict

from fairque.protocol.config.loader import load_settings
from fairque.protocol.errors import ConfigurationError
from fairque.protocol.model.ids import new_nonce
from fairque.protocol.suggestion import suggestion

__all__ = ["filed_settings", "given_settings", "own_name", "several"]

T = TypeVar("T")


def own_name() -> str:
    """Return a name for this process: its host, its number, and a random part."""
    return f"{socket.gethostname()[:32]}-{os.getpid()}-{new_nonce()[:6]}"


def several(value: Iterable[str]) -> tuple[str, ...]:
    """Return values as a tuple."""
    # A text is an iterable of letters; it is kept, so that the validator refuses it.
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
    _check_names(options, kinds[section])
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


def filed_settings(
    cls: type[T], path: str | os.PathLike[str], queue: str | None, section: str, options: Mapping[str, Any]
) -> T:
    """Return the settings of a file, with the values that a program gives over them.

    Args:
        cls: The class of the settings.
        path: The file; ``FAIRQUE_SECTION_KEY`` in the environment wins over it.
        queue: Name of the queue; None takes that of the file.
        section: The service's own section.
        options: Values for fields of that section.

    Raises:
        ConfigurationError: With every problem of the file, each with its place; or with every option that is refused.
        TypeError: There is no such option.
    """
    _check_names(options, fields_dict(cls)[section].type)  # type: ignore[arg-type]
    settings: Any = load_settings(path, cls)
    problems = []
    for name, given in (("queue", {} if queue is None else {"name": queue}), (section, options)):
        try:
            settings = evolve(settings, **{name: evolve(getattr(settings, name), **given)})
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise ConfigurationError(problems)
    found: T = settings
    return found


def _check_names(options: Mapping[str, Any], section: Any) -> None:
    known = fields_dict(section)
    if unknown := [f"{name!r} {suggestion(name, known)}" for name in options if name not in known]:
        raise TypeError(f"there is no option {', nor '.join(unknown)}")
