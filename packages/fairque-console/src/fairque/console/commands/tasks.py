"""``fairque tasks``: explains why a task waits, and cancels tasks."""

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
    """Show why a task waits."""
    with opened(given) as queue_:
        explanation = queue_.task(task_id).explain()
    say(explanation, [str(explanation)], as_json=as_json)


@command.command("cancel")
@server_options
@click.argument("task_ids", nargs=-1, metavar="[ID]...")
@click.option("--user", help="Cancel all waiting tasks of this user.")
@click.option("--reason", default="canceled by an operator", show_default=True, help="Shown to callers that wait.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--dry-run", is_flag=True, help="With --user: only count the tasks.")
@as_json
def cancel(
    given: Given, task_ids: tuple[str, ...], *, user: str | None, reason: str, yes: bool, dry_run: bool, as_json: bool
) -> None:
    """Cancel waiting tasks, and ask running ones to stop; with --user, cancel all waiting tasks of a user.

    Tasks pushed meanwhile may be missed: pause the user or stop its producers first.
    """
    if bool(task_ids) == (user is not None):
        raise click.UsageError("give IDs of tasks, or a user with --user")
    if dry_run and user is None:
        raise click.UsageError("--dry-run counts the tasks of a user: give it with --user")
    with opened(given) as queue_:
        if user is None:
            for task_id in task_ids:
                result = queue_.task(task_id).cancel(reason=reason)
                say({"task_id": task_id, "result": result}, [f"{task_id}: {result}"], as_json=as_json)
            return
        if dry_run or not yes:
            counted = queue_.tasks.cancel_all(user_id=user, dry_run=True)
        if dry_run:
            say(counted, [f"{counted.matched:,} would be canceled"], as_json=as_json)
            return
        if not yes:
            click.confirm(f"Cancel {counted.matched:,} waiting tasks of user {user!r}?", abort=True, err=as_json)
        report = queue_.tasks.cancel_all(reason=reason, user_id=user)
        say(report, [f"{report.changed:,} canceled"], as_json=as_json)
