"""The settings of a service: what its own section is made of, and settings from options over a file, or from code."""

import os
import socket
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from attrs import evolve, fields_dict, frozen

from fairque.protocol.config import tell_settings
from fairque.protocol.config.nodes import suggestion
from fairque.protocol.errors import ConfigurationError
from fairque.protocol.model.ids import new_nonce

__all__ = ["Option", "given_settings", "own_name", "read_settings", "several"]

T = TypeVar("T")


@frozen
class Option:
    """An option of a command line that stands for one setting.

    Attributes:
        name: As it is written, with its dashes.
        section: The section of the setting.
        key: Its key there.
        value: What was given; None when nothing was.
    """

    name: str
    section: str
    key: str
    value: Any


def own_name() -> str:
    """Return a name for this process: its host, its number, and a random part."""
    return f"{socket.gethostname()[:32]}-{os.getpid()}-{new_nonce()[:6]}"


def several(value: Iterable[str]) -> tuple[str, ...]:
    """Return values as a tuple."""
    # A text is several letters; it is kept for the validator to refuse.
    return value if isinstance(value, str) or not isinstance(value, Iterable) else tuple(value)  # type: ignore[return-value]


def read_settings(
    path: str | os.PathLike[str] | None, cls: type[T], options: Iterable[Option]
) -> tuple[T, dict[str, str]]:
    """Read settings as `tell_settings` does, with options over them.

    Args:
        path: The file; None takes the environment alone.
        cls: The class of the settings, all of whose sections have defaults.
        options: The options; one whose value is None changes nothing.

    Returns:
        The settings, and by ``section.key`` what in the file or the environment set each, which options may have
        replaced.

    Raises:
        ConfigurationError: With all that is wrong with file, environment and options.
    """
    problems: list[str] = []
    settings: Any
    try:
        settings, origins = tell_settings(path, cls)
    except ConfigurationError as error:
        # The options are looked at all the same, so that all that is wrong is said at once.
        problems += error.problems
        settings, origins = cls(), {}
    for option in options:
        if option.value is None:
            continue
        section = getattr(settings, option.section)
        try:
            settings = evolve(settings, **{option.section: evolve(section, **{option.key: option.value})})
        except ValueError as error:
            problems.append(f"{option.name}: {str(error).removeprefix(f'{option.key}: ')}")
    if problems:
        raise ConfigurationError(problems)
    return settings, origins


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
    """
    kinds: Mapping[str, Any] = {name: one.type for name, one in fields_dict(cls).items()}  # type: ignore[arg-type]
    known = fields_dict(kinds[section])
    problems = [f"unknown option {name!r} {suggestion(name, known)}" for name in options if name not in known]
    own = {name: value for name, value in options.items() if name in known}
    sections: dict[str, Any] = {}
    for name, given in (("redis", {"url": url}), ("queue", {"name": queue}), (section, own)):
        try:
            sections[name] = kinds[name](**given)
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise ConfigurationError(problems)
    return cls(**sections)
