"""The command ``fairque-worker``."""

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import click
from attrs import evolve

from fairque.protocol.config import load_settings, settings_from_environ
from fairque.protocol.errors import (
    ConfigurationError,
    FairqueError,
    RedisUnavailable,
    SchemaMismatch,
    ServerUnsuitable,
)
from fairque.worker._version import __version__
from fairque.worker.handler import TaskHandler
from fairque.worker.loading import CannotImport, load_handler
from fairque.worker.log import configure
from fairque.worker.settings import WorkerSettings
from fairque.worker.users import users
from fairque.worker.worker import Worker

__all__ = ["main"]

EXIT_CRASHED = 1
EXIT_UNREACHABLE = 3
EXIT_MISMATCH = 4
EXIT_IMPORT = 6
EXIT_CONFIGURATION = 78


class _Command(click.Command):
    """Runs a worker, or what stands after the word ``users``. A module ``users`` can still be run."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        words = sys.argv[1:] if args is None else list(args)
        if words[:1] != ["users"] or not {"--help", *users.commands}.intersection(words[1:2]):
            return super().main(args, *rest, **extra)
        try:
            return users.main(words[1:], prog_name="fairque-worker users")
        except FairqueError as error:
            sys.exit(_refused(error))
        except ValueError as error:
            sys.exit(_refused(ConfigurationError([str(error)])))


@click.command(
    cls=_Command,
    epilog="Exit codes: 0 stopped or burst over, 1 crashed, 2 wrong usage, 3 Redis not reachable or not suitable, "
    "4 queue of another version, 6 module cannot be imported, 78 wrong configuration.",
    context_settings={"auto_envvar_prefix": "FAIRQUE_WORKER", "show_default": True},
)
@click.argument("modules", nargs=-1, metavar="MODULE[:ATTR]...")
@click.option("--url", help="Address of the server.  [default: redis://localhost:6379/0]", show_envvar=True)
@click.option("--queue", help="Name of the queue.  [default: default]", show_envvar=True)
@click.option("--concurrency", type=int, help="Tasks at a time.  [default: 16]", show_envvar=True)
@click.option("--burst", is_flag=True, help="Stop when nothing is runnable; what is delayed stays.")
@click.option("--config", type=click.Path(path_type=Path), help="YAML file with the settings.", show_envvar=True)
@click.option("--log-level", default="info", type=click.Choice(["debug", "info", "warning", "error"]))
@click.option("--log-format", default="auto", type=click.Choice(["auto", "text", "json"]))
@click.version_option(__version__, prog_name="fairque-worker")
def main(
    modules: tuple[str, ...],
    url: str | None,
    queue: str | None,
    concurrency: int | None,
    *,
    burst: bool,
    config: Path | None,
    log_level: str,
    log_format: Literal["auto", "text", "json"],
) -> None:
    """Run the tasks of a fairque queue, fairly between users.

    Each MODULE is imported, from the current folder too; its task functions can then be run. ATTR names a TaskHandler
    of the module (a class or an object) that runs the tasks instead.

    `fairque-worker users --help` is about limits of users and why they wait.
    """
    configure(log_level, log_format)
    worker, code = None, 0
    try:
        settings = _settings(config, url=url, queue=queue, concurrency=concurrency)
        names = modules or settings.worker.modules
        if not names:
            raise click.UsageError("name at least one MODULE with task functions, or worker.modules in --config")
        blank = [name for name in names if not all(part.strip() for part in name.split(":"))]
        if blank:
            raise click.UsageError(f"{blank[0]!r} is neither MODULE nor MODULE:ATTR")
        sys.path.insert(0, "")
        handler = _handler(names)
        plain = tuple(name.partition(":")[0] for name in names)
        worker = Worker(evolve(settings, worker=evolve(settings.worker, modules=plain)), handler, burst=burst)
        worker.run()
    except FairqueError as error:
        code = _refused(error)
    except ValueError as error:
        code = _refused(ConfigurationError([str(error)]))
    if worker is None or worker.all_ended:
        sys.exit(code)
    # A thread that cannot be interrupted must not keep a stopped worker alive: its task was given back.
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)


def _settings(config: Path | None, *, url: str | None, queue: str | None, concurrency: int | None) -> WorkerSettings:
    problems: list[str] = []
    try:
        settings = settings_from_environ(WorkerSettings) if config is None else load_settings(config, WorkerSettings)
    except ConfigurationError as error:
        # The options are looked at all the same, so that all that is wrong is said at once.
        problems += error.problems
        settings = WorkerSettings()
    for option, section, key, value in (
        ("--url", "redis", "url", url),
        ("--queue", "queue", "name", queue),
        ("--concurrency", "worker", "concurrency", concurrency),
    ):
        if value is None:
            continue
        try:
            settings = evolve(settings, **{section: evolve(getattr(settings, section), **{key: value})})
        except ValueError as error:
            problems.append(f"{option}: {str(error).removeprefix(f'{key}: ')}")
    if problems:
        raise ConfigurationError(problems)
    return settings


def _handler(names: tuple[str, ...]) -> TaskHandler | None:
    handlers = [name for name in names if ":" in name]
    if len(handlers) > 1:
        raise CannotImport(f"{len(handlers)} task handlers are named: a worker has one")
    return load_handler(handlers[0]) if handlers else None


def _refused(error: FairqueError) -> int:
    codes: tuple[tuple[type[FairqueError], int], ...] = (
        (ConfigurationError, EXIT_CONFIGURATION),
        (RedisUnavailable, EXIT_UNREACHABLE),
        (ServerUnsuitable, EXIT_UNREACHABLE),
        (SchemaMismatch, EXIT_MISMATCH),
        (CannotImport, EXIT_IMPORT),
    )
    click.echo(f"fairque-worker: {error}", err=True)
    return next((code for kind, code in codes if isinstance(error, kind)), EXIT_CRASHED)
