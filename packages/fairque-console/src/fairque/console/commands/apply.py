"""``fairque apply``: applies the limits and schedules that a file declares."""

from pathlib import Path
from typing import Any

import click

from fairque.console.options import as_json, say, server_options
from fairque.console.process import Process
from fairque.protocol.service.options import Given
from fairque.protocol.service.usage import Command

__all__ = ["command"]


@click.command("apply", cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@server_options
@click.option(
    "--prune",
    is_flag=True,
    help="Remove what the file does not declare: limits of other users, and schedules declared by an earlier file.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@as_json
@click.pass_obj
def command(process: Process | None, given: Given, file: Path, *, prune: bool, dry_run: bool, as_json: bool) -> None:
    """Apply the sections `fairness` and `schedules` of FILE, which also has the settings of server and queue.

    Declared users and the defaults get exactly the declared limits; their other limits are removed. Limits of other
    users, and schedules that are no longer declared, are kept and listed. Schedules added by a program are not
    affected. Applying the same file again changes nothing.
    """
    import sys

    from fairque.console.declared import read_declared

    parameter = click.get_current_context().get_parameter_source("config")
    if given.config is not None and parameter is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError("give only one file: FILE has all settings and replaces --config")
    if process is not None:
        process.runs_user_code = True
    sys.path.insert(0, "")
    settings = read_declared(given, file)
    # Checked before anything is changed, so that invalid schedules change no limits.
    schedules = _apply_schedules(settings, prune=prune, dry_run=True)
    limits = _apply_limits(settings, prune=prune, dry_run=dry_run)
    if not dry_run:
        schedules = _apply_schedules(settings, prune=prune, dry_run=False)
    changes, unchanged, notes, removed = [], 0, [], 0
    if limits is not None:
        changes += limits.changes
        unchanged += limits.unchanged
        notes += [
            f"user {user_id!r}: has limits but is not declared, left unchanged (--prune removes them)"
            for user_id in limits.undeclared
        ]
    if schedules is not None:
        changes += schedules.changes
        unchanged += schedules.unchanged
        removed = len(schedules.undeclared) if prune else 0
        fate = "left unchanged (--prune removes it)"
        notes += schedules.leftovers(("would be removed" if dry_run else "removed") if prune else fate)
    changed, gone = ("would change", "would be removed") if dry_run else ("changed", "removed")
    end = f", {removed:,} {gone}" if prune and schedules is not None else ""
    values = {"changes": changes, "notes": notes, "unchanged": unchanged, "removed": removed, "dry_run": dry_run}
    lines = [*changes, *notes, f"{len(changes):,} {changed}, {unchanged:,} unchanged{end}"]
    say(values, lines, as_json=as_json)


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
