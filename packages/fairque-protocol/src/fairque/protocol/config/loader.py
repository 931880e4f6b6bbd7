"""Reads the settings of a process: a YAML file, with environment overrides on top, or the environment alone.

A file holds sections for several packages; a settings class names those it owns, and the other known ones are
left alone. ``FAIRQUE__SECTION__KEY`` sets one key and wins over the file.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import attrs
from attrs import evolve

from fairque.protocol.config.nodes import Node, Place, Problem, join, suggestion
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
    return tell_settings(path, cls, environ=environ)[0]


def settings_from_environ(cls: type[T], environ: Mapping[str, str] | None = None) -> T:
    """Build settings from defaults and ``FAIRQUE__SECTION__KEY`` variables alone.

    Args:
        cls: As for `load_settings`.
        environ: The variables; those of the process by default.

    Raises:
        ConfigurationError: With every problem, each naming its variable.
        TypeError: ``cls`` has a field of a type that settings cannot have.
    """
    return tell_settings(None, cls, environ=environ)[0]


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
    from fairque.protocol.config.structure import Refused, structure  # noqa: PLC0415 - cattrs costs 40 ms to import

    environ = os.environ if environ is None else environ
    document, problems = _read(path, environ)
    owned = {one.name for one in attrs.fields(cls)}  # type: ignore[arg-type]  # any attrs class
    sections = _sections(document, owned, environ, problems)
    try:
        settings = structure(evolve(document, value=sections), cls)
    except Refused as error:
        problems += error.problems
    if problems:
        raise ConfigurationError([str(problem) for problem in sorted(problems)])
    origins = {
        join(name, key): entry.key.label("")
        for name, section in sections.items()
        if isinstance(section.value, dict)
        for key, entry in section.value.items()
        if entry.key
    }
    return settings, origins


def _read(path: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> tuple[Node, list[Problem]]:
    if path is None:
        return Node(Place("environment"), "", {}), []
    try:
        from fairque.protocol.config.document import read_document  # noqa: PLC0415 - PyYAML is an optional extra
    except ModuleNotFoundError as error:
        if error.name != "yaml":
            raise
        raise ConfigurationError(
            [f"{os.fspath(path)}: reading YAML needs PyYAML: pip install 'fairque-protocol[yaml]'"]
        ) from None
    return read_document(_read_text(path), os.fspath(path), environ)


def _sections(document: Node, owned: set[str], environ: Mapping[str, str], problems: list[Problem]) -> dict[str, Node]:
    """Return the sections with the overrides in them."""
    known = owned.union(SECTIONS)
    sections: dict[str, Node] = {}
    for name, node in document.value.items() if isinstance(document.value, dict) else ():
        if name in owned:
            sections[name] = node
        elif name not in known:
            problems.append(Problem(node.key or node.place, node.path, f"unknown section {suggestion(name, known)}"))
    for variable in sorted(name for name in environ if name.startswith(_PREFIX)):
        place = Place(f"environment {variable}", names_key=True)
        name, _, key = variable.removeprefix(_PREFIX).lower().partition("__")
        if name not in known:
            problems.append(Problem(place, "", f"unknown section {suggestion(name, known)}"))
        elif name in owned and (not key or "__" in key):
            text = f"must be named {_PREFIX}SECTION__KEY; what is nested deeper is set in the file only"
            problems.append(Problem(place, "", text))
        elif name in owned:
            section = sections.get(name, Node(document.place, name, {}))
            if section.is_blank:
                section = evolve(section, value={})
            # A section that is not a mapping is refused later; there is no key in it to override.
            if isinstance(section.value, dict):
                override = Node(place, join(name, key), environ[variable], "variable", place)
                sections[name] = evolve(section, value={**section.value, key: override})
    return sections


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
