"""``fairque schedules``: shows and controls schedules and their runs."""

import click

from fairque.console.options import as_json, opened, page_options, prefix_option, say, server_options, watchable
from fairque.protocol.service.options import Given
from fairque.protocol.service.usage import Group

__all__ = ["command"]


@click.group("schedules", cls=Group)
def command() -> None:
    """Show and control schedules and their runs."""


@command.command("list")
@server_options
@page_options
@prefix_option
@as_json
@watchable
def list_(given: Given, after: str | None, limit: int, prefix: str, *, as_json: bool) -> None:
    """List schedules ordered by id, and show which scheduler leads."""
    from fairque.console.schedule_tables import facts, page_table

    with opened(given) as queue_:
        page, status = queue_.schedules.list(after=after, limit=limit, prefix=prefix), queue_.schedules.status()
    summary = f"{status.leader} leads in term {status.term}" if status.leader else "no scheduler leads"
    more = [] if page.next is None else [f"more with --after {page.next!r}"]
    summary += f"; {status.schedules:,} schedules, {status.overdue:,} overdue"
    values = {
        "items": [facts(info) for info in page],
        "next": page.next,
        "scanned": page.scanned,
        "read_at": page.read_at,
        "problems": page.problems,
        "status": status,
    }
    say(values, [page_table(page), *page.problems, *more, summary], as_json=as_json)


@command.command("show")
@server_options
@click.argument("schedule_id")
@as_json
@watchable
def show(given: Given, schedule_id: str, *, as_json: bool) -> None:
    """Show a schedule: its definition, its next run, and its fired and missed runs."""
    from fairque.console.schedule_tables import facts

    with opened(given) as queue_:
        values = facts(queue_.schedules.get(schedule_id))
    width = max(map(len, values))
    lines = [f"{name:{width}}  {'' if value is None else value}" for name, value in values.items()]
    say(values, lines, as_json=as_json)


@command.command("upcoming")
@server_options
@click.argument("schedule_id", required=False)
@click.option("-n", "count", default=10, show_default=True, type=click.IntRange(1, 1_000), help="Runs to show.")
@as_json
@watchable
def upcoming(given: Given, schedule_id: str | None, count: int, *, as_json: bool) -> None:
    """Show the next runs of a schedule, or which schedules are due next."""
    from fairque.console.schedule_tables import times_table

    with opened(given) as queue_:
        if schedule_id is None:
            times = [(info.next_at, info) for info in queue_.schedules.upcoming(count) if info.next_at is not None]
        else:
            info, times = queue_.schedules.get(schedule_id), []
            if info.next_at is not None:
                later = info.schedule.upcoming(count - 1, after=info.next_at)
                times = [(at, info) for at in (info.next_at, *later)]
    rows = [{"schedule_id": info.schedule_id, "next_at": at} for at, info in times]
    say(rows, [times_table(times) if times else "no runs"], as_json=as_json)


@command.command("fire")
@server_options
@click.argument("schedule_id")
@as_json
def fire(given: Given, schedule_id: str, *, as_json: bool) -> None:
    """Push the task of a schedule now, and show its id. It does not count as a run."""
    with opened(given) as queue_:
        task_id = queue_.schedules.fire(schedule_id).task_id
    say({"task_id": task_id}, [task_id], as_json=as_json)


@command.command("pause")
@server_options
@click.argument("schedule_id")
@as_json
def pause(given: Given, schedule_id: str, *, as_json: bool) -> None:
    """Stop firing a schedule until it is resumed. Tasks that it already enqueued are kept."""
    with opened(given) as queue_:
        changed = queue_.schedules.pause(schedule_id)
    say({"changed": changed}, ["paused" if changed else "it was already paused"], as_json=as_json)


@command.command("resume")
@server_options
@click.argument("schedule_id")
@as_json
def resume(given: Given, schedule_id: str, *, as_json: bool) -> None:
    """Resume a schedule with its first run after now."""
    with opened(given) as queue_:
        changed = queue_.schedules.resume(schedule_id)
    say({"changed": changed}, ["resumed" if changed else "it was not paused"], as_json=as_json)


@command.command("delete")
@server_options
@click.argument("schedule_id")
@as_json
def delete(given: Given, schedule_id: str, *, as_json: bool) -> None:
    """Delete a schedule. Tasks that it already enqueued are kept."""
    with opened(given) as queue_:
        changed = queue_.schedules.delete(schedule_id)
    say({"changed": changed}, ["deleted" if changed else "it did not exist"], as_json=as_json)
