"""``fairque-scheduler healthcheck``: asks the scheduler of this machine whether it is well."""

import click

from fairque.protocol.errors import ConfigurationError
from fairque.protocol.service import codes
from fairque.protocol.service.asking import ask_probe
from fairque.protocol.service.options import Given, settings_options
from fairque.protocol.service.usage import Command, echo
from fairque.scheduler.settings import SchedulerSettings

__all__ = ["healthcheck"]


@click.command("healthcheck", cls=Command)
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
    echo(line)
    ctx.exit(codes.STOPPED if well else codes.CRASHED)
