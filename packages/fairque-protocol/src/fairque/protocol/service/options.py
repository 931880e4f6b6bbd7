"""The options of commands for settings: the same names, variables and texts everywhere.

It needs click, and imports the settings only when they are read, so that help is quick.
"""

import os
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar

import click

__all__ = ["Given", "processes_option", "settings_options"]

T = TypeVar("T")
_Command = Callable[..., Any]

#: For each option of one setting: its section (empty for that of the service), key, type, help and default.
_OPTIONS: Final[dict[str, tuple[str, str, Any, str, str]]] = {
    "url": ("redis", "url", str, "Address of the server.", "redis://localhost:6379/0"),
    "queue": ("queue", "name", str, "Name of the queue.", "default"),
    "concurrency": ("worker", "concurrency", int, "Tasks at a time.", "16"),
    "http-port": ("", "http_port", int, "Port of /livez, /readyz and /metrics.", "none"),
    "log-level": (
        "log",
        "level",
        click.Choice(["debug", "info", "warning", "error"]),
        "Lowest level shown.",
        "info",
    ),
    "log-format": (
        "log",
        "format",
        click.Choice(["auto", "text", "json"]),
        "Text for humans or JSON for machines; auto is text on a terminal.",
        "auto",
    ),
}

processes_option = click.option(
    "--processes",
    type=click.IntRange(1, 1000),
    default=1,
    help="Worker processes.",
    envvar="FAIRQUE_WORKER_PROCESSES",
    show_envvar=True,
)


class Given:
    """The settings on a command line.

    Args:
        config: The file.
        changes: Section, key and value of each ``--set``.
        values: By the names of options: section, key, and the value, if one was given.
    """

    def __init__(
        self, config: Path | None, changes: Sequence[tuple[str, str, str]], values: dict[str, tuple[str, str, Any]]
    ) -> None:
        self.config = config
        self._changes, self._values = changes, values

    def load(self, cls: type[T], file: str | os.PathLike[str] | None = None) -> T:
        """Read settings from the file, or another one, overridden by variables and then by these options.

        Raises:
            ConfigurationError: Some are unknown or invalid; the message names all of them.
        """
        return self.trace(cls, file)[0]

    def trace(self, cls: type[T], file: str | os.PathLike[str] | None = None) -> tuple[T, dict[str, str]]:
        """Read settings, and by ``section.key`` the source of each.

        Raises:
            ConfigurationError: Some are unknown or invalid; the message names all of them.
        """
        from fairque.protocol.config import Option, trace_settings  # noqa: PLC0415 - see above

        options = [Option(f"--set {section}.{key}", section, key, value) for section, key, value in self._changes]
        for name, (section, key, value) in self._values.items():
            options.append(Option(f"--{name}", section, key, None if value is None else str(value)))
        return trace_settings(file or self.config, cls, options=options)


def settings_options(*names: str, service: str = "") -> Callable[[_Command], _Command]:
    """Give a command ``--config``, the options of these names, and ``--set``; its function takes them as ``given``.

    In order of precedence: an option of its own, ``--set``, a variable, the file.

    Args:
        names: The names, without leading dashes.
        service: The section of the service.
    """
    places = {name: (_OPTIONS[name][0] or service, _OPTIONS[name][1]) for name in names}

    def decorate(command: _Command) -> _Command:
        @wraps(command)
        def taking(*args: Any, config: Path | None, changes: Sequence[tuple[str, str, str]], **rest: Any) -> Any:
            values = {name: (*place, rest.pop(name.replace("-", "_"))) for name, place in places.items()}
            return command(*args, given=Given(config, changes, values), **rest)

        decorated: _Command = _set(taking)
        for name in reversed(names):
            _, _, kind, text, default = _OPTIONS[name]
            variable = "_".join(["FAIRQUE", *places[name]]).upper()
            decorated = click.option(f"--{name}", type=kind, help=f"{text}  [env var: {variable}; default: {default}]")(
                decorated
            )
        return _config(decorated)

    return decorate


def _parts(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> list[tuple[str, str, str]]:
    found = []
    for text in values:
        path, equals, value = text.partition("=")
        section, _, key = path.partition(".")
        if not (section and key and equals):
            raise click.BadParameter(f"{text!r} is not of the form section.key=value", ctx, param)
        found.append((section, key, value))
    return found


_config = click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="YAML file with the settings.",
    envvar="FAIRQUE_CONFIG",
    show_envvar=True,
)
_set = click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    callback=_parts,
    help="Any setting, such as redis.retries=5. May be repeated.",
)
