"""``fairque verify``: checks whether the stored data of a queue is consistent."""

import click

from fairque.console.options import as_json, say, server_options, watchable
from fairque.protocol.service.options import Given
from fairque.protocol.service.usage import Command

__all__ = ["command"]


@click.command("verify", cls=Command)
@server_options
@click.option("--fix/--dry-run", default=False, help="Fix problems, or only report them.  [default: --dry-run]")
@as_json
@watchable
def command(given: Given, *, fix: bool, as_json: bool) -> None:
    """Check whether the data that the queue stores on the server is consistent.

    Workers and producers can keep running: each check is one atomic step. A large queue takes a while.
    """
    context = click.get_current_context()
    if fix and context.params["watch"] is not None:
        raise click.UsageError("--watch only reads: leave out --fix, or run the command without --watch.")
    from fairque.client import ClientSettings
    from fairque.console.verifier import verify
    from fairque.protocol.durations import to_ms
    from fairque.protocol.runners import Runner
    from fairque.protocol.wire.keys import QueueKeys

    settings = given.load(ClientSettings)
    runner = Runner(settings.redis)
    try:
        report = verify(
            runner,
            QueueKeys(settings.queue.name),
            fix,
            result_ttl_ms=to_ms(settings.queue.result_ttl, "result_ttl"),
            dead_ttl_ms=to_ms(settings.queue.dead_letter_ttl, "dead_letter_ttl"),
        )
    finally:
        runner.close()
    say(report.as_dict(), report.lines(), as_json=as_json)
    context.exit(1 if report.left else 0)
