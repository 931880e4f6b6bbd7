"""``fairque-worker healthcheck``: asks the worker on this machine whether it is healthy."""

import sys

import click

from fairque.protocol.errors import ConfigurationError
from fairque.protocol.service.asking import ask_probe
from fairque.protocol.service.options import Given, processes_option, settings_options
from fairque.protocol.service.usage import Command, echo
from fairque.worker.settings import WorkerSettings

__all__ = ["healthcheck"]


@click.command("healthcheck", cls=Command)
@settings_options("http-port", service="worker")
@processes_option
@click.option("--ready", is_flag=True, help="Check whether it takes tasks, and not only whether it is alive.")
def healthcheck(given: Given, processes: int, *, ready: bool) -> None:
    """Ask the worker on this machine whether it is alive: a probe for containers without curl.

    It needs worker.http_port, from the file or from FAIRQUE_WORKER_HTTP_PORT, and does not contact Redis.
    """
    settings = given.load(WorkerSettings)
    host, port = settings.worker.http_host, settings.worker.http_port
    if not port:
        raise ConfigurationError(["worker.http_port: must be set for healthcheck, which asks the worker there"])
    answers = [ask_probe(host, port + index, ready=ready) for index in range(processes)]
    for _, line in answers:
        echo(line)
    sys.exit(0 if all(well for well, _ in answers) else 1)
