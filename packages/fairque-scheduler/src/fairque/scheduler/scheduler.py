"""The scheduler: keeps schedules, and enqueues their tasks while it leads; any number may run, one of them leads."""

import threading
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from attrs import evolve
from prometheus_client import make_wsgi_app

from fairque.protocol.calls import (
    Storing,
    due,
    enable,
    read_schedule,
    read_scheduler,
    read_schedules,
    read_some,
    schedule,
    unschedule,
)
from fairque.protocol.config import mask_url
from fairque.protocol.durations import as_seconds
from fairque.protocol.errors import FairqueError, InvalidSchedule, ProtocolError, ScheduleNotFound
from fairque.protocol.model.schedules import Schedule, ScheduleInfo, SchedulePage, SchedulerStatus
from fairque.protocol.runners import Runner
from fairque.protocol.runners.forks import inherits
from fairque.protocol.service.crashes import close_all, crash_of
from fairque.protocol.service.ending import ProgramEnd
from fairque.protocol.service.loading import import_modules
from fairque.protocol.service.patches import refuse_patches
from fairque.protocol.service.signals import Control
from fairque.protocol.service.web import Web
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.scripts import load_scripts
from fairque.client.schedule_plans import Plan, apply
from fairque.client.schedule_checks import all_problems, problems_of_all, why_never
from fairque.scheduler.engine import Engine, State
from fairque.scheduler.keeping import missing
from fairque.scheduler.log import log
from fairque.scheduler.metrics import Metrics
from fairque.scheduler.misfires import overdue
from fairque.scheduler.settings import SchedulerSettings, settings_from_url
from fairque.protocol.model.schedule_times import time_after

__all__ = ["TaskScheduler"]

#: Beyond two leases: so long may calls to a server take that does not answer.
_STALLED_SECONDS = 60.0

#: Seconds for resigning when the program ends that has not stopped it.
_PROGRAM_END_SECONDS = 2.0
#: Milliseconds, more than three thousand years.
_EVER_MS = 10**14
#: Schedules that are over, beyond which it is not looked for those that are due next.
_OVER = 1_000
#: Names of schedules that a probe tells.
_TOLD = 5


class TaskScheduler:
    """The schedules of a queue, and one of the processes that fire them.

    `start` makes it lead or stand by until `stop`; all other methods work without that, too. Each may raise
    `RedisUnavailable` when the server does not answer, and `ServerUnsuitable` when it must not hold a queue.

    Args:
        settings: Server, queue and scheduler; all defaults when left out.

    Attributes:
        settings: The settings in use.
        metrics: What it counts.
    """

    def __init__(self, settings: SchedulerSettings | None = None) -> None:
        self.settings = settings or SchedulerSettings()
        self.metrics = Metrics(self.settings.queue.name)
        self._keys = QueueKeys(self.settings.queue.name)
        self._runner = Runner(self.settings.redis)
        self._control = Control()
        self._engine = Engine(self.settings, self._runner, self.metrics, self._control.tell)
        self.metrics.loop_age.set_function(lambda: self._engine.loop_age)
        self._web: Web | None = None
        self._lock = threading.Lock()
        self._started = self._stopped = False
        self._program_end = ProgramEnd(lambda: self.stop(_PROGRAM_END_SECONDS))
        inherits(self)

    def begin_anew(self) -> None:
        """In a forked child: a started scheduler has ended there. It continues in the parent."""
        self._lock = threading.Lock()
        self._stopped = self._stopped or self._started

    @classmethod
    def from_url(cls, url: str, *, queue: str = "default", **options: Any) -> Self:
        """Make a scheduler for a queue of the server at ``url``; ``options`` are the fields of `SchedulerOptions`.

        Raises:
            ConfigurationError: One of them cannot be used, or is not an option; the message names it.
        """
        return cls(settings_from_url(url, queue, options))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def state(self) -> State:
        """``leader``, ``standby``, ``stopped`` (also before `start`) or ``crashed``."""
        return self._engine.state

    @property
    def http_port(self) -> int | None:
        """The port on which it answers ``/livez``, ``/readyz`` and ``/metrics``; None where it does not."""
        return None if self._web is None else self._web.port

    def run(self) -> None:
        """Start, work until a signal, and stop. For the main thread of a process.

        Raises:
            SchemaMismatch: The queue is of another version, from the beginning or all of a sudden.
            FairqueError: A module cannot be imported, or the server or the queue cannot be worked with, and nothing was
                started; or the scheduler crashed.
        """
        # Here already, since a signal must end an import that never does.
        import_modules(self.settings.scheduler.modules)
        with self._control.hearing():
            self.start()
            self._control.wait()
            crash = self._engine.crash
            self.stop()
        if crash is not None:
            raise crash_of("the scheduler", crash)

    def start(self) -> None:
        """Lead or stand by, in threads of its own; safe to call twice.

        Raises:
            FairqueError: A module cannot be imported, the server or the queue cannot be worked with, the port is taken,
                or it was stopped; nothing was started.
        """
        with self._lock:
            if self._stopped:
                raise FairqueError("this scheduler was stopped: make a new TaskScheduler")
            if self._started:
                return
            options = self.settings.scheduler
            import_modules(options.modules)
            refuse_patches("scheduler")
            # All that it will need is read now: an upgrade in place must not give a running one parts of another.
            load_scripts()
            self._runner.run(read_scheduler(self._keys))
            self._runner.require(self._keys, "scheduler")
            if options.http_port is not None:
                probes = {"/livez": self._alive, "/readyz": self._ready}
                self._web = Web(
                    options.http_host,
                    options.http_port,
                    "scheduler.http_port",
                    probes,
                    {"/metrics": make_wsgi_app(self.metrics.registry)},
                )
            try:
                self._engine.start()
                self._program_end.watch()
            except BaseException:
                self._close_web()
                raise
            self._started = True
        server = mask_url(self.settings.redis.url)
        log.info("scheduler started", scheduler=options.name, server=server, queue=self._keys.name)

    def pause(self) -> None:
        """Resign, and neither lead nor fire until `resume`; another one takes over at once."""
        self._engine.pause()

    def resume(self) -> None:
        """Lead or stand by again after `pause`."""
        self._engine.resume()

    def stop(self, timeout: float | timedelta | None = None) -> None:
        """Resign, so that another one takes over at once, and close the connections; safe to call twice.

        In a forked child it does nothing: the scheduler is its parent's.

        Args:
            timeout: Seconds that a call to the server may yet take, or a timedelta; None takes the settings' grace.
        """
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
            self._program_end.cancel()
            seconds = as_seconds(timeout)
            grace = self.settings.scheduler.grace_seconds if seconds is None else seconds
            close_all(log, lambda: self._engine.stop(grace), self._close_web, self._runner.close)
        if self._started:
            log.info("scheduler stopped", scheduler=self.settings.scheduler.name)

    def add_schedule(self, schedule: Schedule) -> ScheduleInfo:
        """Add a schedule and return what is known of it. The very same one again changes nothing.

        One that has no time any more, such as ``at`` a moment that is past, makes room: a new one takes its id while it
        is still known. Its numbers continue, and its tasks have other ids, as their times are others.

        Raises:
            InvalidSchedule: With all that is wrong with it, or why it has no time from now on; so the very same moment
                is refused once it is past, be it fired or not. Nothing was stored.
            ScheduleConflict: Its id is taken by one with other content. Nothing was stored.
        """
        return self._store(schedule, 0)

    def update_schedule(self, schedule: Schedule, *, revision: int | None = None) -> ScheduleInfo:
        """Change a schedule and return what is known of it.

        If its times are unchanged, so is its next run. Otherwise it continues with the first run from now on, and runs
        that were due but not yet fired are counted as missed.

        Args:
            schedule: The new definition; where ``enabled`` is None, it fires or not as before.
            revision: Only if it still has this one, as `get_schedule` told; None changes it in any case.

        Raises:
            InvalidSchedule: With all that is wrong with it. Nothing was stored.
            ScheduleNotFound: There is none of that id.
            ScheduleConflict: It has another revision. Nothing was stored.
        """
        if revision == 0:
            raise InvalidSchedule([f"schedule {schedule.schedule_id!r}: revision 0 is that of a new one: add it"])
        return self._store(schedule, revision)

    def remove_schedule(self, schedule_id: str) -> bool:
        """Remove a schedule, and return whether there was one. Tasks that it already enqueued are kept.

        Raises:
            InvalidSchedule: It cannot be the id of a schedule. Nothing was sent.
        """
        return self._runner.run(unschedule(self._keys, schedule_id))

    def pause_schedule(self, schedule_id: str) -> bool:
        """Stop firing a schedule, and return whether it was active.

        Its times that were due and not fired yet are missed, and counted so.

        Raises:
            ScheduleNotFound: There is none of that id.
            InvalidSchedule: It cannot be the id of a schedule. Nothing was sent.
        """
        known = self._known(schedule_id)
        late = None if known is None else overdue(known, self.status().at_ms)
        return self._runner.run(enable(self._keys, schedule_id, on=False, overdue=late))

    def resume_schedule(self, schedule_id: str) -> bool:
        """Fire a schedule again, from its first time after now on, and return whether it did not before.

        Raises:
            ScheduleNotFound: There is none of that id.
            InvalidSchedule: It cannot be the id of a schedule. Nothing was sent.
        """
        return self._runner.run(enable(self._keys, schedule_id, on=True))

    def get_schedule(self, schedule_id: str) -> ScheduleInfo:
        """Return what is known of a schedule.

        Raises:
            ScheduleNotFound: There is none of that id.
            InvalidSchedule: It cannot be the id of a schedule. Nothing was sent.
        """
        return _with_next(self._runner.run(read_schedule(self._keys, schedule_id)))

    def list_schedules(self, *, after: str | None = None, most: int = 100) -> SchedulePage:
        """Return a page of the schedules, in the order of their ids; it ends before it has more than 4 MiB.

        Args:
            after: ``next`` of the page before; None begins.
            most: Schedules of the page, 1 to 1,000.
        """
        page = self._runner.run(read_schedules(self._keys, after=after, most=most))
        return evolve(page, rows=tuple(map(_with_next, page.rows)))

    def apply_schedules(self, schedules: Iterable[Schedule], *, prune: bool = False, dry_run: bool = False) -> Plan:
        """Make these schedules those that the queue has of all declared ones, and return what that changed.

        New ones are added and others changed. Declared ones that are not among them any more are named in the answer
        and stay, and those that `add_schedule` made are left alone. Doing it again changes nothing.

        From then on this scheduler keeps them, while it runs: it applies them again when the server has lost data, and
        is not ready while one of them is missing.

        Args:
            schedules: What a configuration declares.
            prune: Remove declared ones that are not among them.
            dry_run: Change nothing.

        Raises:
            InvalidSchedule: With all that is wrong with any of them. Nothing was stored.
        """
        modules = self.settings.scheduler.modules
        import_modules(modules)
        declared = [one.evolve(declared=True) for one in schedules]
        if problems := problems_of_all(declared, modules):
            raise InvalidSchedule(problems)
        limit = self.settings.queue.message_limit
        planned = apply(self._runner, self._keys, declared, message_limit=limit, prune=prune, dry_run=dry_run)
        if not dry_run:
            self._engine.keeper.declare(declared)
        return planned

    def missing_schedules(self, schedules: Iterable[Schedule]) -> list[str]:
        """Return the names of those that the queue does not have, though they have times from now on."""
        return [*missing(self._runner, self._keys, list(schedules))]

    def next_schedules(self, most: int = 10) -> list[ScheduleInfo]:
        """Return the schedules that are due next, the earliest first; 1 to 1,000."""
        # Those that are over stand among them until they are forgotten.
        names = [name for name, _ in self._runner.run(due(self._keys, ahead_ms=_EVER_MS, most=most + _OVER)).times]
        found: list[ScheduleInfo] = []
        while names and len(found) < most:
            infos, told = self._read_some(names[:most])
            found += (info for info in map(_with_next, infos) if info.next_at is not None)
            names = names[told:]
        return sorted(found, key=lambda info: info.next_at or 0)[:most]

    def status(self) -> SchedulerStatus:
        """Return who leads, and how many schedules there are and are overdue."""
        return self._runner.run(read_scheduler(self._keys))

    def _store(self, one: Schedule, revision: int | None) -> ScheduleInfo:
        modules = self.settings.scheduler.modules
        import_modules(modules)
        if problems := all_problems(one, modules):
            raise InvalidSchedule(problems)
        # From the server's time, since the clock here may be wrong.
        now_ms, known = self.status().at_ms, self._known(one.schedule_id)
        next_at = time_after(one, now_ms)
        if revision == 0 and next_at is None:
            raise InvalidSchedule([why_never(one, now_ms, known)])
        late = None if known is None else overdue(known, now_ms)
        storing = Storing(schedule=one, revision=revision, next_at=next_at, overdue=late)
        self._runner.run(schedule(self._keys, [storing], message_limit=self.settings.queue.message_limit))
        return self.get_schedule(one.schedule_id)

    def _read_some(self, names: list[str]) -> tuple[tuple[ScheduleInfo, ...], int]:
        """Read schedules without those that cannot be read here, and say of how many names it tells."""
        try:
            return self._runner.run(read_some(self._keys, names))
        except ProtocolError:
            if len(names) == 1:
                return (), 1
        return tuple(info for name in names for info in self._read_some([name])[0]), len(names)

    def _known(self, schedule_id: str) -> ScheduleInfo | None:
        """Return what is known of a schedule, if there is one that can be read here."""
        with suppress(ScheduleNotFound, ProtocolError):
            return self._runner.run(read_schedule(self._keys, schedule_id))
        return None

    def _close_web(self) -> None:
        web, self._web = self._web, None
        if web is not None:
            web.close()

    def _alive(self) -> tuple[bool, str]:
        age = self._engine.loop_age
        longest = 2 * self.settings.scheduler.lease_seconds + _STALLED_SECONDS
        return self.state in ("leader", "standby") and age < longest, f"{self.state}, went round {age:.1f} s ago"

    def _ready(self) -> tuple[bool, str]:
        if missing := self._engine.keeper.missing:
            named = ", ".join(missing[:_TOLD]) + (" …" if len(missing) > _TOLD else "")
            return False, f"{self.state}, {len(missing):,} declared schedules are missing: {named}"
        return self._engine.ready, self.state


def _with_next(info: ScheduleInfo) -> ScheduleInfo:
    """Compute the next time where the leader has not yet, and where that can be done here."""
    if info.next_at is None and info.from_at is not None and info.enabled:
        with suppress(InvalidSchedule):
            return evolve(info, next_at=time_after(info.schedule, info.from_at))
    return info
