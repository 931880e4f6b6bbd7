"""The command ``fairque-scheduler``."""

import sys
from functools import partial
from pathlib import Path
from typing import Any, Literal, NoReturn

import click
from attrs import asdict, field, frozen

from fairque.protocol.config import FairnessSettings, QueueSettings, RedisSettings
from fairque.protocol.errors import ConfigurationError
from fairque.protocol.jsonvalue import dumps
from fairque.protocol.service import exits
from fairque.protocol.service.ending import run_command
from fairque.protocol.service.log import configure_log
from fairque.protocol.service.settings import Option, read_settings
from fairque.protocol.service.usage import Group
from fairque.scheduler._version import __version__
from fairque.scheduler.applying import Plan
from fairque.scheduler.declared import DeclaredSchedule, ImportingOptions, reading, schedules_of
from fairque.scheduler.log import log
from fairque.scheduler.scheduler import TaskScheduler
from fairque.scheduler.settings import SchedulerOptions, SchedulerSettings
from fairque.scheduler.showing import facts, page_table, shown, times_table
from fairque.scheduler.times import time_after

__all__ = ["command", "main"]

#: Beside the exit codes that all services share.
_NO_LEADER = 5

_CODES = (
    "Exit codes: 0 stopped, or all is well; 1 crashed, or declared ones are missing (healthcheck); "
    "2 wrong usage, 3 Redis not reachable or not suitable, 4 queue of another version, 5 no such schedule, or "
    "nobody leads (healthcheck), 6 module cannot be imported, 78 wrong configuration."
)
_STAYS = "left as it is (apply --prune removes it)"


@frozen(kw_only=True)
class FileSettings:
    """What a configuration file says to a scheduler; ``schedules`` is None where it has no such section."""

    redis: RedisSettings = field(factory=RedisSettings)
    queue: QueueSettings = field(factory=QueueSettings)
    # Before the schedules, whose functions are in its modules.
    scheduler: ImportingOptions = field(factory=ImportingOptions)
    fairness: FairnessSettings = field(factory=FairnessSettings)
    schedules: dict[str, DeclaredSchedule] | None = None


@frozen(kw_only=True)
class _PlainSettings:
    """The same, of which no module is imported."""

    redis: RedisSettings = field(factory=RedisSettings)
    queue: QueueSettings = field(factory=QueueSettings)
    scheduler: SchedulerOptions = field(factory=SchedulerOptions)
    fairness: FairnessSettings = field(factory=FairnessSettings)
    schedules: dict[str, DeclaredSchedule] | None = None


def _server(command: Any) -> Any:
    for option in (
        click.option(
            "--queue",
            help="Name of the queue.  [default: default]",
            envvar="FAIRQUE_SCHEDULER_QUEUE",
            show_envvar=True,
        ),
        click.option(
            "--url",
            help="Address of the server.  [default: redis://localhost:6379/0]",
            envvar="FAIRQUE_SCHEDULER_URL",
            show_envvar=True,
        ),
        click.option(
            "--config",
            type=click.Path(path_type=Path),
            help="YAML file with the settings.",
            envvar="FAIRQUE_SCHEDULER_CONFIG",
            show_envvar=True,
        ),
    ):
        command = option(command)
    return command


_as_json = click.option("--json", "as_json", is_flag=True, help="For machines.")


@click.group("fairque-scheduler", cls=Group, epilog=_CODES, context_settings={"show_default": True})
@click.version_option(__version__, prog_name="fairque-scheduler")
def main() -> None:
    """Bring the tasks of schedules to a fairque queue, each time once, on any number of instances."""


@main.command(epilog=_CODES)
@_server
@click.option(
    "--log-level", default="info", type=click.Choice(["debug", "info", "warning", "error"]), help="Lowest level shown."
)
@click.option(
    "--log-format",
    default="auto",
    type=click.Choice(["auto", "text", "json"]),
    help="Text for people or JSON for machines; auto is text on a terminal.",
)
def run(
    config: Path | None,
    url: str | None,
    queue: str | None,
    log_level: str,
    log_format: Literal["auto", "text", "json"],
) -> None:
    """Lead or stand by until SIGTERM or SIGINT.

    The section `schedules` of the file is applied first: new schedules are added and changed ones changed. Those that
    are not there any more are named and stay; `fairque-scheduler apply --prune` removes them. When the server has lost
    data it is applied again, and so is the section `fairness`, to a queue that has no limits.
    """
    configure_log(log_level, log_format)
    settings = _settings(config, url, queue)
    scheduler = _scheduler(settings)
    if settings.schedules is not None:
        planned = scheduler.apply_schedules(schedules_of(settings.schedules))
        for line in planned.changes:
            log.info("applied", change=line)
        for line in _leftovers(planned):
            log.warning(line)
    scheduler.run()


@main.command()
@_server
@click.option("--prune", is_flag=True, help="Remove schedules that the file does not declare any more.")
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
def apply(config: Path | None, url: str | None, queue: str | None, *, prune: bool, dry_run: bool) -> None:
    """Make the schedules as the section `schedules` of the file says.

    Schedules that were made by a program are left alone. Doing it again changes nothing.
    """
    if config is None:
        raise click.UsageError("name the file with --config")
    settings = _settings(config, url, queue)
    if settings.schedules is None:
        raise ConfigurationError([f"{config}: has no section schedules: there is nothing to apply"])
    with _scheduler(settings) as scheduler:
        planned = scheduler.apply_schedules(schedules_of(settings.schedules), prune=prune, dry_run=dry_run)
    removed = "would be removed" if dry_run else "removed"
    for line in [*planned.changes, *_leftovers(planned, removed if prune else _STAYS)]:
        click.echo(line)
    would, are = ("would change", "as they are") if dry_run else ("changed", "as they were")
    gone = f", {len(planned.undeclared):,} {removed}" if prune else ""
    click.echo(f"{len(planned.changes):,} {would}, {planned.unchanged:,} {are}{gone}")


@main.command("list")
@_server
@click.option("--after", help="The last schedule of the page before.")
@click.option("--most", default=100, type=click.IntRange(1, 1_000), help="Schedules to list.")
@_as_json
def list_command(
    config: Path | None, url: str | None, queue: str | None, after: str | None, most: int, *, as_json: bool
) -> None:
    """List schedules in the order of their ids."""
    with _scheduler(_settings(config, url, queue, declared=False)) as scheduler:
        page = scheduler.list_schedules(after=after, most=most)
    if as_json:
        unreadable = [asdict(one) for one in page.unreadable]
        schedules = [facts(one) for one in page]
        click.echo(dumps({"at_ms": page.at_ms, "next": page.next, "schedules": schedules, "unreadable": unreadable}))
        return
    click.echo(page_table(page))
    for one in page.unreadable:
        click.echo(one.problem)
    if page.next is not None:
        click.echo(f"more with --after {page.next!r}")


@main.command("next")
@_server
@click.argument("schedule", required=False)
@click.option("--count", default=10, type=click.IntRange(1, 1_000), help="Times to show.")
@_as_json
def next_command(
    config: Path | None, url: str | None, queue: str | None, schedule: str | None, count: int, *, as_json: bool
) -> None:
    """Show the next times of SCHEDULE, or which schedules are due next."""
    with _scheduler(_settings(config, url, queue, declared=False)) as scheduler:
        if schedule is None:
            found = scheduler.next_schedules(count)
            times = [(info.next_at, info) for info in found if info.next_at is not None]
        else:
            info = scheduler.get_schedule(schedule)
            times, at = [], info.next_at
            while at is not None and len(times) < count:
                times.append((at, info))
                at = time_after(info.schedule, at)
    if as_json:
        rows = [{"schedule": one.schedule_id, "at_ms": at, "at": shown(at, one.schedule)} for at, one in times]
        click.echo(dumps(rows))
    else:
        click.echo(times_table(times) if times else "no times")


@main.command(epilog=_CODES)
@_server
@_as_json
@click.pass_context
def healthcheck(ctx: click.Context, config: Path | None, url: str | None, queue: str | None, *, as_json: bool) -> None:
    """Say who leads; the exit code is 5 when nobody does, and 1 when the queue lacks schedules of the file."""
    settings = _settings(config, url, queue, imported=False)
    with _scheduler(settings) as scheduler:
        found = scheduler.status()
        absent = scheduler.missing_schedules(schedules_of(settings.schedules or {}))
    if as_json:
        click.echo(dumps({**asdict(found), "missing": absent}))
    else:
        who = f"{found.leader} leads in term {found.term}" if found.leader else "nobody leads"
        click.echo(f"{who}; {found.schedules:,} schedules, {found.overdue:,} overdue")
        for name in absent:
            click.echo(f"schedule {name!r}: is declared and missing")
    if found.leader is None:
        ctx.exit(_NO_LEADER)
    if absent:
        ctx.exit(exits.CRASHED)


def command() -> NoReturn:
    """Be the command ``fairque-scheduler``."""
    run_command(partial(main, prog_name="fairque-scheduler"))


def _settings(
    config: Path | None, url: str | None, queue: str | None, *, declared: bool = True, imported: bool = True
) -> FileSettings:
    """Read the settings, and with ``declared`` the schedules, too; with ``imported`` from modules that are imported."""
    sys.path.insert(0, "")
    kind: type[Any] = (FileSettings if imported else _PlainSettings) if declared else SchedulerSettings
    options = [Option("--url", "redis", "url", url), Option("--queue", "queue", "name", queue)]
    with reading():
        settings, _ = read_settings(config, kind, options)
    return FileSettings(
        redis=settings.redis,
        queue=settings.queue,
        scheduler=settings.scheduler,
        fairness=settings.fairness,
        schedules=getattr(settings, "schedules", None),
    )


def _scheduler(settings: FileSettings) -> TaskScheduler:
    return TaskScheduler(
        SchedulerSettings(
            redis=settings.redis, queue=settings.queue, scheduler=settings.scheduler, fairness=settings.fairness
        )
    )


def _leftovers(planned: Plan, fate: str = _STAYS) -> list[str]:
    return [
        *(f"schedule {name!r}: has no time from now on, left out" for name in planned.over),
        *(f"schedule {info.schedule_id!r}: is not declared any more, {fate}" for info in planned.undeclared),
        *(f"{one.problem}; it is not declared, and stays" for one in planned.unreadable),
    ]
