"""``fairque-worker config``: which settings a worker would have, and where each comes from."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from attrs import asdict, fields, frozen, has

from fairque.protocol.config import is_secret, mask_addresses, mask_url
from fairque.protocol.jsonvalue import dumps
from fairque.protocol.service.settings import Option, read_settings
from fairque.worker.settings import WorkerSettings
from fairque.worker.usage import Command
from fairque.console.commands.users import server_options

__all__ = ["config_command"]


@frozen
class _Line:
    """One setting, its value as it may be shown, and where that comes from."""

    key: str
    value: Any
    origin: str


@click.command(
    "config",
    cls=Command,
    epilog="Exit codes: 0 all can be used, 2 wrong usage, 78 wrong configuration, with all that is wrong.",
)
@server_options
@click.option("--concurrency", type=int, help="Tasks at a time.", envvar="FAIRQUE_WORKER_CONCURRENCY", show_envvar=True)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def config_command(
    config: Path | None, url: str | None, queue: str | None, concurrency: int | None, *, as_json: bool
) -> None:
    """Show the settings that a worker would have, and the line, variable or option that each comes from.

    Secrets are masked. Nothing is asked of the server, so it also checks a file before it is used.
    """
    options = [
        Option("--url", "redis", "url", url),
        Option("--queue", "queue", "name", queue),
        Option("--concurrency", "worker", "concurrency", concurrency),
    ]
    settings, origins = read_settings(config, WorkerSettings, options)
    for option in options:
        if option.value is not None:
            origins[f"{option.section}.{option.key}"] = f"{option.name}, or FAIRQUE_WORKER_{option.name[2:].upper()}"
    lines = list(_lines(settings, origins))
    if as_json:
        click.echo(dumps({line.key: {"value": line.value, "from": line.origin} for line in lines}))
        return
    keys = max(len(line.key) for line in lines)
    values = max(len(_text(line.value)) for line in lines)
    for line in lines:
        click.echo(f"{line.key:{keys}}  {_text(line.value):{values}}  {line.origin}")


def _lines(settings: WorkerSettings, origins: dict[str, str]) -> Iterator[_Line]:
    for section in fields(type(settings)):
        values = getattr(settings, section.name)
        for one in fields(type(values)):
            key = f"{section.name}.{one.name}"
            value = getattr(values, one.name)
            if isinstance(value, str) and is_secret(key):
                value = mask_url(value)
            elif isinstance(value, str):
                value = mask_addresses(value)
            elif isinstance(value, tuple):
                value = tuple(map(mask_addresses, value))
            within = (origin for name, origin in origins.items() if name == key or name.startswith(f"{key}."))
            yield _Line(key, _plain(value), next(within, "default"))


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; of limits, those that are set."""
    if has(type(value)):
        return {name: one for name, one in asdict(value).items() if one is not None}
    return {name: _plain(one) for name, one in value.items()} if isinstance(value, dict) else value


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return dumps(value).decode()
    return "null" if value is None else ", ".join(value) if isinstance(value, tuple) else str(value)
