"""Keeps in the queue what was declared: schedules and limits, also when the server has lost its data."""

import threading
from collections.abc import Iterable, Sequence

from fairque.client.schedule_plans import applying
from fairque.client.steps import carried_out
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
#: Seconds between two looks, however often schedules change, and before one that failed is made again.
_BREATH = 5.0
#: Names that are told.
_TOLD = 10


class Keeper:
    """Checks that the queue has what was declared, and restores what the server lost.

    What is lost, and not just removed by somebody: the queue is another one than before, or in an older state; or
    something is missing when the connection comes back, or at the first look.

    Args:
        runner: The server.
        keys: The queue.
        message_limit: Bytes of the largest message of a task.
        fairness: The limits of the file.
        metrics: Where it counts.

    Attributes:
        missing: The declared schedules that the queue did not have when it looked last.
    """

    def __init__(
        self, runner: Runner, keys: QueueKeys, message_limit: int, fairness: FairnessSection, metrics: Metrics
    ) -> None:
        self._runner, self._keys, self._message_limit, self._metrics = runner, keys, message_limit, metrics
        self._limits = LimitsKeeper(runner, keys, fairness, _say)
        self._schedules: tuple[Schedule, ...] = ()
        self._seen = NO_EDITION
        # Guards the next three: the thread that listens sets them while another one looks.
        self._lock = threading.Lock()
        self._stale = self._suspicious = True
        self._not_before = 0.0
        self._lost = False
        self._problem = ""
        self.missing: tuple[str, ...] = ()

    def declare(self, schedules: Iterable[Schedule]) -> None:
        """Take in what the queue was made to have just now."""
        self._schedules = tuple(schedules)
        self.outdate()

    def outdate(self, *, suspicious: bool = False) -> None:
        """Take in that schedules have changed, or with ``suspicious`` that the connection was lost."""
        with self._lock:
            self._stale = True
            if suspicious:
                self._suspicious, self._not_before = True, 0.0

    def hear(self, edition: Edition) -> None:
        """Take in which queue the server has."""
        if self._seen != NO_EDITION and edition.lost(self._seen):
            log.warning("the server has lost data of this queue", born=edition.born, changes=edition.changes)
            self._lost = True
            self.outdate(suspicious=True)
        self._seen = edition

    def seconds_to_rest(self) -> float:
        """Return for how long there is nothing to look at."""
        if not self._stale or not (self._schedules or self._limits.keeps):
            return float("inf")
        return max(0.0, self._not_before - clock.monotonic())

    def look(self) -> None:
        """Restore what was lost. A look that fails is made again.

        Raises:
            RedisUnavailable: The server did not answer.
        """
        # Taken before it looks: what it is told meanwhile counts for the next look.
        with self._lock:
            suspicious, self._suspicious, self._stale = self._suspicious, False, False
            self._not_before = clock.monotonic() + _BREATH
        try:
            self._look_at_schedules(suspicious=suspicious)
            if suspicious:
                self._limits.look()
        except Exception as error:
            with self._lock:
                self._stale, self._suspicious = True, self._suspicious or suspicious
            if not isinstance(error, FairqueError) or isinstance(error, RedisUnavailable):
                raise
            # It must hold up no schedule that there is.
            if self._problem != str(error):
                log.error("what is declared cannot be applied again: it is tried again", error=str(error))
            self._problem = str(error)
        else:
            self._lost, self._problem = False, ""

    def _look_at_schedules(self, *, suspicious: bool) -> None:
        known_to_be_missing = self.missing
        self._read_missing()
        if self._lost or (suspicious and self.missing):
            steps = applying(self._keys, self._schedules, message_limit=self._message_limit)
            planned = carried_out(self._runner.run, self._runner.run_all, steps)
            for line in planned.changes:
                log.warning("applied again", change=line)
            self._read_missing()
        if self.missing and self.missing != known_to_be_missing:
            hint = "apply the file again, or take them out of it"
            told = self.missing[:_TOLD]
            log.warning("declared schedules are missing", number=len(self.missing), schedules=told, hint=hint)

    def _read_missing(self) -> None:
        self.missing = missing(self._runner, self._keys, self._schedules)
        self._metrics.missing.set(len(self.missing))


def missing(runner: Runner, keys: QueueKeys, declared: Sequence[Schedule]) -> tuple[str, ...]:
    """Return the names of those that the queue does not have, and that would have times from now on.

    Raises:
        FairqueError: The server did not answer, or cannot be worked with.
    """
    absent: list[Schedule] = []
    rest, now_ms = list(declared), 0
    while rest:
        now_ms, known, told = runner.run(read_known(keys, [one.schedule_id for one in rest[:_READ]]))
        absent += [one for one in rest[:told] if one.schedule_id not in known]
        rest = rest[told:]
    return tuple(one.schedule_id for one in absent if time_after(one, now_ms) is not None)


def _say(what: str, changes: list[str]) -> None:
    log.warning(what)
    for line in changes:
        log.warning("applied again", change=line)
