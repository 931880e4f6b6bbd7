"""``fairque schedules``: what fires when, and control of it."""

from pathlib import Path

import click

from fairque.console.cli import CODES
from fairque.console.options import as_json, located, opened, page_options, say, server_options
from fairque.protocol.service.usage import Group

__all__ = ["command"]


@click.group("schedules", cls=Group, epilog=CODES)
def command() -> None:
    """Show and control schedules, and when they fire."""


@command.command("list")
@server_options
@page_options
@as_json
def list_(
    config: Path | None, url: str | None, queue: str | None, after: str | None, limit: int, *, as_json: bool
) -> None:
    """List schedules in the order of their ids, and say which scheduler leads."""
    from attrs import asdict

    from fairque.console.schedule_tables import facts, page_table

    with opened(config, url, queue) as queue_:
        page, status = queue_.schedules.list(after=after, most=limit), queue_.schedules.status()
    leads = f"{status.leader} leads in term {status.term}" if status.leader else "nobody leads"
    more = [] if page.next is None else [f"more with --after {page.next!r}"]
    problems = [one.problem for one in page.unreadable]
    leads += f"; {status.schedules:,} schedules, {status.overdue:,} overdue"
    told = {
        "at_ms": page.at_ms,
        "next": page.next,
        "schedules": [facts(info) for info in page],
        "unreadable": [asdict(one) for one in page.unreadable],
        "status": asdict(status),
    }
    say(told, [page_table(page), *problems, *more, leads], as_json=as_json)


@command.command("show")
@server_options
@click.argument("schedule_id")
@as_json
def show(config: Path | None, url: str | None, queue: str | None, schedule_id: str, *, as_json: bool) -> None:
    """Show a schedule: its definition, its next time, what it fired and what it missed."""
    from fairque.console.schedule_tables import facts

    with opened(config, url, queue) as queue_:
        found = facts(queue_.schedules.get(schedule_id))
    width = max(map(len, found))
    say(found, [f"{name:{width}}  {'' if value is None else value}" for name, value in found.items()], as_json=as_json)


@command.command("upcoming")
@server_options
@click.argument("schedule_id", required=False)
@click.option("-n", "count", default=10, show_default=True, type=click.IntRange(1, 1_000), help="Times to show.")
@as_json
def upcoming(
    config: Path | None, url: str | None, queue: str | None, schedule_id: str | None, count: int, *, as_json: bool
) -> None:
    """Show the next times of a schedule, or which schedules are due next.

    It needs the package fairque-scheduler, which computes times.
    """
    from fairque.console.schedule_tables import shown, times_table

    try:
        from fairque.scheduler import SchedulerSettings, TaskScheduler
        from fairque.protocol.model.schedule_times import time_after
    except ImportError:
        raise click.ClickException("upcoming needs fairque-console[schedules]") from None
    settings = located(config, url, queue)
    with TaskScheduler(SchedulerSettings(redis=settings.redis, queue=settings.queue)) as scheduler:
        if schedule_id is None:
            found = scheduler.next_schedules(count)
            times = [(info.next_at, info) for info in found if info.next_at is not None]
        else:
            info = scheduler.get_schedule(schedule_id)
            times, at = [], info.next_at
            while at is not None and len(times) < count:
                times.append((at, info))
                at = time_after(info.schedule, at)
    rows = [{"schedule": info.schedule_id, "at_ms": at, "at": shown(at, info.schedule)} for at, info in times]
    say(rows, [times_table(times) if times else "no times"], as_json=as_json)


@command.command("pause")
@server_options
@click.argument("schedule_id")
def pause(config: Path | None, url: str | None, queue: str | None, schedule_id: str) -> None:
    """Stop firing a schedule until it is resumed. Tasks that it already enqueued are kept."""
    with opened(config, url, queue) as queue_:
        click.echo("paused" if queue_.schedules.pause(schedule_id) else "it was paused already")


@command.command("resume")
@server_options
@click.argument("schedule_id")
def resume(config: Path | None, url: str | None, queue: str | None, schedule_id: str) -> None:
    """Fire a schedule again, from its first time after now."""
    with opened(config, url, queue) as queue_:
        click.echo("resumed" if queue_.schedules.resume(schedule_id) else "it was not paused")


@command.command("delete")
@server_options
@click.argument("schedule_id")
def delete(config: Path | None, url: str | None, queue: str | None, schedule_id: str) -> None:
    """Delete a schedule. Tasks that it already enqueued are kept."""
    with opened(config, url, queue) as queue_:
        click.echo("deleted" if queue_.schedules.remove(schedule_id) else "there was none")
