"""The options that all commands share, and the settings that these, the file and the environment say together."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from fairque.protocol.service.options import Given, settings_options

if TYPE_CHECKING:
    from fairque.client import TaskQueue

__all__ = ["as_json", "opened", "page_options", "plain", "prefix_option", "say", "server_options", "table", "watchable"]


server_options = settings_options("url", "queue")
as_json = click.option("--json", "as_json", is_flag=True, help="Write JSON.")
prefix_option = click.option("--prefix", default="", help="How their ids begin.")
_CLEAR = "\x1b[2J\x1b[H"


def watchable(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that reads the option to do so again and again, until it is interrupted."""

    @wraps(command)
    def again(*args: Any, watch: float | None, **rest: Any) -> None:
        command(*args, **rest)
        while watch is not None:
            time.sleep(watch)
            if sys.stdout.isatty():
                click.echo(_CLEAR, nl=False)
            command(*args, **rest)

    return click.option(
        "--watch",
        type=click.FloatRange(0.1, 86_400),
        is_flag=False,
        flag_value=2.0,
        metavar="[SECONDS]",
        help="Read again, each 2 seconds unless given, until it is interrupted.",
    )(again)


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


@contextmanager
def opened(given: Given) -> "Iterator[TaskQueue]":
    """Open the queue for as long as it is needed."""
    from fairque.client import ClientSettings, TaskQueue

    with TaskQueue(given.load(ClientSettings)) as opened:
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
