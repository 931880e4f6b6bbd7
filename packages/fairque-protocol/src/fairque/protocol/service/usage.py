"""How commands report wrong usage and errors: a sentence that shows no password, and an exit code.

It needs click, on which the packages of the commands depend. Modules that only an error needs are imported when there
is one, so that help is quick.
"""

import errno
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

import click

from fairque.protocol.service.codes import CRASHED, EXIT_CODES, INTERRUPTED

__all__ = ["Command", "Group", "ServiceCommand", "echo"]


class _CannotWrite(click.ClickException):
    exit_code = CRASHED

    def show(self, file: IO[Any] | None = None) -> None:  # noqa: ARG002 - as click calls it
        from fairque.protocol.service.aside import say  # noqa: PLC0415 - see above

        say(f"Error: {self.format_message()}")


@contextmanager
def _written() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise  # click ends the command without a word, as the reader of a pipe expects
        raise _CannotWrite(f"cannot write to standard output: {error.strerror or error}") from None


def echo(text: str, *, nl: bool = True) -> None:
    """Write a text to standard output; if that fails, such as on a full disk, the command ends with a sentence.

    Args:
        text: What to write.
        nl: Whether to end it with a line break.
    """
    with _written():
        click.echo(text, nl=nl)


@contextmanager
def _masked() -> Iterator[None]:
    try:
        yield
    except click.UsageError as error:
        from fairque.protocol.config import mask_addresses  # noqa: PLC0415 - see above

        error.message = mask_addresses(error.message)  # type: ignore[misc]  # it is read when it is shown
        raise


@contextmanager
def _refused(ctx: click.Context) -> Iterator[None]:
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise  # click handles these itself, and help ends with one of them
    except KeyboardInterrupt:
        ctx.exit(INTERRUPTED)
    except Exception as error:
        from fairque.protocol.errors import FairqueError  # noqa: PLC0415 - see above
        from fairque.protocol.service.aside import say  # noqa: PLC0415
        from fairque.protocol.service.exit_message import exit_message  # noqa: PLC0415
        from fairque.protocol.service.exits import exit_code  # noqa: PLC0415

        if not isinstance(error, FairqueError):
            raise
        program = (ctx.find_root().info_name or "").partition(" ")[0]
        say(exit_message(program, error))
        ctx.exit(exit_code(error))


class Command(click.Command):
    """Masks addresses in what it says of wrong usage, and ends with the exit code of an error, which its help lists."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the end of the help."""
        super().format_epilog(ctx, formatter)
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(EXIT_CODES)

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run this command."""
        from fairque.protocol.service.streams import prepare_streams  # noqa: PLC0415 - see above

        prepare_streams()
        return super().main(*args, **extra)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the command line; the options for help and version write."""
        with _masked(), _written():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Invoke the command."""
        with _masked(), _refused(ctx):
            return super().invoke(ctx)


class ServiceCommand(Command):
    """Runs a service, or its health check if the first argument is ``healthcheck``.

    Args:
        *args: As of any command.
        healthcheck: The command that ``healthcheck`` runs. A module of that name is run as the second of two modules,
            or after ``--``.
        **extra: As of any command.
    """

    def __init__(self, *args: Any, healthcheck: click.Command, **extra: Any) -> None:
        super().__init__(*args, **extra)
        self._healthcheck = healthcheck

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        """Run this command, or the health check."""
        words = sys.argv[1:] if args is None else list(args)
        if words[:1] == ["healthcheck"]:
            return self._healthcheck.main(words[1:], prog_name=f"{self.name} healthcheck")
        return super().main(args, *rest, **extra)


class Group(Command, click.Group):
    """A `Command` with subcommands."""

    #: The class of subcommands that a decorator adds.
    command_class = Command
