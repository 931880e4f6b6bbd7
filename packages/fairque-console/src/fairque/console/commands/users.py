"""``fairque-worker users``: apply the limits of a configuration file, list users, and explain why somebody waits."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from attrs import asdict, field, frozen

from fairque.protocol.calls import explain, read_user, read_users
from fairque.protocol.config import FairnessSettings, QueueSettings, RedisSettings
from fairque.protocol.errors import ConfigurationError
from fairque.protocol.jsonvalue import dumps
from fairque.protocol.model.shares import UserRow
from fairque.protocol.model.standing import TaskStanding, UserStanding
from fairque.protocol.runners import Runner
from fairque.protocol.service.limits import all_configured, apply, plan, shown
from fairque.protocol.service.settings import Option, read_settings
from fairque.protocol.wire.keys import QueueKeys
from fairque.worker.usage import Group

__all__ = ["UsersSettings", "located", "server_options", "users"]

_PAGE = 1_000
_CODES = (
    "Exit codes: 0 done, 1 no such user or task, 2 wrong usage, 3 Redis not reachable or not suitable, "
    "4 queue of another version, 78 wrong configuration."
)


@frozen(kw_only=True)
class UsersSettings:
    """What these commands need to know.

    Attributes:
        redis: The server.
        queue: The queue.
        fairness: What is to be applied; None when the file has no such section.
    """

    redis: RedisSettings = field(factory=RedisSettings)
    queue: QueueSettings = field(factory=QueueSettings)
    fairness: FairnessSettings | None = None


@click.group(cls=Group, context_settings={"show_default": True}, epilog=_CODES)
def users() -> None:
    """Control and read the users of a queue."""


def server_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say where the queue is."""
    for option in (
        click.option("--queue", help="Name of the queue.", envvar="FAIRQUE_WORKER_QUEUE", show_envvar=True),
        click.option("--url", help="Address of the server.", envvar="FAIRQUE_WORKER_URL", show_envvar=True),
        click.option(
            "--config",
            type=click.Path(path_type=Path),
            help="YAML file with the settings.",
            envvar="FAIRQUE_WORKER_CONFIG",
            show_envvar=True,
        ),
    ):
        command = option(command)
    return command


_json = click.option("--json", "as_json", is_flag=True, help="Write JSON.")


@users.command("apply")
@server_options
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
def apply_command(config: Path | None, url: str | None, queue: str | None, *, dry_run: bool) -> None:
    """Make the queue as the section `fairness` of the file says.

    Declared users, and the defaults of all, get exactly what is declared: what is not is taken back. Other users keep
    what they have and are named. Doing it again changes nothing.
    """
    if config is None:
        raise click.UsageError("name the file with --config")
    with _opened(config, url, queue) as (settings, runner, keys):
        if settings.fairness is None:
            raise ConfigurationError([f"{config}: has no section fairness: there is nothing to apply"])
        planned = plan(settings.fairness, all_configured(runner, keys))
        if not dry_run:
            apply(runner, keys, planned)
    for line in planned.changes:
        click.echo(line)
    for user_id in planned.undeclared:
        click.echo(f"user {user_id!r}: has limits but is not declared, left as it is")
    would, are = ("would change", "as they are") if dry_run else ("changed", "as they were")
    click.echo(f"{len(planned.changes):,} {would}, {planned.unchanged:,} {are}")


@users.command("list")
@server_options
@click.option("--after", help="The last user of the page before.")
@click.option("--most", default=100, type=click.IntRange(1, _PAGE), help="Users to list.")
@_json
def list_command(
    config: Path | None, url: str | None, queue: str | None, after: str | None, most: int, *, as_json: bool
) -> None:
    """List users who have queued or running tasks, or debts, in the order of their ids."""
    with _opened(config, url, queue) as (_, runner, keys):
        page = runner.run(read_users(keys, after=after, most=most))
    if as_json:
        rows = [{**asdict(row), "reason": row.reason} for row in page]
        click.echo(dumps({"at_ms": page.at_ms, "next": page.next, "users": rows}))
        return
    click.echo(_table([("user", "weight", "waiting", "running", "served", "reason"), *map(_cells, page)]))
    if page.next is not None:
        click.echo(f"more with --after {page.next!r}")


@users.command("explain")
@server_options
@click.argument("user", required=False)
@click.option("--task", help="Explain this task instead.")
@_json
def explain_command(
    config: Path | None, url: str | None, queue: str | None, user: str | None, task: str | None, *, as_json: bool
) -> None:
    """Say why USER, or a task, waits."""
    if (user is None) == (task is None):
        raise click.UsageError("name a USER, or a task with --task")
    with _opened(config, url, queue) as (_, runner, keys):
        found: TaskStanding | UserStanding
        if task is not None:
            found = runner.run(explain(keys, task))
            standing = found.user
        else:
            found = standing = runner.run(read_user(keys, user or ""))
    if as_json:
        click.echo(dumps({**asdict(found), "reason": found.reason, "says": found.explain()}))
        return
    click.echo(found.explain())
    for line in _facts(standing):
        click.echo(f"  {line}")


def located(config: Path | None, url: str | None, queue: str | None) -> UsersSettings:
    """Return the settings that file, environment and options say together.

    Raises:
        ConfigurationError: With all that cannot be used.
    """
    options = [Option("--url", "redis", "url", url), Option("--queue", "queue", "name", queue)]
    return read_settings(config, UsersSettings, options)[0]


@contextmanager
def _opened(
    config: Path | None, url: str | None, queue: str | None
) -> Iterator[tuple[UsersSettings, Runner, QueueKeys]]:
    settings = located(config, url, queue)
    runner = Runner(settings.redis)
    try:
        yield settings, runner, QueueKeys(settings.queue.name)
    finally:
        runner.close()


def _cells(row: UserRow) -> tuple[str, ...]:
    numbers = (f"{row.weight:g}", f"{row.waiting:,}", f"{row.running:,}", f"{row.served:,.3f}")
    return (row.user_id, *numbers, row.reason)


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    # Numbers stand to the right, the first and the last column to the left.
    sides = ["<", *">" * (len(widths) - 2), "<"]
    lines = ("  ".join(f"{cell:{s}{w}}" for cell, s, w in zip(row, sides, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _facts(user: UserStanding) -> Iterator[str]:
    yield f"waiting {user.waiting:,}, scheduled {user.scheduled:,}, running {user.running:,}"
    yield f"served {user.served:,.3f}, ahead of its share {user.ahead:,.3f}"
    if user.oldest_seconds is not None:
        yield f"its next task has waited {user.oldest_seconds:,.3f} s"
    limits = (f"{name} {shown(getattr(user, name))}" for name in ("weight", "cap", "rate", "burst", "backlog"))
    yield ", ".join(limits)
