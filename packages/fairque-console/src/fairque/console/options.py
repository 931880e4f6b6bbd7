"""The options that all commands share, and the settings that these, the file and the environment say together."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from fairque.client import ClientSettings, TaskQueue

__all__ = ["as_json", "located", "opened", "page_options", "plain", "read", "say", "server_options", "table"]

T = TypeVar("T")

as_json = click.option("--json", "as_json", is_flag=True, help="Write JSON.")


def server_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say where the queue is."""
    for option in (
        click.option("--queue", help="Name of the queue."),
        click.option("--url", help="Address of the server."),
        click.option(
            "--config",
            type=click.Path(path_type=Path),
            help="YAML file with the settings.",
            envvar="FAIRQUE_CONFIG",
            show_envvar=True,
        ),
    ):
        command = option(command)
    return command


def page_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that lists the options for one page."""
    for option in (
        click.option(
            "--limit", default=100, type=click.IntRange(1, 1_000), show_default=True, help="Lines of the page."
        ),
        click.option("--after", help="The last id of the page before."),
    ):
        command = option(command)
    return command


def read(kind: type[T], config: Path | None, url: str | None, queue: str | None) -> tuple[T, dict[str, str]]:
    """Return settings, and by key what in the file, the environment or the options has set each.

    Raises:
        ConfigurationError: With all that cannot be used.
    """
    from fairque.protocol.service.settings import Option, read_settings

    options = [Option("--url", "redis", "url", url), Option("--queue", "queue", "name", queue)]
    settings, origins = read_settings(config, kind, options)
    given = {f"{option.section}.{option.key}": option.name for option in options if option.value is not None}
    return settings, {**origins, **given}


def located(config: Path | None, url: str | None, queue: str | None) -> "ClientSettings":
    """Return the settings of server and queue."""
    from fairque.client import ClientSettings

    return read(ClientSettings, config, url, queue)[0]


@contextmanager
def opened(config: Path | None, url: str | None, queue: str | None) -> "Iterator[TaskQueue]":
    """Open the queue for as long as it is needed."""
    from fairque.client import TaskQueue

    with TaskQueue(located(config, url, queue)) as opened:
        yield opened


def say(values: Any, lines: list[str], *, as_json: bool) -> None:
    """Write values for machines, or lines for people."""
    if as_json:
        from fairque.protocol.jsonvalue import dumps

        click.echo(dumps(plain(values)).decode())
    else:
        for line in lines:
            click.echo(line)


def plain(value: Any) -> Any:
    """Return a value as JSON has it: the fields of a class by their names, and moments as ISO 8601."""
    from attrs import fields, has

    if has(type(value)):
        return {field.name: plain(getattr(value, field.name)) for field in fields(type(value))}
    if isinstance(value, Mapping):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value.isoformat() if isinstance(value, datetime) else value


def table(rows: list[tuple[str, ...]]) -> list[str]:
    """Return rows as aligned lines: the first and the last column to the left, numbers between them to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = ["<", *">" * (len(widths) - 2), "<"]
    lines = ("  ".join(f"{cell:{s}{w}}" for cell, s, w in zip(row, sides, widths, strict=True)) for row in rows)
    return [line.rstrip() for line in lines]
