"""``fairque tasks``: why a task waits, and the end of tasks that nobody wants."""

import click

from fairque.console.cli import CODES
from fairque.console.options import as_json, opened, say, server_options
from fairque.protocol.service.options import Given
from fairque.protocol.service.usage import Group

__all__ = ["command"]


@click.group("tasks", cls=Group, epilog=CODES)
def command() -> None:
    """Explain why a task waits, and cancel tasks."""


@command.command("explain")
@server_options
@click.argument("task_id")
@as_json
def explain(given: Given, task_id: str, *, as_json: bool) -> None:
    """Say why a task waits."""
    with opened(given) as queue_:
        found = queue_.task(task_id).explain()
    say(found, [str(found)], as_json=as_json)


@command.command("cancel")
@server_options
@click.argument("task_ids", nargs=-1, metavar="[ID]...")
@click.option("--user", help="All tasks of this user that wait.")
@click.option("--reason", default="canceled by an operator", show_default=True, help="Why; who waits for it gets this.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def cancel(
    given: Given,
    task_ids: tuple[str, ...],
    *,
    user: str | None,
    reason: str,
    yes: bool,
) -> None:
    """End tasks that wait, and ask those that run to stop; with --user, end all that wait of a user.

    What its producers push meanwhile may stay: pause the user first, or stop its producers.
    """
    if bool(task_ids) == (user is not None):
        raise click.UsageError("name IDs of tasks, or a user with --user")
    with opened(given) as queue_:
        if user is None:
            for task_id in task_ids:
                click.echo(f"{task_id}: {queue_.task(task_id).cancel(reason=reason)}")
            return
        if not yes:
            waiting = queue_.tasks.cancel_all(user_id=user, dry_run=True).matched
            click.confirm(f"Cancel {waiting:,} waiting tasks of user {user!r}?", abort=True)
        click.echo(f"{queue_.tasks.cancel_all(reason=reason, user_id=user).changed:,} canceled")
