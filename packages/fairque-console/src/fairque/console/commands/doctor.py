"""``fairque doctor``: checks whether server and queue are ready for use."""

import click

from fairque.console.options import as_json, say, server_options, watchable
from fairque.protocol.service.options import Given
from fairque.protocol.service.usage import Command

__all__ = ["command"]


@click.command("doctor", cls=Command)
@server_options
@click.option(
    "--role",
    default="worker",
    show_default=True,
    type=click.Choice(["producer", "worker", "scheduler", "viewer", "admin"]),
    help="The role whose rights are checked.",
)
@as_json
@watchable
def command(given: Given, *, role: str, as_json: bool) -> None:
    """Check whether the server and the queue are ready for use.

    Version, eviction, persistence, memory, role, clients, scripts, clock, latency, rights of the user, schema: each
    finding says why it matters and how to fix it. Nothing is changed.
    """
    from fairque.client import ClientSettings
    from fairque.console.doctor.examine import examine

    settings = given.load(ClientSettings)
    diagnosis = examine(settings.redis, settings.queue, role)
    say(diagnosis.as_dict(), diagnosis.lines(), as_json=as_json)
    click.get_current_context().exit(diagnosis.exit_code)
