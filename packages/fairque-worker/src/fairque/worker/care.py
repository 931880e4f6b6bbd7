"""``fairque-worker doctor``, ``verify`` and ``healthcheck``: are server, queue and worker as they should be."""

import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import click

from fairque.protocol.config import load_settings, settings_from_environ
from fairque.protocol.doctor.examine import examine
from fairque.protocol.durations import to_ms
from fairque.protocol.errors import ConfigurationError
from fairque.protocol.jsonvalue import dumps
from fairque.protocol.runners import Runner
from fairque.protocol.verifier import verify
from fairque.protocol.wire.keys import QueueKeys
from fairque.worker.settings import WorkerSettings
from fairque.worker.usage import Command
from fairque.worker.users import located, server_options

__all__ = ["doctor", "healthcheck", "verify_command"]

_PROBE_SECONDS = 5.0

_json = click.option("--json", "as_json", is_flag=True, help="Write JSON.")


@click.command(
    "doctor",
    cls=Command,
    epilog="Exit codes: 0 nothing breaks the queue (there may be warnings), 1 something does, 2 wrong usage, 3 the "
    "server does not answer, 78 wrong configuration.",
)
@server_options
@_json
def doctor(config: Path | None, url: str | None, queue: str | None, *, as_json: bool) -> None:
    """Look whether the server and the queue are fit for work.

    Version, eviction, persistence, memory, role, clients, scripts, clock, latency, rights of the user, schema: each
    finding says why it matters and the command that fixes it. Nothing is changed.
    """
    settings = located(config, url, queue)
    diagnosis = examine(settings.redis, settings.queue, "worker")
    _tell(diagnosis.as_dict(), diagnosis.lines(), as_json=as_json)
    sys.exit(diagnosis.exit_code)


@click.command(
    "verify",
    cls=Command,
    epilog="Exit codes: 0 nothing is wrong, or all was fixed; 1 something is left, 2 wrong usage, 3 Redis not "
    "reachable or not suitable, 4 queue of another version, 78 wrong configuration.",
)
@server_options
@click.option("--fix/--dry-run", default=False, help="Fix what is found, or only say it.  [default: --dry-run]")
@_json
def verify_command(config: Path | None, url: str | None, queue: str | None, *, fix: bool, as_json: bool) -> None:
    """Look whether all that the queue has on its server fits together.

    Workers and producers may continue meanwhile: each look is one atomic step. A large queue takes its time.
    """
    settings = located(config, url, queue)
    runner = Runner(settings.redis)
    try:
        report = verify(
            runner,
            QueueKeys(settings.queue.name),
            fix,
            result_ttl_ms=to_ms(settings.queue.result_ttl_seconds, "result_ttl_seconds"),
            dead_ttl_ms=to_ms(settings.queue.dead_letter_ttl_seconds, "dead_letter_ttl_seconds"),
        )
    finally:
        runner.close()
    _tell(report.as_dict(), report.lines(), as_json=as_json)
    sys.exit(1 if report.left else 0)


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


def _tell(values: dict[str, Any], lines: list[str], *, as_json: bool) -> None:
    if as_json:
        click.echo(dumps(values).decode())
    else:
        for line in lines:
            click.echo(line)
