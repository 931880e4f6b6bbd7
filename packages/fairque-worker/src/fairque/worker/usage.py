"""What every command of ``fairque-worker`` does with a wrong command line: it says so, and shows no password."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from fairque.protocol.config import mask_addresses

__all__ = ["Command", "Group"]


@contextmanager
def _masked() -> Iterator[None]:
    try:
        yield
    except click.UsageError as error:
        error.message = mask_addresses(error.message)  # type: ignore[misc]  # it is read when it is shown
        raise


class Command(click.Command):
    """Masks addresses in what it says of wrong usage."""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the command line."""
        with _masked():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Do what was asked for."""
        with _masked():
            return super().invoke(ctx)


class Group(Command, click.Group):
    """The same of several commands."""
