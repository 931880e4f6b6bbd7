"""The command ``fairque-scheduler``."""

import sys
from functools import partial
from typing import NoReturn

import click
from attrs import field, frozen

from fairque.client.schedule_plans import Plan
from fairque.protocol.config import FairnessSection, LogSection, QueueSection, RedisSection
from fairque.protocol.errors import ConfigurationError
from fairque.protocol.service import exits
from fairque.protocol.service.asking import ask_probe
from fairque.protocol.service.ending import run_command
from fairque.protocol.service.log import configure_log
from fairque.protocol.service.options import Given, settings_options
from fairque.protocol.service.usage import Group
from fairque.scheduler._version import __version__
from fairque.scheduler.declared import DeclaredSchedule, ImportingOptions, reading, schedules_of
from fairque.scheduler.log import log
from fairque.scheduler.scheduler import TaskScheduler
from fairque.scheduler.settings import SchedulerSettings

__all__ = ["command", "main"]

_STAYS = "left as it is (apply --prune deletes it)"


@frozen(kw_only=True)
class FileSettings:
    """What a configuration file says to a scheduler; ``schedules`` is None where it has no such section."""

    redis: RedisSection = field(factory=RedisSection)
    queue: QueueSection = field(factory=QueueSection)
    # Before the schedules, whose functions are in its modules.
    scheduler: ImportingOptions = field(factory=ImportingOptions)
    log: LogSection = field(factory=LogSection)
    fairness: FairnessSection = field(factory=FairnessSection)
    schedules: dict[str, DeclaredSchedule] | None = None


@click.group("fairque-scheduler", cls=Group, context_settings={"show_default": True})
@click.version_option(__version__, prog_name="fairque-scheduler")
def main() -> None:
    """Bring the tasks of schedules to a fairque queue, each time once, on any number of instances."""


@main.command()
@settings_options("url", "queue", "http-port", "log-level", "log-format", service="scheduler")
def run(given: Given) -> None:
    """Lead or stand by until SIGTERM or SIGINT.

    The section `schedules` of the file is applied first: new schedules are added and changed ones changed. Those that
    are not there any more are named and stay; `fairque-scheduler apply --prune` deletes them. When the server has lost
    data it is applied again, and so is the section `fairness`, to a queue that has no limits.
    """
    settings = _settings(given)
    configure_log(settings.log.level, settings.log.format)
    scheduler = _scheduler(settings)
    if settings.schedules is not None:
        planned = scheduler.schedules.apply(schedules_of(settings.schedules))
        for line in planned.changes:
            log.info("applied", change=line)
        for line in _leftovers(planned):
            log.warning(line)
    scheduler.run()


@main.command()
@settings_options("url", "queue")
@click.option("--prune", is_flag=True, help="Delete schedules that the file does not declare any more.")
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
def apply(given: Given, *, prune: bool, dry_run: bool) -> None:
    """Make the schedules as the section `schedules` of the file says.

    Schedules that were made by a program are left alone. Doing it again changes nothing.
    """
    if given.config is None:
        raise click.UsageError("name the file with --config")
    settings = _settings(given)
    if settings.schedules is None:
        raise ConfigurationError([f"{given.config}: has no section schedules: there is nothing to apply"])
    with _scheduler(settings) as scheduler:
        planned = scheduler.schedules.apply(schedules_of(settings.schedules), prune=prune, dry_run=dry_run)
    removed = "would be removed" if dry_run else "removed"
    for line in [*planned.changes, *_leftovers(planned, removed if prune else _STAYS)]:
        click.echo(line)
    would, are = ("would change", "as they are") if dry_run else ("changed", "as they were")
    gone = f", {len(planned.undeclared):,} {removed}" if prune else ""
    click.echo(f"{len(planned.changes):,} {would}, {planned.unchanged:,} {are}{gone}")


@main.command()
@settings_options("http-port", service="scheduler")
@click.option("--ready", is_flag=True, help="Whether it leads or stands by, too, and not only whether it is alive.")
@click.pass_context
def healthcheck(ctx: click.Context, given: Given, *, ready: bool) -> None:
    """Ask the scheduler of this machine whether it is alive: a probe for containers without curl.

    It needs scheduler.http_port, from the file or from FAIRQUE_SCHEDULER_HTTP_PORT, and asks nothing of Redis.
    """
    options = given.load(SchedulerSettings).scheduler
    if not options.http_port:
        raise ConfigurationError(["scheduler.http_port: must be set for healthcheck, which asks the scheduler there"])
    well, line = ask_probe(options.http_host, options.http_port, ready=ready)
    click.echo(line)
    ctx.exit(exits.STOPPED if well else exits.CRASHED)


def command() -> NoReturn:
    """Be the command ``fairque-scheduler``."""
    run_command(partial(main, prog_name="fairque-scheduler"))


def _settings(given: Given) -> FileSettings:
    """Read the settings, and the schedules from modules that are imported."""
    sys.path.insert(0, "")
    with reading():
        return given.load(FileSettings)


def _scheduler(settings: FileSettings) -> TaskScheduler:
    return TaskScheduler(
        SchedulerSettings(
            redis=settings.redis,
            queue=settings.queue,
            scheduler=settings.scheduler,
            log=settings.log,
            fairness=settings.fairness,
        )
    )


def _leftovers(planned: Plan, fate: str = _STAYS) -> list[str]:
    return [
        *(f"schedule {name!r}: has no run from now on, left out" for name in planned.over),
        *(f"schedule {info.schedule_id!r}: is not declared any more, {fate}" for info in planned.undeclared),
        *(f"{one.problem}; it is not declared, and stays" for one in planned.unreadable),
    ]
