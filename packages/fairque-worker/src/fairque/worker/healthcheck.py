"""``fairque-worker healthcheck``: asks the worker of this machine whether it is well."""

import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import click

from fairque.protocol.config import load_settings, settings_from_environ
from fairque.protocol.errors import ConfigurationError
from fairque.protocol.service.usage import Command
from fairque.worker.settings import WorkerSettings

__all__ = ["healthcheck"]

_PROBE_SECONDS = 5.0


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
    # What listens everywhere is asked here.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - to ask, not to listen
    answers = [_asked(host, port + index, "/readyz" if ready else "/livez") for index in range(processes)]
    for _, line in answers:
        click.echo(line)
    sys.exit(0 if all(well for well, _ in answers) else 1)


def _asked(host: str, port: int, path: str) -> tuple[bool, str]:
    connection = HTTPConnection(host, port, timeout=_PROBE_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        word = answer.read().decode(errors="replace").strip()
    except (OSError, HTTPException) as error:
        return False, f"{host}:{port}{path}: no answer: {error}"
    finally:
        connection.close()
    return answer.status == 200, f"{host}:{port}{path}: {answer.status} {word}"  # noqa: PLR2004 - as HTTP has it
