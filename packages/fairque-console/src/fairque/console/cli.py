"""The command ``fairque``; its subcommands are imported when they are called."""

from importlib import import_module
from typing import Any, Final

import click

from fairque.console._version import __version__
from fairque.console.process import Process
from fairque.protocol.service.usage import Group

__all__ = ["command", "main"]

#: The help line of each command, so that `fairque --help` need not import them.
_COMMANDS: Final = {
    "acl": "Write an ACL file for each role.",
    "apply": "Apply the limits and schedules that a file declares.",
    "config": "Check settings, and show where each comes from.",
    "doctor": "Check whether server and queue are ready for use.",
    "schedules": "Show and control schedules and their runs.",
    "tasks": "Explain why a task waits, and cancel tasks.",
    "users": "Show and control the users of a queue.",
    "verify": "Check whether the stored data of a queue is consistent.",
}


class _Lazy(Group):
    """Imports a command only when it is called, so that help loads nothing else."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click calls it
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002 - as click calls it
        if name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"fairque.console.commands.{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        # As click does, but a name may be shortened, and an unknown one gets a suggestion.
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            args = [_full_name(ctx, args[0]), *args[1:]]
        return super().resolve_command(ctx, args)


def _full_name(ctx: click.Context, name: str) -> str:
    begun = [command for command in _COMMANDS if name and command.startswith(name)]
    if len(begun) == 1:
        return begun[0]
    if begun:
        raise click.UsageError(f"{name!r} can mean {' or '.join(begun)}.", ctx)
    import difflib  # noqa: PLC0415 - needed only for an unknown command

    close = difflib.get_close_matches(name, _COMMANDS, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise click.UsageError(f"No such command {name!r}.{hint}", ctx)


@click.group("fairque", cls=_Lazy)
@click.version_option(__version__, prog_name="fairque")
def main(**_: Any) -> None:
    """Inspect a fairque queue, set its limits, and repair it.

    Commands that read write a table, or JSON with --json. A command may be shortened: fairque sched list.
    """


def command() -> None:
    """Run the command ``fairque``, and end the process even if threads of imported modules still run."""
    process = Process()
    try:
        main(prog_name="fairque", obj=process)
    except BaseException as error:
        if process.runs_user_code:
            from fairque.protocol.service.ending import end_process  # noqa: PLC0415 - other commands do not need it

            end_process(error)
        raise
