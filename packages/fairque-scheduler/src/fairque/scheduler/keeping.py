"""Keeps declared schedules and limits in the queue, also after the server has lost data."""

import threading
from collections.abc import Iterable, Sequence

from fairque.client.schedule_plans import apply_schedules
from fairque.client.steps import run_steps
from fairque.protocol import clock
from fairque.protocol.calls.edition import NO_EDITION, Edition
from fairque.protocol.calls.schedules import read_known
from fairque.protocol.config import FairnessSection
from fairque.protocol.errors import FairqueError, RedisUnavailable
from fairque.protocol.model.schedule_times import time_after
from fairque.protocol.model.schedules import Schedule
from fairque.protocol.runners import Runner
from fairque.protocol.service.limits import LimitsKeeper
from fairque.protocol.wire.keys import QueueKeys
from fairque.scheduler.log import log
from fairque.scheduler.metrics import Metrics

__all__ = ["Keeper", "missing"]

#: Schedules that are read in one call.
_READ = 1_000
#: Fewest seconds between two checks, however often schedules change, and before a failed one is retried.
_PAUSE_SECONDS = 5.0
#: Most names in a warning.
_NAMED = 10


class Keeper:
    """Checks that the queue has everything that was declared, and restores what the server has lost.

    Data counts as lost, and not as removed on purpose, if the queue is a new one or in an older state, or if something
    is missing at the first check or after a reconnect.

    Args:
        runner: The server.
        keys: The queue.
        message_limit: Bytes of the largest message of a task.
        fairness: The limits of the file.
        metrics: The metrics to update.

    Attributes:
        missing: The declared schedules that the queue lacked at the last check.
    """

    def __init__(
        self, runner: Runner, keys: QueueKeys, message_limit: int, fairness: FairnessSection, metrics: Metrics
    ) -> None:
        self._runner, self._keys, self._message_limit, self._metrics = runner, keys, message_limit, metrics
        self._limits = LimitsKeeper(runner, keys, fairness, _say)
        self._schedules: tuple[Schedule, ...] = ()
        self._seen = NO_EDITION
        # Guards the next three: the thread that listens sets them while another one checks.
        self._lock = threading.Lock()
        self._stale = self._suspicious = True
        self._not_before = 0.0
        self._lost = False
        self._problem = ""
        self._checked = False
        self.missing: tuple[str, ...] = ()

    @property
    def unchecked(self) -> bool:
        """Whether schedules are declared and the queue has not been checked for them yet."""
        return bool(self._schedules) and not self._checked

    def declare(self, schedules: Iterable[Schedule]) -> None:
        """Store the declaration that was just applied to the queue."""
        self._schedules = tuple(schedules)
        self.outdate()

    def outdate(self, *, suspicious: bool = False) -> None:
        """Note that schedules have changed, or with ``suspicious`` that the connection was lost."""
        with self._lock:
            self._stale = True
            if suspicious:
                self._suspicious, self._not_before = True, 0.0

    def note_edition(self, edition: Edition) -> None:
        """Compare the edition of the queue with the one before."""
        if self._seen != NO_EDITION and edition.lost(self._seen):
            log.warning("the server has lost data of this queue", born=edition.born, changes=edition.changes)
            self._lost = True
            self.outdate(suspicious=True)
        self._seen = edition

    def seconds_to_rest(self) -> float:
        """Return the seconds until the next check."""
        if not self._stale or not (self._schedules or self._limits.keeps):
            return float("inf")
        return max(0.0, self._not_before - clock.monotonic())

    def look(self) -> None:
        """Check, and restore what was lost. A check that fails is retried.

        Raises:
            RedisUnavailable: The server did not answer.
        """
        # Reset before the check: notes that arrive during it count for the next one.
        with self._lock:
            suspicious, self._suspicious, self._stale = self._suspicious, False, False
            self._not_before = clock.monotonic() + _PAUSE_SECONDS
        try:
            self._check_schedules(suspicious=suspicious)
            if suspicious:
                self._limits.look()
        except Exception as error:
            with self._lock:
                self._stale, self._suspicious = True, self._suspicious or suspicious
            if not isinstance(error, FairqueError) or isinstance(error, RedisUnavailable):
                raise
            # It must not block the existing schedules.
            if self._problem != str(error):
                log.error("what is declared cannot be applied again: it is retried", error=str(error))
            self._problem = str(error)
        else:
            self._lost, self._problem = False, ""

    def _check_schedules(self, *, suspicious: bool) -> None:
        known_to_be_missing = self.missing
        self._read_missing()
        if self._lost or (suspicious and self.missing):
            steps = apply_schedules(self._keys, self._schedules, message_limit=self._message_limit)
            planned = run_steps(self._runner.run, self._runner.run_all, steps)
            for line in planned.changes:
                log.warning("applied again", change=line)
            self._read_missing()
        if self.missing and self.missing != known_to_be_missing:
            hint = "apply the file again, or take them out of it"
            named = self.missing[:_NAMED]
            log.warning("declared schedules are missing", number=len(self.missing), schedules=named, hint=hint)

    def _read_missing(self) -> None:
        self.missing = missing(self._runner, self._keys, self._schedules)
        self._checked = True
        self._metrics.missing.set(len(self.missing))


def missing(runner: Runner, keys: QueueKeys, declared: Sequence[Schedule]) -> tuple[str, ...]:
    """Return the ids of declared schedules that the queue lacks and that still have runs.

    Raises:
        FairqueError: The server did not answer, or cannot be used.
    """
    absent: list[Schedule] = []
    rest, now_ms = list(declared), 0
    while rest:
        now_ms, known, count = runner.run(read_known(keys, [schedule.schedule_id for schedule in rest[:_READ]]))
        absent += [schedule for schedule in rest[:count] if schedule.schedule_id not in known]
        rest = rest[count:]
    return tuple(schedule.schedule_id for schedule in absent if time_after(schedule, now_ms) is not None)


def _say(what: str, changes: list[str]) -> None:
    log.warning(what)
    for line in changes:
        log.warning("applied again", change=line)
