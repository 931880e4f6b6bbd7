"""Leadership: acquires, renews and resigns it, by the answers of the server and the monotonic clock."""

from fairque.protocol import clock
from fairque.protocol.calls.edition import NO_EDITION
from fairque.protocol.calls.fire import Leadership, lead
from fairque.protocol.durations import to_ms
from fairque.protocol.model.ids import new_nonce
from fairque.protocol.runners import Runner
from fairque.protocol.wire.holder import holder_of, name_of_holder
from fairque.protocol.wire.keys import QueueKeys
from fairque.scheduler.log import log

__all__ = ["Lead"]

#: The part of the lease after which it is renewed.
_RENEWED = 1 / 3
#: Seconds after the end of another scheduler's lease, so that it has surely ended.
_MARGIN = 0.005


class Lead:
    """Acquires the lead, and keeps it.

    Args:
        runner: The server.
        keys: The queue.
        name: Name of this scheduler; others may have the same.
        lease: Seconds that it leads without renewing.

    Attributes:
        term: The term in which it leads or last led.
        ask_at: When to call `ask` again, in seconds on the monotonic clock.
        edition: The edition of the queue in the last answer of the server.
    """

    def __init__(self, runner: Runner, keys: QueueKeys, name: str, lease: float) -> None:
        self._runner, self._keys, self._name, self._lease = runner, keys, name, lease
        self._until = 0.0
        self._holder, self._leader = holder_of(name, new_nonce()), ""
        self.term = 0
        self.ask_at = 0.0
        self.edition = NO_EDITION

    @property
    def held(self) -> bool:
        """Whether it leads, as far as it knows."""
        return clock.monotonic() < self._until

    def ask(self) -> bool:
        """Acquire or renew the lead, and return whether it is new.

        Raises:
            FairqueError: The server did not answer, or cannot be used.
        """
        # Read before the call: the server's lease can only end later than this.
        asked, led = clock.monotonic(), self.held
        answer = self._runner.run(lead(self._keys, self._holder, lease_ms=to_ms(self._lease, "lease")))
        self.edition = answer.edition
        if not answer.leads:
            self._stand_by(answer)
            return False
        self._until, self.ask_at = asked + self._lease, asked + self._lease * _RENEWED
        new = not led or answer.term != self.term
        if new:
            log.info("leads", scheduler=self._name, term=answer.term)
        self.term, self._leader = answer.term, self._holder
        return new

    def lose(self) -> None:
        """Note that another scheduler leads, so that this one stops acting as leader."""
        self._until = self.ask_at = 0.0

    def resign(self) -> None:
        """End the lead, so that another scheduler can lead at once.

        Raises:
            FairqueError: The server did not answer; the lead ends with its lease.
        """
        if self.held:
            self._until = 0.0
            self._runner.run(lead(self._keys, self._holder, lease_ms=0))
            log.info("resigned", scheduler=self._name, term=self.term)

    def _stand_by(self, answer: Leadership) -> None:
        self._until = 0.0
        self.ask_at = clock.monotonic() + answer.lease_ms / 1000 + _MARGIN
        if answer.holder != self._leader:
            log.info("stands by", scheduler=self._name, leader=name_of_holder(answer.holder), term=answer.term)
        self._leader = answer.holder
