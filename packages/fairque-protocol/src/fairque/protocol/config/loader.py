"""Reads the settings of a process: a YAML file, variables over it, and the options of a command over both.

A file holds sections for several packages; a settings class names those it owns, and the other known ones are
left alone. ``section.key`` of a file is ``FAIRQUE_SECTION_KEY`` in the environment and ``--set section.key=value`` on a
command line.
"""

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self, TypeVar, get_args

import attrs
from attrs import evolve, frozen

from fairque.protocol.config.nodes import Node, Place, Problem, join, suggestion
from fairque.protocol.errors import ConfigurationError

__all__ = ["CONFIG_VARIABLE", "SECTIONS", "Loadable", "Option", "load_settings", "trace_settings"]

SECTIONS: Final = ("redis", "queue", "client", "worker", "scheduler", "log", "fairness", "schedules")
"""Every section that a configuration file may have. None has an underscore, which ends the section in a variable."""

CONFIG_VARIABLE: Final = "FAIRQUE_CONFIG"
"""The variable that names the file."""

_PREFIX: Final = "FAIRQUE_"
#: Variables of commands and of tests, which are not settings.
_OTHER_VARIABLES: Final = re.compile(rf"{CONFIG_VARIABLE}|FAIRQUE_WORKER_PROCESSES|FAIRQUE_(ACL|TEST)(_.*)?")
#: What Kubernetes sets in every pod for a Service whose name begins with fairque.
_OF_A_SERVICE: Final = re.compile(
    r"FAIRQUE_(.*_)?(SERVICE_(HOST|PORT(_.*)?)=.*|PORT=(tcp|udp|sctp)://.*|PORT_[0-9]+_(TCP|UDP|SCTP)(_.*)?=.*)"
)

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
    value: str | None


class Loadable:
    """A class of settings that can be read by its name: ``WorkerSettings.load("fairque.yaml")``."""

    __slots__ = ()

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None) -> Self:
        """Read the settings of this process: the file, and ``FAIRQUE_SECTION_KEY`` variables over it.

        Args:
            path: The file; None takes the one that ``FAIRQUE_CONFIG`` names, or none at all.

        Raises:
            ConfigurationError: With every problem of the file and of the variables, each with its place.
        """
        return load_settings(path, cls)


def load_settings(
    path: str | os.PathLike[str] | None,
    cls: type[T],
    *,
    environ: Mapping[str, str] | None = None,
    options: Iterable[Option] = (),
) -> T:
    """Read settings into an attrs class whose fields are named like the sections it owns.

    Args:
        path: The file. A missing or empty section takes its defaults. None takes the file that ``FAIRQUE_CONFIG``
            names; without one, all comes from variables, options and defaults.
        cls: An attrs class; each field is a section, typed with an attrs class or ``dict[str, AttrsClass]``.
        environ: Variables for ``${NAME}`` and ``FAIRQUE_SECTION_KEY``; those of the process by default.
        options: Options of a command, which win over variables; one whose value is None changes nothing.

    Raises:
        ConfigurationError: With every problem of file, variables and options, each with its place.
        TypeError: ``cls`` has a field of a type that settings cannot have.
    """
    return trace_settings(path, cls, environ=environ, options=options)[0]


def trace_settings(
    path: str | os.PathLike[str] | None,
    cls: type[T],
    *,
    environ: Mapping[str, str] | None = None,
    options: Iterable[Option] = (),
) -> tuple[T, dict[str, str]]:
    """Read settings as `load_settings` does, and trace where each comes from.

    Returns:
        The settings, and by ``section.key``, and by the paths below it, the file and line, the variable or the option
        that sets it. The others are defaults.

    Raises:
        ConfigurationError: As `load_settings`.
    """
    from fairque.protocol.config.structure import Refused, structure  # noqa: PLC0415 - cattrs costs 40 ms to import

    environ = os.environ if environ is None else environ
    document, problems = _read(path or environ.get(CONFIG_VARIABLE) or None, environ)
    owned = {one.name: one.type for one in attrs.fields(cls)}  # type: ignore[arg-type]  # any attrs class
    sections = _sections(document, owned, problems)
    for section, override in (*_variables(environ, owned, problems), *_given(options, owned, problems)):
        found = sections.get(section, Node(document.place, section, {}))
        value = {} if found.is_blank else found.value
        # A section that is not a mapping is refused later; there is no key in it to override.
        if isinstance(value, dict):
            key = override.path.removeprefix(f"{section}.")
            sections[section] = evolve(found, value={**value, key: override})
    try:
        settings = structure(evolve(document, value=sections), cls)
    except Refused as error:
        problems += error.problems
    if problems:
        raise ConfigurationError([str(problem) for problem in sorted(problems)])
    return settings, dict(_origins(sections.values()))


def _origins(nodes: Iterable[Node]) -> Iterator[tuple[str, str]]:
    """Yield what has set each key below some nodes."""
    for node in nodes:
        for entry in node.value.values() if isinstance(node.value, dict) else ():
            if entry.key:
                yield entry.path, entry.key.label("")
            yield from _origins([entry])


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


def _sections(document: Node, owned: Iterable[str], problems: list[Problem]) -> dict[str, Node]:
    """Return the sections of the file that are read, and report those that nobody reads."""
    known = {*owned, *SECTIONS}
    sections: dict[str, Node] = {}
    for name, node in document.value.items() if isinstance(document.value, dict) else ():
        if name in owned:
            sections[name] = node
        elif name not in known:
            problems.append(Problem(node.key or node.place, node.path, f"unknown section {suggestion(name, known)}"))
    return sections


def _variables(
    environ: Mapping[str, str], owned: Mapping[str, Any], problems: list[Problem]
) -> Iterator[tuple[str, Node]]:
    """Return what variables set in the sections that are read, and report those that fit nothing."""
    known = {
        f"{_PREFIX}{section}_{key}".upper(): (section, key)
        for section, kinds in owned.items()
        for kind in get_args(kinds) or [kinds]  # a section may be X | None
        if attrs.has(kind)
        for key in attrs.fields_dict(kind)
    }
    for variable in sorted(name for name in environ if name.startswith(_PREFIX)):
        place = Place(f"environment {variable}", names_key=True)
        section, separator, _ = variable.removeprefix(_PREFIX).lower().partition("_")
        if _OTHER_VARIABLES.fullmatch(variable) or _OF_A_SERVICE.fullmatch(f"{variable}={environ[variable]}"):
            continue
        if variable in known:
            section, key = known[variable]
            yield section, Node(place, join(section, key), environ[variable], "variable", place)
        elif not separator or section not in SECTIONS or section in owned:
            problems.append(Problem(place, "", f"is not a setting {_meant(variable, known)}"))


def _meant(variable: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(variable.removeprefix(_PREFIX), [name.removeprefix(_PREFIX) for name in known])
    return f"(did you mean {_PREFIX}{close[0]}?)" if close else f"(they are named {_PREFIX}SECTION_KEY)"


def _given(options: Iterable[Option], owned: Iterable[str], problems: list[Problem]) -> Iterator[tuple[str, Node]]:
    known = {*owned, *SECTIONS}
    for option in options:
        place = Place(option.name, names_key=True)
        if option.section not in known:
            problems.append(Problem(place, "", f"unknown section {suggestion(option.section, known)}"))
        elif option.value is not None and option.section in owned:
            yield option.section, Node(place, join(option.section, option.key), option.value, "variable", place)


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
