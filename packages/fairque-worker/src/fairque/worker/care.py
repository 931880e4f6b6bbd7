"""``fairque-worker doctor`` and ``fairque-worker verify``: is the server fit, and is the queue as it should be."""

import sys
from pathlib import Path
from typing import Any

import click

from fairque.protocol.doctor.examine import examine
from fairque.protocol.runners import Runner
from fairque.protocol.verifier import verify
from fairque.protocol.wire.jsonvalue import dumps
from fairque.protocol.wire.keys import QueueKeys
from fairque.worker.users import located, server_options

__all__ = ["doctor", "verify_command"]

_json = click.option("--json", "as_json", is_flag=True, help="Write JSON.")


@click.command(
    "doctor",
    epilog="Exit codes: 0 nothing breaks the queue (there may be warnings), 1 something does, 2 wrong usage, 3 the "
    "server does not answer, 78 wrong configuration.",
)
@server_options
@_json
def doctor(config: Path | None, url: str | None, queue: str | None, *, as_json: bool) -> None:
    """Look whether the server and the queue are fit for work.

    Version, eviction, persistence, memory, role, clients, scripts, clock, latency, rights of the user, schema: each
    finding says why it matters and the command that mends it. Nothing is changed.
    """
    settings = located(config, url, queue)
    diagnosis = examine(settings.redis, settings.queue, "worker")
    _tell(diagnosis.as_dict(), diagnosis.lines(), as_json=as_json)
    sys.exit(diagnosis.exit_code)


@click.command(
    "verify",
    epilog="Exit codes: 0 nothing is wrong, or all was mended; 1 something is left, 2 wrong usage, 3 Redis not "
    "reachable or not suitable, 4 queue of another version, 78 wrong configuration.",
)
@server_options
@click.option("--fix/--dry-run", default=False, help="Mend what is found, or only say it.  [default: --dry-run]")
@_json
def verify_command(config: Path | None, url: str | None, queue: str | None, *, fix: bool, as_json: bool) -> None:
    """Look whether all that the queue has on its server fits together.

    Workers and producers may go on meanwhile: each look is one atomic step. A large queue takes its time.
    """
    settings = located(config, url, queue)
    runner = Runner(settings.redis)
    try:
        report = verify(
            runner,
            QueueKeys(settings.queue.name),
            fix,
            result_ttl_ms=round(settings.queue.result_ttl_seconds * 1000),
            dead_ttl_ms=round(settings.queue.dead_letter_ttl_seconds * 1000),
        )
    finally:
        runner.close()
    _tell(report.as_dict(), report.lines(), as_json=as_json)
    sys.exit(1 if report.left else 0)


def _tell(values: dict[str, Any], lines: list[str], *, as_json: bool) -> None:
    if as_json:
        click.echo(dumps(values).decode())
    else:
        for line in lines:
            click.echo(line)
