"""``fairque apply``: makes the limits of users what a file declares."""

from pathlib import Path

import click

from fairque.console.options import server_options
from fairque.protocol.service.options import Given
from fairque.protocol.service.usage import Command

__all__ = ["command"]


@click.command("apply", cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@server_options
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
def command(given: Given, file: Path, *, dry_run: bool) -> None:
    """Make the queue as the section `fairness` of FILE says, which also names the server and the queue.

    Declared users, and the defaults of all, get exactly what is declared: what is not is taken back. Other users keep
    what they have and are named. Doing it again changes nothing.
    """
    from fairque.console.declared import DeclaredSettings
    from fairque.protocol.errors import ConfigurationError
    from fairque.protocol.runners import Runner
    from fairque.protocol.service.limits import all_configured, apply, plan
    from fairque.protocol.wire.keys import QueueKeys

    parameter = click.get_current_context().get_parameter_source("config")
    if given.config is not None and parameter is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError("name one file: FILE has all the settings, and takes the place of --config")
    settings, _ = given.trace(DeclaredSettings, file)
    if settings.fairness is None:
        raise ConfigurationError([f"{file}: has no section fairness: there is nothing to apply"])
    runner, keys = Runner(settings.redis), QueueKeys(settings.queue.name)
    try:
        planned = plan(settings.fairness, all_configured(runner, keys))
        if not dry_run:
            apply(runner, keys, planned)
    finally:
        runner.close()
    for line in planned.changes:
        click.echo(line)
    for user_id in planned.undeclared:
        click.echo(f"user {user_id!r}: has limits but is not declared, left as it is")
    would, are = ("would change", "as they are") if dry_run else ("changed", "as they were")
    click.echo(f"{len(planned.changes):,} {would}, {planned.unchanged:,} {are}")
