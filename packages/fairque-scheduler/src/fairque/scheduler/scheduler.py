"""The scheduler: keeps schedules, and enqueues their tasks while it leads; any number may run, one of them leads."""

import os
import threading
from collections.abc import Iterable
from datetime import timedelta
from types import TracebackType
from typing import Self, Unpack

from prometheus_client import make_wsgi_app

from fairque.client import ClientSettings, Schedules
from fairque.client.link import Link
from fairque.protocol.calls.schedules import read_scheduler
from fairque.protocol.config import mask_url
from fairque.protocol.durations import as_seconds
from fairque.protocol.errors import FairqueError
from fairque.protocol.forks import inherits
from fairque.protocol.model.schedules import Schedule
from fairque.protocol.runners import Runner
from fairque.protocol.service.crashes import close_all, crash_of
from fairque.protocol.service.ending import ProgramEnd
from fairque.protocol.service.loading import import_modules
from fairque.protocol.service.patches import refuse_patches
from fairque.protocol.service.settings import filed_settings
from fairque.protocol.service.signals import Control
from fairque.protocol.service.web import Web
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.scripts import load_scripts
from fairque.scheduler.engine import Engine, State
from fairque.scheduler.keeping import missing
from fairque.scheduler.log import log
from fairque.scheduler.metrics import Metrics
from fairque.scheduler.settings import SchedulerOptions, SchedulerSettings, settings_from_url

__all__ = ["TaskScheduler"]

#: Beyond two leases: so long may calls to a server take that does not answer.
_STALLED_SECONDS = 60.0

#: Seconds for resigning when the program ends that has not stopped it.
_PROGRAM_END_SECONDS = 2.0
#: Missing schedules that a probe names.
_MOST_NAMED = 5


class TaskScheduler:
    """The schedules of a queue, and one of the processes that fire them.

    `start` makes it lead or stand by until `stop`; all other methods work without that, too. Each may raise
    `RedisUnavailable` when the server does not answer, and `ServerUnsuitable` when it must not hold a queue.

    Args:
        settings: Server, queue and scheduler; all defaults when left out.

    Attributes:
        schedules: The schedules of the queue, as ``queue.schedules`` of a `TaskQueue`.
        settings: The settings in use.
        metrics: What it counts.
    """

    def __init__(self, settings: SchedulerSettings | None = None) -> None:
        self.settings = settings or SchedulerSettings()
        self.metrics = Metrics(self.settings.queue.name)
        self._keys = QueueKeys(self.settings.queue.name)
        self._runner = Runner(self.settings.redis)
        self._link = Link(ClientSettings(redis=self.settings.redis, queue=self.settings.queue))
        self._control = Control()
        self._engine = Engine(self.settings, self._runner, self.metrics, self._control.tell)
        self.schedules = Schedules(
            self._link, modules=self.settings.scheduler.modules, on_apply=self._engine.keeper.declare
        )
        self.metrics.loop_age.set_function(lambda: self._engine.loop_age)
        self._web: Web | None = None
        self._lock = threading.Lock()
        self._started = self._stopped = False
        self._program_end = ProgramEnd(lambda: self.stop(_PROGRAM_END_SECONDS))
        inherits(self)

    def start_over(self) -> None:
        """In a forked child: a started scheduler has ended there. It continues in the parent."""
        self._lock = threading.Lock()
        self._stopped = self._stopped or self._started

    @classmethod
    def from_url(cls, url: str, *, queue: str = "default", **options: Unpack[SchedulerOptions]) -> Self:
        """Make a scheduler for a queue of the server at ``url``; ``options`` are the fields of `SchedulerSection`.

        Raises:
            ConfigurationError: With each of them that cannot be used.
            TypeError: There is no such option; the message says which may be meant.
        """
        return cls(settings_from_url(url, queue, options))

    @classmethod
    def from_config(
        cls, path: str | os.PathLike[str], *, queue: str | None = None, **options: Unpack[SchedulerOptions]
    ) -> Self:
        """Make a scheduler from a configuration file, over which ``FAIRQUE_SECTION_KEY`` variables and ``options`` win.

        Its section ``schedules`` is not applied: the command does that, or `schedules.apply`.

        Raises:
            ConfigurationError: With every problem of the file, each with its place.
            TypeError: There is no such option; the message says which may be meant.
        """
        return cls(filed_settings(SchedulerSettings, path, queue, "scheduler", options))

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
            grace = self.settings.scheduler.stop_timeout if seconds is None else seconds
            close_all(log, lambda: self._engine.stop(grace), self._close_web, self._link.close, self._runner.close)
        if self._started:
            log.info("scheduler stopped", scheduler=self.settings.scheduler.name)

    def missing_schedules(self, schedules: Iterable[Schedule]) -> list[str]:
        """Return the names of those that the queue does not have, though they have times from now on."""
        return [*missing(self._runner, self._keys, list(schedules))]

    def _close_web(self) -> None:
        web, self._web = self._web, None
        if web is not None:
            web.close()

    def _alive(self) -> tuple[bool, str]:
        age = self._engine.loop_age
        longest = 2 * self.settings.scheduler.lease + _STALLED_SECONDS
        return self.state in ("leader", "standby") and age < longest, f"{self.state}, went round {age:.1f} s ago"

    def _ready(self) -> tuple[bool, str]:
        if missing := self._engine.keeper.missing:
            named = ", ".join(missing[:_MOST_NAMED]) + (" …" if len(missing) > _MOST_NAMED else "")
            return False, f"{self.state}, {len(missing):,} declared schedules are missing: {named}"
        if self._engine.keeper.unchecked:
            return False, f"{self.state}, has not checked yet whether declared schedules are missing"
        return self._engine.ready, self.state
