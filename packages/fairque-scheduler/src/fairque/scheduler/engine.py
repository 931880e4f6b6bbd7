"""The loop that leads or stands by. It rests until the next run of a schedule, or until a change is notified."""

from collections.abc import Callable
from contextlib import suppress
from typing import Literal, TypeAlias

from fairque.protocol import clock
from fairque.protocol.durations import to_ms
from fairque.protocol.errors import FairqueError, SchemaMismatch
from fairque.protocol.runners import Runner, Subscription
from fairque.protocol.service.supervision import Service
from fairque.protocol.wire.keys import QueueKeys
from fairque.scheduler.agenda import Agenda
from fairque.scheduler.keeping import Keeper
from fairque.scheduler.leadership import Lead
from fairque.scheduler.log import log
from fairque.scheduler.metrics import Metrics
from fairque.scheduler.settings import SchedulerSettings

__all__ = ["Engine", "State"]

State: TypeAlias = Literal["stopped", "standby", "leader", "crashed"]

#: The first and the longest pause after an error, in seconds.
_PAUSE, _LONGEST_PAUSE = 0.05, 1.0


class Engine:
    """Leads or stands by, in its own thread.

    Args:
        settings: Server, queue and scheduler.
        runner: The server.
        metrics: The metrics to update.
        on_crash: Called when the loop has crashed.

    Attributes:
        keeper: Checks that the queue has everything that was declared.
        crash: The error that ended the loop; None if there was none.
    """

    def __init__(
        self, settings: SchedulerSettings, runner: Runner, metrics: Metrics, on_crash: Callable[[], None]
    ) -> None:
        self._keys = QueueKeys(settings.queue.name)
        self._runner, self._metrics, self._on_crash = runner, metrics, on_crash
        self._lease = settings.scheduler.lease
        self._lead = Lead(runner, self._keys, settings.scheduler.name, self._lease)
        self._agenda = Agenda(runner, self._keys, to_ms(settings.queue.result_ttl, "result_ttl"), metrics)
        self.keeper = Keeper(runner, self._keys, settings.queue.message_limit, settings.fairness, metrics)
        # Set by the listener, before it rings.
        self._vacant = True
        self._resigned = False
        self._pause = 0.0
        self._went_round = clock.monotonic()
        self._subscription: Subscription | None = None
        # A leader that fails for longer than its lease has lost the lead anyway.
        self._service = Service(
            "fairque-scheduler",
            self._step,
            patience=self._lease,
            on_death=self._die,
            log=log,
            fatal=(SchemaMismatch,),
        )
        self.crash: BaseException | None = None

    @property
    def state(self) -> State:
        """The present state."""
        if self.crash is not None:
            return "crashed"
        if not self._service.alive:
            return "stopped"
        return "leader" if self._lead.held else "standby"

    @property
    def ready(self) -> bool:
        """Whether it leads or stands by, and the server answers."""
        return self.state in ("leader", "standby") and not self._resigned and not self._pause

    @property
    def loop_age(self) -> float:
        """Seconds since the last turn of the loop: never much more than a lease."""
        return clock.monotonic() - self._went_round

    def start(self) -> None:
        """Subscribe to changes, and start the loop.

        Raises:
            FairqueError: The server did not answer, or cannot be used.
        """
        self._subscription = self._runner.listen(self._keys.changed, self._hear, self._hear_all)
        self._service.start()

    def pause(self) -> None:
        """Resign and fire nothing until `resume`."""
        self._resigned = True
        self._service.ring()

    def resume(self) -> None:
        """Try to lead again."""
        self._vacant = True
        self._resigned = False
        self._service.ring()

    def stop(self, seconds: float) -> bool:
        """Resign and end the loop; return whether it has ended within so many seconds."""
        ended = self._service.stop(seconds)
        if ended:
            self._resign()
        if self._subscription is not None:
            self._subscription.close()
        return ended

    def _hear(self, message: bytes) -> None:
        if message == b"leader":
            self._vacant = True
            self._service.ring()
            return
        self._agenda.outdate()
        self.keeper.outdate()
        # A scheduler that stands by does not need changes of schedules.
        if self._lead.held:
            self._service.ring()

    def _hear_all(self) -> None:
        self._vacant = True
        self.keeper.outdate(suspicious=True)
        self._agenda.outdate()
        self._service.ring()

    def _die(self, _: str, error: BaseException) -> None:
        """End this scheduler, and report its crash; another one takes over."""
        self.crash = error
        with suppress(Exception):
            log.error("the scheduler crashed", exc_info=error)
        self._resign()
        self._on_crash()

    def _resign(self) -> None:
        self._metrics.is_leader.set(0)
        with suppress(Exception):
            self._lead.resign()

    def _step(self) -> None:
        self._service.rest(self._go_round())

    def _go_round(self) -> float:
        try:
            rest = self._turn()
        except SchemaMismatch:
            raise
        except Exception as error:
            # The state in memory may be inconsistent.
            self._agenda.clear()
            if not isinstance(error, FairqueError):
                raise
            if not self._pause:
                log.warning("cannot continue, and tries again", error=str(error))
            rest = self._pause = min(_LONGEST_PAUSE, 2 * self._pause or _PAUSE)
        else:
            self._pause = 0.0
        self._went_round = clock.monotonic()
        self._metrics.is_leader.set(int(self._lead.held))
        return rest

    def _turn(self) -> float:
        """Do the most urgent work, and return the seconds until there is more."""
        if self._resigned:
            self._lead.resign()
            return self._lease
        if self._vacant or clock.monotonic() >= self._lead.ask_at:
            self._vacant = False
            try:
                begins = self._lead.ask()
            except FairqueError:
                # The notification that the lead is free is not repeated.
                self._vacant = True
                raise
            self.keeper.note_edition(self._lead.edition)
            if begins:
                self._metrics.leader_changes.inc()
                self._agenda.clear()
        if not self.keeper.seconds_to_rest():
            self.keeper.look()
        if not self._lead.held:
            self._metrics.due.set(0)
            # At most this scheduler's lease, by which a probe judges the loop; the leader's lease may be longer.
            return min(max(0.0, self._lead.ask_at - clock.monotonic()), self._lease)
        if self._agenda.wants_reading():
            self._agenda.read()
        fired = self._agenda.fire(self._lead.term)
        if fired is None:
            log.warning("another scheduler leads", term=self._lead.term)
            self._lead.lose()
            return 0.0
        if fired or self._agenda.prepare():
            return 0.0
        rest = min(self._agenda.seconds_to_rest(), self.keeper.seconds_to_rest())
        return min(max(0.0, self._lead.ask_at - clock.monotonic()), rest)
