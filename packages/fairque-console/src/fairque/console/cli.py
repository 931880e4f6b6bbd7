"""The command ``fairque``: its commands by name, each of which is imported when it is called."""

import sys
from functools import partial
from importlib import import_module
from typing import Any, Final

import click

from fairque.console._version import __version__
from fairque.protocol.service.usage import Group

__all__ = ["command", "main"]

#: What `fairque --help` says of each command, which it would otherwise have to import.
_COMMANDS: Final = {
    "acl": "Write an ACL file for each role.",
    "apply": "Make limits and schedules as a file declares them.",
    "config": "Check settings, and show where each comes from.",
    "doctor": "Check whether server and queue are fit for work.",
    "schedules": "Show and control schedules, and when they fire.",
    "tasks": "Explain why a task waits, and cancel tasks.",
    "users": "Control and read the users of a queue.",
    "verify": "Check whether all that a queue has stored is consistent.",
}


class _Lazy(Group):
    """Imports a command when it is called, so that help needs none of what the commands need."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click calls it
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002 - as click calls it
        if name not in _COMMANDS:
            return None
        found: click.Command = import_module(f"fairque.console.commands.{name}").command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        # As click does, but with the names that are meant.
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            import difflib  # noqa: PLC0415 - for a wrong command only

            close = difflib.get_close_matches(args[0], _COMMANDS, n=1)
            meant = f" Did you mean {close[0]!r}?" if close else ""
            ctx.fail(f"No such command {args[0]!r}.{meant}")
        return super().resolve_command(ctx, args)


@click.group("fairque", cls=_Lazy)
@click.version_option(__version__, prog_name="fairque")
def main(**_: Any) -> None:
    """Look at a fairque queue, set its limits, and repair it.

    What reads writes a table, or JSON with --json.
    """


def command() -> None:
    """Run the command ``fairque``."""
    run = partial(main, prog_name="fairque")
    if sys.argv[1:2] == ["apply"] and "--help" not in sys.argv:
        from fairque.protocol.service.ending import run_command  # noqa: PLC0415 - no other command needs it

        # It imports modules of users, whose threads may still run at the end.
        run_command(run)
    run()
