"""``fairque-worker healthcheck``: asks the worker of this machine whether it is well."""

import sys
from pathlib import Path

import click

from fairque.protocol.config import load_settings, settings_from_environ
from fairque.protocol.errors import ConfigurationError
from fairque.protocol.service.asking import ask_probe
from fairque.protocol.service.usage import Command
from fairque.worker.settings import WorkerSettings

__all__ = ["healthcheck"]


@click.command(
    "healthcheck",
    cls=Command,
    epilog="Exit codes: 0 all is well, 1 a worker is not, or does not answer, 2 wrong usage, 78 wrong configuration.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="YAML file with the settings.",
    envvar="FAIRQUE_WORKER_CONFIG",
    show_envvar=True,
)
@click.option(
    "--processes",
    type=click.IntRange(1, 1000),
    default=1,
    help="Worker processes.",
    envvar="FAIRQUE_WORKER_PROCESSES",
    show_envvar=True,
)
@click.option("--ready", is_flag=True, help="Whether it takes tasks, too, and not only whether it is alive.")
def healthcheck(config: Path | None, processes: int, *, ready: bool) -> None:
    """Ask the worker of this machine whether it is alive: a probe for containers without curl.

    It needs worker.http_port, from the file or from FAIRQUE__WORKER__HTTP_PORT, and asks nothing of Redis.
    """
    settings = settings_from_environ(WorkerSettings) if config is None else load_settings(config, WorkerSettings)
    host, port = settings.worker.http_host, settings.worker.http_port
    if not port:
        raise ConfigurationError(["worker.http_port: must be set for healthcheck, which asks the worker there"])
    answers = [ask_probe(host, port + index, ready=ready) for index in range(processes)]
    for _, line in answers:
        click.echo(line)
    sys.exit(0 if all(well for well, _ in answers) else 1)
