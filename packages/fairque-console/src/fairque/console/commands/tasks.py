"""``fairque tasks``: why a task waits, and the end of tasks that nobody wants."""

import click

from fairque.console.options import as_json, opened, say, server_options, watchable
from fairque.protocol.service.options import Given
from fairque.protocol.service.usage import Group

__all__ = ["command"]


@click.group("tasks", cls=Group)
def command() -> None:
    """Explain why a task waits, and cancel tasks."""


@command.command("explain")
@server_options
@click.argument("task_id")
@as_json
@watchable
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
@click.option("--dry-run", is_flag=True, help="Only count, with --user.")
def cancel(given: Given, task_ids: tuple[str, ...], *, user: str | None, reason: str, yes: bool, dry_run: bool) -> None:
    """End tasks that wait, and ask those that run to stop; with --user, end all that wait of a user.

    What its producers push meanwhile may stay: pause the user first, or stop its producers.
    """
    if bool(task_ids) == (user is not None):
        raise click.UsageError("name IDs of tasks, or a user with --user")
    if dry_run and user is None:
        raise click.UsageError("--dry-run counts the tasks of a user: name it with --user")
    with opened(given) as queue_:
        if user is None:
            for task_id in task_ids:
                click.echo(f"{task_id}: {queue_.task(task_id).cancel(reason=reason)}")
            return
        if dry_run or not yes:
            waiting = queue_.tasks.cancel_all(user_id=user, dry_run=True).matched
        if dry_run:
            click.echo(f"{waiting:,} would be canceled")
            return
        if not yes:
            click.confirm(f"Cancel {waiting:,} waiting tasks of user {user!r}?", abort=True)
        click.echo(f"{queue_.tasks.cancel_all(reason=reason, user_id=user).changed:,} canceled")
