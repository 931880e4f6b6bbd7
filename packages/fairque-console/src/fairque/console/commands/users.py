"""``fairque users``: shows and controls the limits of users, their usage, and why they wait."""

from collections.abc import Callable
from typing import Any

import click

from fairque.console.options import as_json, opened, page_options, prefix_option, say, server_options, table, watchable
from fairque.protocol.limits import LIMITS, LimitName
from fairque.protocol.service.options import Given
from fairque.protocol.service.usage import Group

__all__ = ["command"]


class _OrNone(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic in newer releases of click
    """A number, or ``none``, which removes a limit; the range is checked where the limit is set."""

    name = "number or none"

    def __init__(self, kind: type[int] | type[float]) -> None:
        self._kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "none":
            return value
        try:
            return self._kind(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor none", param, ctx)


def _limit_options(*names: LimitName) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for name in reversed(names):
            rules = LIMITS[name]
            text = f"{rules.meaning[0].upper()}{rules.meaning[1:]}. `none` removes it."
            command = click.option(f"--{name}", type=_OrNone(int if rules.whole else float), help=text)(command)
        return command

    return decorate


def _changes(limits: dict[str, Any]) -> dict[str, Any]:
    given = {name: None if value == "none" else value for name, value in limits.items() if value is not None}
    if not given:
        raise click.UsageError(f"give at least one limit: {', '.join(f'--{name}' for name in limits)}")
    return given


def _say_changed(*, changed: bool, as_json: bool) -> None:
    say({"changed": changed}, ["changed" if changed else "nothing to change"], as_json=as_json)


@click.group("users", cls=Group)
def command() -> None:
    """Show and control the users of a queue."""


@command.command("list")
@server_options
@page_options
@prefix_option
@as_json
@watchable
def list_(given: Given, after: str | None, limit: int, prefix: str, *, as_json: bool) -> None:
    """List the users with queued or running tasks, or debts, ordered by id."""
    with opened(given) as queue_:
        page = queue_.users.list(after=after, limit=limit, prefix=prefix)
    rows = [
        (row.user_id, f"{row.weight:g}", f"{row.waiting:,}", f"{row.running:,}", f"{row.served:,.3f}", row.reason)
        for row in page
    ]
    lines = table([("user", "weight", "waiting", "running", "served", "reason"), *rows])
    if page.next is not None:
        lines.append(f"more with --after {page.next!r}")
    say(page, lines, as_json=as_json)


@command.command("show")
@server_options
@click.argument("user")
@as_json
@watchable
def show(given: Given, user: str, *, as_json: bool) -> None:
    """Show the tasks, the usage and the limits of USER, and why it waits."""
    from fairque.console.facts import facts_of_user

    with opened(given) as queue_:
        info = queue_.users.get(user)
    say(info, [str(info), *facts_of_user(info)], as_json=as_json)


@command.command("set")
@server_options
@click.argument("user")
@_limit_options("weight", "cap", "rate", "burst", "backlog")
@as_json
def set_(given: Given, user: str, *, as_json: bool, **limits: Any) -> None:
    """Set limits of USER; limits that are not given stay unchanged."""
    changes = _changes(limits)
    with opened(given) as queue_:
        _say_changed(changed=queue_.users.set(user, **changes), as_json=as_json)


@command.command("set-defaults")
@server_options
@_limit_options("cap", "rate", "burst", "backlog")
@as_json
def set_defaults(given: Given, *, as_json: bool, **limits: Any) -> None:
    """Set the limits of all users without limits of their own."""
    changes = _changes(limits)
    with opened(given) as queue_:
        _say_changed(changed=queue_.users.set_defaults(**changes), as_json=as_json)


@command.command("reset")
@server_options
@click.argument("user")
@as_json
def reset(given: Given, user: str, *, as_json: bool) -> None:
    """Remove all limits of USER, and its pause."""
    with opened(given) as queue_:
        _say_changed(changed=queue_.users.reset(user), as_json=as_json)


@command.command("pause")
@server_options
@click.argument("user")
@as_json
def pause(given: Given, user: str, *, as_json: bool) -> None:
    """Stop starting tasks of USER; running ones continue, and pushes are stored."""
    with opened(given) as queue_:
        _say_changed(changed=queue_.users.pause(user), as_json=as_json)


@command.command("resume")
@server_options
@click.argument("user")
@as_json
def resume(given: Given, user: str, *, as_json: bool) -> None:
    """Start tasks of USER again."""
    with opened(given) as queue_:
        _say_changed(changed=queue_.users.resume(user), as_json=as_json)
