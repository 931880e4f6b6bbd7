"""The command ``fairque-scheduler``."""

import sys
from functools import partial
from pathlib import Path
from typing import Any, Literal, NoReturn

import click
from attrs import field, frozen

from fairque.protocol.config import FairnessSettings, QueueSettings, RedisSettings
from fairque.protocol.errors import ConfigurationError
from fairque.protocol.service import exits
from fairque.protocol.service.asking import ask_probe
from fairque.protocol.service.ending import run_command
from fairque.protocol.service.log import configure_log
from fairque.protocol.service.settings import Option, read_settings
from fairque.protocol.service.usage import Group
from fairque.scheduler._version import __version__
from fairque.client.schedule_plans import Plan
from fairque.scheduler.declared import DeclaredSchedule, ImportingOptions, reading, schedules_of
from fairque.scheduler.log import log
from fairque.scheduler.scheduler import TaskScheduler
from fairque.scheduler.settings import SchedulerSettings

__all__ = ["command", "main"]

_CODES = (
    "Exit codes: 0 stopped, or all is well; 1 crashed, or not well (healthcheck); 2 wrong usage, 3 Redis not reachable "
    "or not suitable, 4 queue of another version, 6 module cannot be imported, 78 wrong configuration."
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


@main.command(
    epilog="Exit codes: 0 it is well, 1 it is not, or does not answer, 2 wrong usage, 78 wrong configuration."
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="YAML file with the settings.",
    envvar="FAIRQUE_SCHEDULER_CONFIG",
    show_envvar=True,
)
@click.option("--ready", is_flag=True, help="Whether it leads or stands by, too, and not only whether it is alive.")
@click.pass_context
def healthcheck(ctx: click.Context, config: Path | None, *, ready: bool) -> None:
    """Ask the scheduler of this machine whether it is alive: a probe for containers without curl.

    It needs scheduler.http_port, from the file or from FAIRQUE__SCHEDULER__HTTP_PORT, and asks nothing of Redis.
    """
    options = read_settings(config, SchedulerSettings, [])[0].scheduler
    if not options.http_port:
        raise ConfigurationError(["scheduler.http_port: must be set for healthcheck, which asks the scheduler there"])
    well, line = ask_probe(options.http_host, options.http_port, ready=ready)
    click.echo(line)
    ctx.exit(exits.STOPPED if well else exits.CRASHED)


def command() -> NoReturn:
    """Be the command ``fairque-scheduler``."""
    run_command(partial(main, prog_name="fairque-scheduler"))


def _settings(config: Path | None, url: str | None, queue: str | None) -> FileSettings:
    """Read the settings, and the schedules from modules that are imported."""
    sys.path.insert(0, "")
    options = [Option("--url", "redis", "url", url), Option("--queue", "queue", "name", queue)]
    with reading():
        return read_settings(config, FileSettings, options)[0]


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
