"""Reads the settings of a process: a YAML file, variables over it, and the options of a command over both.

A file holds sections for several packages; a settings class names those it owns, and the other known ones are
ignored. ``section.key`` of a file is ``FAIRQUE_SECTION_KEY`` in the environment and ``--set section.key=value`` on a
command line.
"""

import difflib
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final, Self, TypeVar, get_args

import attrs
from attrs import evolve, frozen

from fairque.protocol.config.nodes import Node, Problem, join
from fairque.protocol.errors import ConfigurationError
from fairque.protocol.locks import import_lock
from fairque.protocol.suggestion import suggestion

__all__ = ["CONFIG_VARIABLE", "SECTIONS", "Loadable", "Option", "load_settings", "trace_settings"]

SECTIONS: Final = ("redis", "queue", "client", "worker", "scheduler", "log", "fairness", "schedules")
"""Every section that a configuration file may have. None has an underscore, which ends the section in a variable."""

CONFIG_VARIABLE: Final = "FAIRQUE_CONFIG"
"""The variable that names the file."""

_PREFIX: Final = "FAIRQUE_"
#: Variables of commands and of tests, and those that Kubernetes sets for a Service whose name begins with fairque.
_NOT_A_SETTING: Final = re.compile(
    r"FAIRQUE_(CONFIG|WORKER_PROCESSES|(ACL|TEST)(_[^=]*)?)="
    r"|FAIRQUE_([^=]*_)?(SERVICE_(HOST|PORT(_[^=]*)?)=|PORT=(tcp|udp|sctp)://|PORT_[0-9]+_(TCP|UDP|SCTP)(_[^=]*)?=)"
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
    with import_lock:
        from fairque.protocol.config.structure import converter  # noqa: PLC0415 - cattrs costs 40 ms to import

    environ = os.environ if environ is None else environ
    document, problems = _read(path or environ.get(CONFIG_VARIABLE), environ)
    fields = attrs.fields(cls)  # type: ignore[arg-type]  # any attrs class
    owned = {attribute.name: attribute.type for attribute in fields}
    known = {*owned, *SECTIONS}
    given = (
        Node(option.name, option.value, (option.section, option.key), style="given")
        for option in options
        if option.value is not None
    )
    overrides = [*_variables(environ, owned, problems), *given]
    problems += [
        node.problem(f"unknown section {suggestion(str(node.path[0]), known)}", at_key=True)
        for node in (*document.entries.values(), *overrides)
        if node.path[0] not in known
    ]
    # Naming each missing key of a section helps more than naming the section.
    required = {
        attribute.name: document.child(attribute.name) for attribute in fields if attribute.default is attrs.NOTHING
    }
    read = _overridden(evolve(document, value=required | document.entries), overrides, owned)
    try:
        settings = converter.structure(read, cls)
    except* Problem as group:
        problems += _leaves(group)
    if problems:
        raise ConfigurationError([str(problem) for problem in sorted(problems, key=lambda problem: problem.line)])
    return settings, {join(*node.path): node.origin for node in read.walk() if len(node.path) > 1}


def _overridden(document: Node, overrides: Iterable[Node], owned: Collection[str]) -> Node:
    """Return the sections that are read, in which the last override of a key wins."""
    sections = {name: section for name, section in document.entries.items() if name in owned}
    for override in overrides:
        name, key = map(str, override.path)
        section = sections.get(name) or document.child(name)
        # A section that is not a mapping is refused later; there is no key in it to override.
        if name in owned and section.is_mapping:
            sections[name] = evolve(section, value=section.entries | {key: override})
    return evolve(document, value=sections)


def _leaves(group: ExceptionGroup[Problem]) -> Iterator[Problem]:
    for error in group.exceptions:
        yield from _leaves(error) if isinstance(error, ExceptionGroup) else [error]


def _read(path: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> tuple[Node, list[Problem]]:
    if not path:
        return Node("environment"), []
    try:
        with import_lock:
            from fairque.protocol.config.document import read_document  # noqa: PLC0415 - PyYAML is an optional extra
    except ModuleNotFoundError as error:
        if error.name != "yaml":
            raise
        raise ConfigurationError(
            [f"{os.fspath(path)}: reading YAML needs PyYAML: pip install 'fairque-protocol[yaml]'"]
        ) from None
    return read_document(path, environ)


def _variables(environ: Mapping[str, str], owned: Mapping[str, Any], problems: list[Problem]) -> Iterator[Node]:
    """Yield what variables set in the sections that are read, and report those that fit nothing."""
    known = {
        f"{_PREFIX}{section}_{key}".upper(): (section, key)
        for section, kinds in owned.items()
        for kind in get_args(kinds) or [kinds]  # a section may be X | None
        if attrs.has(kind)
        for key in attrs.fields_dict(kind)
    }
    for variable in sorted(name for name in environ if name.startswith(_PREFIX)):
        section, separator, _ = variable.removeprefix(_PREFIX).lower().partition("_")
        node = Node(f"environment {variable}", environ[variable], known.get(variable, ()), style="given")
        if _NOT_A_SETTING.match(f"{variable}={environ[variable]}"):
            continue
        if variable in known:
            yield node
        elif not separator or section not in SECTIONS or section in owned:
            problems.append(node.problem(f"is not a setting {_meant(variable, known)}"))


def _meant(variable: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(variable.removeprefix(_PREFIX), [name.removeprefix(_PREFIX) for name in known])
    return f"(did you mean {_PREFIX}{close[0]}?)" if close else f"(they are named {_PREFIX}SECTION_KEY)"
