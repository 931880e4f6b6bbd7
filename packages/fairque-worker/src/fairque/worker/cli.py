"""The command ``fairque-worker``."""

import importlib
import inspect
import logging
import os
import sys
from pathlib import Path
from typing import Any, Literal, NoReturn

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
from fairque.worker.handler import FunctionTaskHandler, TaskHandler
from fairque.worker.log import configure
from fairque.worker.settings import WorkerSettings
from fairque.worker.worker import Worker

__all__ = ["main"]

EXIT_CRASHED = 1
EXIT_UNREACHABLE = 3
EXIT_MISMATCH = 4
EXIT_IMPORT = 6
EXIT_CONFIGURATION = 78


class _CannotImport(FairqueError):
    """A module or its attribute cannot be had."""


@click.command(
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
    """
    configure(log_level, log_format)
    try:
        settings = _settings(config, url=url, queue=queue, concurrency=concurrency)
        names = modules or settings.worker.modules
        if not names:
            raise click.UsageError("name at least one MODULE with task functions, or worker.modules in --config")
        handler = _handler(names)
        worker = Worker(settings, handler, burst=burst)
        all_ended = worker.run()
    except FairqueError as error:
        _refuse(error)
    except ValueError as error:
        _refuse(ConfigurationError([str(error)]))
    if all_ended:
        return
    # A thread that cannot be interrupted must not keep a stopped worker alive: its task was given back.
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)


def _settings(config: Path | None, *, url: str | None, queue: str | None, concurrency: int | None) -> WorkerSettings:
    settings = settings_from_environ(WorkerSettings) if config is None else load_settings(config, WorkerSettings)
    if url is not None:
        settings = evolve(settings, redis=evolve(settings.redis, url=url))
    if queue is not None:
        settings = evolve(settings, queue=evolve(settings.queue, name=queue))
    if concurrency is not None:
        settings = evolve(settings, worker=evolve(settings.worker, concurrency=concurrency))
    return settings


def _handler(names: tuple[str, ...]) -> TaskHandler:
    sys.path.insert(0, "")
    handlers = [found for name in names if (found := _load(name)) is not None]
    if len(handlers) > 1:
        raise _CannotImport(f"{len(handlers)} task handlers are named: a worker has one")
    return handlers[0] if handlers else FunctionTaskHandler(name.partition(":")[0] for name in names)


def _load(name: str) -> TaskHandler | None:
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise _CannotImport(
            f"module {module_name!r} cannot be imported: {type(error).__name__}: {error}. "
            f"It is looked for in {os.getcwd()} and on PYTHONPATH"  # noqa: PTH109 - a text, no path work
        ) from error
    if not attribute:
        return None
    found: Any = getattr(module, attribute, None)
    if inspect.isclass(found) and issubclass(found, TaskHandler):
        try:
            return found()
        except Exception as error:
            raise _CannotImport(
                f"{name} cannot be made without arguments: {type(error).__name__}: {error}. Name an object"
            ) from error
    if isinstance(found, TaskHandler):
        return found
    raise _CannotImport(
        f"{name} is no TaskHandler but {type(found).__name__}: name a subclass of TaskHandler or an object of one, "
        f"or the module alone to run its task functions"
    )


def _refuse(error: FairqueError) -> NoReturn:
    codes: tuple[tuple[type[FairqueError], int], ...] = (
        (ConfigurationError, EXIT_CONFIGURATION),
        (RedisUnavailable, EXIT_UNREACHABLE),
        (ServerUnsuitable, EXIT_UNREACHABLE),
        (SchemaMismatch, EXIT_MISMATCH),
        (_CannotImport, EXIT_IMPORT),
    )
    click.echo(f"fairque-worker: {error}", err=True)
    sys.exit(next((code for kind, code in codes if isinstance(error, kind)), EXIT_CRASHED))
