"""``fairque apply``: makes the limits of users and the schedules what a file declares."""

from pathlib import Path
from typing import Any

import click

from fairque.console.options import server_options
from fairque.protocol.service.options import Given
from fairque.protocol.service.usage import Command

__all__ = ["command"]


@click.command("apply", cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@server_options
@click.option(
    "--prune",
    is_flag=True,
    help="Take away what the file does not declare: limits of other users, and schedules that a file declared before.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
def command(given: Given, file: Path, *, prune: bool, dry_run: bool) -> None:
    """Make the queue as the sections `fairness` and `schedules` of FILE say, which also names the server and the queue.

    Declared users, and the defaults of all, get exactly what is declared: what is not is taken back. Other users keep
    what they have and are named, and so are schedules that were declared once. Schedules that a program made are left
    alone. Doing it again changes nothing.
    """
    import sys

    from fairque.console.declared import read_declared

    parameter = click.get_current_context().get_parameter_source("config")
    if given.config is not None and parameter is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError("name one file: FILE has all the settings, and takes the place of --config")
    sys.path.insert(0, "")
    settings = read_declared(given, file)
    # Looked at before anything is changed, so that schedules that are refused change no limits.
    schedules = _apply_schedules(settings, prune=prune, dry_run=True)
    limits = _apply_limits(settings, prune=prune, dry_run=dry_run)
    if not dry_run:
        schedules = _apply_schedules(settings, prune=prune, dry_run=False)
    changes, unchanged, leftovers, removed = [], 0, [], 0
    if limits is not None:
        changes += limits.changes
        unchanged += limits.unchanged
        leftovers += [
            f"user {user_id!r}: has limits but is not declared, left as it is (--prune takes them back)"
            for user_id in limits.undeclared
        ]
    if schedules is not None:
        changes += schedules.changes
        unchanged += schedules.unchanged
        removed = len(schedules.undeclared)
        fate = "left as it is (--prune removes it)"
        leftovers += schedules.leftovers(("would be removed" if dry_run else "removed") if prune else fate)
    for line in [*changes, *leftovers]:
        click.echo(line)
    would, are, gone = ("would change", "as they are", "would be removed")
    if not dry_run:
        would, are, gone = ("changed", "as they were", "removed")
    end = f", {removed:,} {gone}" if prune and schedules is not None else ""
    click.echo(f"{len(changes):,} {would}, {unchanged:,} {are}{end}")


def _apply_limits(settings: Any, *, prune: bool, dry_run: bool) -> Any:
    if settings.fairness is None:
        return None
    from fairque.protocol.runners import Runner
    from fairque.protocol.service.limits import all_configured, apply, plan
    from fairque.protocol.wire.keys import QueueKeys

    runner, keys = Runner(settings.redis), QueueKeys(settings.queue.name)
    try:
        planned = plan(settings.fairness, all_configured(runner, keys), prune=prune)
        if not dry_run:
            apply(runner, keys, planned)
    finally:
        runner.close()
    return planned


def _apply_schedules(settings: Any, *, prune: bool, dry_run: bool) -> Any:
    if settings.schedules is None:
        return None
    from fairque.scheduler import TaskScheduler
    from fairque.scheduler.declared import schedules_of

    with TaskScheduler(settings.service()) as scheduler:
        return scheduler.schedules.apply(schedules_of(settings.schedules), prune=prune, dry_run=dry_run)
