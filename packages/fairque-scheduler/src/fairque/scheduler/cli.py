"""The command ``fairque-scheduler``."""

import sys
from functools import partial
from typing import NoReturn

import click

from fairque.protocol.service.ending import run_command
from fairque.protocol.service.log import configure_log
from fairque.protocol.service.options import Given, settings_options
from fairque.protocol.service.usage import ServiceCommand
from fairque.scheduler._version import __version__
from fairque.scheduler.declared import FileSettings, import_functions, schedules_of
from fairque.scheduler.healthcheck import healthcheck
from fairque.scheduler.log import log
from fairque.scheduler.scheduler import TaskScheduler

__all__ = ["command", "main"]


@click.command(
    "fairque-scheduler", cls=ServiceCommand, healthcheck=healthcheck, context_settings={"show_default": True}
)
@settings_options("url", "queue", "http-port", "log-level", "log-format", service="scheduler")
@click.version_option(__version__, prog_name="fairque-scheduler")
def main(given: Given) -> None:
    """Enqueue the tasks of schedules, each run once, on any number of instances: one leads, the others stand by.

    The section `schedules` of the file is applied first: new schedules are added and changed ones updated. Schedules
    that are no longer in the file are named and kept; `fairque apply --prune` removes them. If the server loses data,
    it is applied again, and so is the section `fairness`, to a queue without limits. SIGTERM and SIGINT end it.

    `fairque-scheduler healthcheck --help` describes probes. To list schedules, and to check a server or a queue, use
    the command `fairque` (package fairque-console).
    """
    sys.path.insert(0, "")
    settings, origins = given.trace(FileSettings)
    import_functions(settings, origins)
    configure_log(settings.log.level, settings.log.format)
    scheduler = TaskScheduler(settings.service())
    if settings.schedules is not None:
        planned = scheduler.schedules.apply(schedules_of(settings.schedules))
        for line in planned.changes:
            log.info("applied", change=line)
        for line in planned.leftovers("left unchanged (fairque apply --prune removes it)"):
            log.warning(line)
    scheduler.run()


def command() -> NoReturn:
    """Run the command ``fairque-scheduler``."""
    run_command(partial(main, prog_name="fairque-scheduler"))
