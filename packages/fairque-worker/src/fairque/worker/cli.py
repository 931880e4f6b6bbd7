"""The command ``fairque-worker``."""

import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import NoReturn

import click
from attrs import evolve
from click.core import ParameterSource

from fairque.protocol.embedded.guard import die_with_parent
from fairque.protocol.errors import CannotImport, ConfigurationError, FairqueError
from fairque.protocol.service import exits
from fairque.protocol.service.aside import say
from fairque.protocol.service.ending import run_command
from fairque.protocol.service.exit_message import exit_message
from fairque.protocol.service.log import configure_log
from fairque.protocol.service.options import Given, processes_option, settings_options
from fairque.protocol.service.usage import ServiceCommand
from fairque.worker._version import __version__
from fairque.worker.healthcheck import healthcheck
from fairque.worker.processes.surroundings import working_folder
from fairque.worker.settings import WorkerSection, WorkerSettings
from fairque.worker.supervisor import Supervisor
from fairque.worker.worker import Worker

__all__ = ["command", "main"]

#: Commands that users of other queues expect here; a module may have these names anyway.
_MOVED = frozenset({"config", "doctor", "users", "verify"})

#: Characters of a worker's name, so that its number still fits.
_NAME_LIMIT = 120

_SIGNALS = (
    "TERM and INT take no more tasks, let running ones continue for stop_timeout, then give them back; a second one "
    "gives them back at once. TSTP takes no more tasks until CONT. USR1 writes the current activity to the log."
)


@click.command(
    "fairque-worker",
    cls=ServiceCommand,
    healthcheck=healthcheck,
    epilog=f"Signals: {_SIGNALS}",
    context_settings={"show_default": True},
)
@click.argument("modules", nargs=-1, metavar="MODULE[:ATTR]...")
@settings_options("url", "queue", "concurrency", "http-port", "log-level", "log-format", service="worker")
@processes_option
@click.option("--supervised", hidden=True, metavar="PARENT:NUMBER[:again]", help="For worker processes of --processes.")
@click.option("--burst", is_flag=True, help="Stop when nothing is runnable; delayed tasks stay.")
@click.version_option(__version__, prog_name="fairque-worker")
def main(
    modules: tuple[str, ...],
    given: Given,
    *,
    processes: int,
    supervised: str | None,
    burst: bool,
) -> None:
    """Run the tasks of a fairque queue, fairly between users.

    Each MODULE is imported, also from the current folder; its task functions can then be run. ATTR names a TaskHandler
    of the module (a class or an instance) that runs the tasks instead.

    With --processes, or as process 1 of a container, worker processes run under a supervisor that forwards signals,
    restarts processes that die, and exits with 0 when all have ended well. Each process has --concurrency slots.

    `fairque-worker healthcheck --help` describes probes. To manage users and settings, and to check a server or a
    queue, use the command `fairque` (package fairque-console).
    """
    code = exits.STOPPED
    try:
        settings = given.load(WorkerSettings)
        configure_log(settings.log.level, settings.log.format)
        names = modules or settings.worker.modules
        if not names:
            raise click.UsageError("name at least one MODULE with task functions, or worker.modules in --config")
        blank = [name for name in names if not all(part.strip() for part in name.split(":"))]
        if blank:
            raise click.UsageError(f"{blank[0]!r} is neither MODULE nor MODULE:ATTR")
        if addresses := [name for name in names if "://" in name]:
            raise click.UsageError(f"{addresses[0]!r} is an address: give it with --url, and name a MODULE")
        if files := [name for name in names if _is_file(name)]:
            raise click.UsageError(f"{files[0]!r} is a file: name its module, {_module_of(files[0])!r}")
        if supervised is None and (processes > 1 or os.getpid() == 1):
            sys.exit(Supervisor(_options_given(), processes, burst=burst).run())
        sys.path.insert(0, working_folder())
        worker = _created(settings, names, supervised, burst=burst)
        worker.run(again=(supervised or "").endswith(":again"))
    except FairqueError as error:
        code = _refused(error)
        if isinstance(error, CannotImport) and modules[:1] and modules[0] in _MOVED:
            say(f"If you mean the command, run fairque {modules[0]} (package fairque-console)")
    sys.exit(code)


def command() -> NoReturn:
    """Run the command ``fairque-worker``."""
    run_command(partial(main, prog_name="fairque-worker"))


def _created(settings: WorkerSettings, names: tuple[str, ...], supervised: str | None, *, burst: bool) -> Worker:
    """Create the worker, whose run may then raise a ValueError of user code that says nothing about the settings.

    Raises:
        FairqueError: A module cannot be imported, or a setting is invalid.
    """
    try:
        options = evolve(settings.worker, modules=tuple(name.partition(":")[0] for name in names))
        if supervised is not None:
            options = _under_supervisor(supervised, options)
        return Worker(evolve(settings, worker=options), _handler(names), burst=burst)
    except FairqueError:
        raise
    except ValueError as error:
        raise ConfigurationError([str(error)]) from error


def _is_file(name: str) -> bool:
    path = name.partition(":")[0]
    return "/" in path or (path.endswith(".py") and Path(path).is_file())


def _module_of(file: str) -> str:
    path, *rest = file.split(":", 1)
    parts = [part for part in Path(path.removesuffix(".py")).parts if part not in ("/", "..")]
    return ":".join([".".join(parts), *rest])


def _under_supervisor(supervised: str, options: WorkerSection) -> WorkerSection:
    """Become one of several worker processes, which ends with its supervisor; return options with its name and port."""
    parent, number, *_ = supervised.split(":")
    die_with_parent(signal.SIGTERM)
    if os.getppid() != int(parent):
        sys.exit(exits.STOPPED)
    port = options.http_port and options.http_port + int(number) - 1
    return evolve(options, name=f"{options.name[:_NAME_LIMIT]}-{number}", http_port=port)


def _handler(names: tuple[str, ...]) -> str | None:
    handlers = [name for name in names if ":" in name]
    if len(handlers) > 1:
        raise CannotImport(f"{len(handlers)} task handlers are named, but a worker has one")
    return handlers[0] if handlers else None


def _refused(error: FairqueError) -> int:
    say(exit_message("fairque-worker", error))
    return exits.exit_code(error)


def _options_given() -> list[str]:
    """Return the given arguments as the command line of worker processes; they inherit environment variables."""
    context = click.get_current_context()
    given: list[str] = []
    for parameter in context.command.params:
        name = parameter.name or ""
        value = context.params.get(name)
        if context.get_parameter_source(name) is not ParameterSource.COMMANDLINE or name == "processes":
            continue
        if isinstance(parameter, click.Option) and parameter.is_flag:
            given.append(parameter.opts[0])
        elif isinstance(parameter, click.Option):
            changes = value or []
            values = ["{}.{}={}".format(*change) for change in changes] if parameter.multiple else [str(value)]
            given += [word for text in values for word in (parameter.opts[0], text)]
    return [*given, "--", *context.params["modules"]]
