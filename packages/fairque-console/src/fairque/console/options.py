"""Options and output that the commands share."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from fairque.protocol.service.options import Given, settings_options
from fairque.protocol.service.usage import echo

if TYPE_CHECKING:
    from fairque.client import TaskQueue

__all__ = ["as_json", "opened", "page_options", "plain", "prefix_option", "say", "server_options", "table", "watchable"]


server_options = settings_options("url", "queue")
as_json = click.option("--json", "as_json", is_flag=True, help="Write JSON.")
prefix_option = click.option("--prefix", default="", help="List only ids that start with this.")
_CLEAR = "\x1b[2J\x1b[H"


def watchable(command: Callable[..., None]) -> Callable[..., None]:
    """Add the option ``--watch``, with which a command repeats until it is interrupted, whatever its exit code is."""

    @wraps(command)
    def repeat(*args: Any, watch: float | None, **options: Any) -> None:
        if watch is None:
            command(*args, **options)
            return
        while True:
            with suppress(click.exceptions.Exit):
                command(*args, **options)
            time.sleep(watch)
            if sys.stdout.isatty():
                echo(_CLEAR, nl=False)

    return click.option(
        "--watch",
        type=click.FloatRange(0.1, 86_400),
        is_flag=False,
        flag_value=2.0,
        metavar="[SECONDS]",
        help="Repeat every 2 seconds, or the given number, until interrupted.",
    )(repeat)


def page_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of a page, ``--limit`` and ``--after``."""
    for option in (
        click.option("--limit", default=100, type=click.IntRange(1, 1_000), show_default=True, help="Lines per page."),
        click.option("--after", help="Continue after this id, the last one of the previous page."),
    ):
        command = option(command)
    return command


@contextmanager
def opened(given: Given) -> "Iterator[TaskQueue]":
    """Open the queue of the settings, and close it at the end of the context."""
    from fairque.client import ClientSettings, TaskQueue

    with TaskQueue(given.load(ClientSettings)) as queue:
        yield queue


def say(values: Any, lines: list[str], *, as_json: bool) -> None:
    """Write values as JSON, or lines for humans."""
    if as_json:
        from fairque.protocol.jsonvalue import dumps

        echo(dumps(plain(values)).decode())
    else:
        for line in lines:
            echo(line)


def plain(value: Any) -> Any:
    """Convert a value to JSON values: classes to objects with their fields, datetimes to ISO 8601."""
    from attrs import fields, has

    if has(type(value)):
        return {field.name: plain(getattr(value, field.name)) for field in fields(type(value))}
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value


def table(rows: list[tuple[str, ...]]) -> list[str]:
    """Return rows as aligned lines: the first and last column to the left, the numbers between them to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = ["<", *">" * (len(widths) - 2), "<"]
    lines = ("  ".join(f"{cell:{s}{w}}" for cell, s, w in zip(row, sides, widths, strict=True)) for row in rows)
    return [line.rstrip() for line in lines]
