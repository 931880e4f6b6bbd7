"""``fairque config``: shows and checks the settings."""

import click

from fairque.console.options import as_json, say, server_options, watchable
from fairque.protocol.service.options import Given
from fairque.protocol.service.usage import Group, echo

__all__ = ["command"]


@click.group("config", cls=Group)
def command() -> None:
    """Check settings, and show where each comes from. The server is not contacted."""


@command.command("show")
@server_options
@as_json
@watchable
def show(given: Given, *, as_json: bool) -> None:
    """Show all settings, and the file and line, variable or option that each comes from.

    Secrets are masked. The sections of worker and scheduler are shown if these packages are installed.
    """
    from fairque.console.effective import all_settings, lines_of, text_of

    settings, origins = given.trace(all_settings())
    lines = list(lines_of(settings, origins))
    keys = max(len(line.key) for line in lines)
    values = max(len(text_of(line.value)) for line in lines)
    texts = [f"{line.key:{keys}}  {text_of(line.value):{values}}  {line.origin}" for line in lines]
    say({line.key: {"value": line.value, "from": line.origin} for line in lines}, texts, as_json=as_json)


@command.command("schema")
def schema() -> None:
    """Write a JSON Schema of all settings, with which an editor completes and checks a file.

    It has the sections of all installed packages. For the YAML language server, write it to a file and start your
    configuration file with: # yaml-language-server: $schema=FILE
    """
    from fairque.console.effective import all_settings
    from fairque.console.schema import schema_of
    from fairque.protocol.jsonvalue import dumps

    echo(dumps(schema_of(all_settings(schedules=True))).decode())


@command.command("check")
@server_options
@as_json
@watchable
def check(given: Given, *, as_json: bool) -> None:
    """Show all problems of the settings, each with its file and line, variable or option.

    Schedules are checked, too, except whether their functions exist: no module is imported.
    """
    from fairque.console.effective import all_settings
    from fairque.protocol.config import mask_addresses
    from fairque.protocol.errors import ConfigurationError
    from fairque.protocol.service import aside
    from fairque.protocol.service.exit_message import exit_message
    from fairque.protocol.service.exits import exit_code

    try:
        given.load(all_settings(schedules=True))
    except ConfigurationError as error:
        if as_json:
            say({"problems": [mask_addresses(problem) for problem in error.problems]}, [], as_json=True)
        else:
            aside.say(exit_message("fairque", error))
        click.get_current_context().exit(exit_code(error))
    say({"problems": []}, ["all settings are valid"], as_json=as_json)
