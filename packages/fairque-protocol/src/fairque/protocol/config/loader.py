"""Reads the settings of a process: a YAML file, with environment overrides on top, or the environment alone.

A file holds sections for several packages; a settings class names those it owns, and the other known ones are
left alone. ``FAIRQUE__SECTION__KEY`` sets one key and wins over the file.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import attrs

from fairque.protocol.config.nodes import Entry, Place, Problem, Scalar, Table, join
from fairque.protocol.config.structure import FAILED, Walk, suggestion
from fairque.protocol.errors import ConfigurationError

__all__ = ["SECTIONS", "load_settings", "settings_from_environ", "tell_settings"]

SECTIONS = ("redis", "queue", "client", "worker", "scheduler", "fairness", "schedules")
"""Every section that a configuration file may have."""

_PREFIX = "FAIRQUE__"

T = TypeVar("T")


def load_settings(path: str | os.PathLike[str], cls: type[T], *, environ: Mapping[str, str] | None = None) -> T:
    """Read a YAML file into an attrs class whose fields are named like the sections it owns.

    Args:
        path: The file. A missing or empty section takes its defaults.
        cls: An attrs class; each field is a section, typed with an attrs class or ``dict[str, AttrsClass]``.
        environ: Variables for ``${NAME}`` and ``FAIRQUE__SECTION__KEY``; those of the process by default.

    Raises:
        ConfigurationError: With every problem of the file and of the overrides, each with its place.
        TypeError: ``cls`` has a field of a type that settings cannot have.
    """
    settings: T = _settings(*_read(path), cls, os.environ if environ is None else environ)[0]
    return settings


def settings_from_environ(cls: type[T], environ: Mapping[str, str] | None = None) -> T:
    """Build settings from defaults and ``FAIRQUE__SECTION__KEY`` variables alone.

    Args:
        cls: As for `load_settings`.
        environ: The variables; those of the process by default.

    Raises:
        ConfigurationError: With every problem, each naming its variable.
        TypeError: ``cls`` has a field of a type that settings cannot have.
    """
    settings: T = _settings(*_read(None), cls, os.environ if environ is None else environ)[0]
    return settings


def tell_settings(
    path: str | os.PathLike[str] | None, cls: type[T], *, environ: Mapping[str, str] | None = None
) -> tuple[T, dict[str, str]]:
    """Read settings as `load_settings`, or without a file as `settings_from_environ`, and tell where each comes from.

    Returns:
        The settings, and by ``section.key`` the file and line or the variable that sets it. Of the others stand the
        defaults.

    Raises:
        ConfigurationError: As the others.
    """
    settings: T
    settings, sections = _settings(*_read(path), cls, os.environ if environ is None else environ)
    origins = {
        join(name, key): entry.place.label("")
        for name, section in sections.items()
        if isinstance(section.node, Table)
        for key, entry in section.node.entries.items()
    }
    return settings, origins


def _read(path: str | os.PathLike[str] | None) -> tuple[Table, list[Problem]]:
    if path is None:
        return Table(Place("environment")), []
    try:
        from fairque.protocol.config.document import read_document  # noqa: PLC0415 - PyYAML is an optional extra
    except ModuleNotFoundError as error:
        if error.name != "yaml":
            raise
        raise ConfigurationError(
            [f"{os.fspath(path)}: reading YAML needs PyYAML: pip install 'fairque-protocol[yaml]'"]
        ) from None
    return read_document(_read_text(path), os.fspath(path))


def _settings(
    document: Table, problems: list[Problem], cls: type[Any], environ: Mapping[str, str]
) -> tuple[Any, dict[str, Entry]]:
    owned = {one.name for one in attrs.fields(cls)}
    known = owned.union(SECTIONS)
    for name, entry in document.entries.items():
        if name not in known:
            problems.append(Problem(entry.place, join("", name), f"unknown section {suggestion(name, known)}"))
    sections = {name: entry for name, entry in document.entries.items() if name in owned}
    for section, key, entry in _overrides(environ, owned, problems):
        current = sections.get(section, Entry(document.place, Table(document.place)))
        sections[section] = _overridden(current, key, entry)
    settings = Walk(environ, problems).structure(Table(document.place, sections), cls, "")
    if problems or settings is FAILED:
        raise ConfigurationError([str(problem) for problem in sorted(problems)])
    return settings, sections


def _overrides(
    environ: Mapping[str, str], owned: set[str], problems: list[Problem]
) -> Iterator[tuple[str, str, Entry]]:
    known = owned.union(SECTIONS)
    for variable in sorted(environ):
        if not variable.startswith(_PREFIX):
            continue
        place = Place(f"environment {variable}", names_key=True)
        section, _, key = variable.removeprefix(_PREFIX).lower().partition("__")
        if section not in known:
            problems.append(Problem(place, "", f"unknown section {suggestion(section, known)}"))
        elif section not in owned:
            continue
        elif not key or "__" in key:
            text = f"must be named {_PREFIX}SECTION__KEY; what is nested deeper is set in the file only"
            problems.append(Problem(place, "", text))
        else:
            yield section, key, Entry(place, Scalar(place, environ[variable], "variable"))


def _overridden(section: Entry, key: str, entry: Entry) -> Entry:
    node = section.node
    if isinstance(node, Scalar) and node.is_blank:
        node = Table(node.place)
    if not isinstance(node, Table):
        # The walk reports a section that is not a mapping; there is no key in it to override.
        return section
    return Entry(section.place, Table(node.place, {**node.entries, key: entry}))


def _read_text(path: str | os.PathLike[str]) -> str:
    name = os.fspath(path)
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise ConfigurationError([f"{name}: no such file; relative paths start at {Path.cwd()}"]) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError([f"{name}: cannot be read: {reason}"]) from None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError([f"{name}:{line}: not UTF-8: save the file as UTF-8"]) from None
