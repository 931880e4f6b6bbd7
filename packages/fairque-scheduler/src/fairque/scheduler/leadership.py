"""Who leads: this scheduler's part in it, by the answers of the server and its own monotonic clock."""

from fairque.protocol import clock
from fairque.protocol.calls import Leadership, lead
from fairque.protocol.calls.edition import NO_EDITION
from fairque.protocol.calls.fire import holder_of, name_of_holder
from fairque.protocol.durations import to_ms
from fairque.protocol.model.ids import new_nonce
from fairque.protocol.runners import Runner
from fairque.protocol.wire.keys import QueueKeys
from fairque.scheduler.log import log

__all__ = ["Lead"]

#: Of the lease, after which it is renewed.
_RENEWED = 1 / 3
#: Seconds after the end of another one's lease, so that it surely is over.
_MARGIN = 0.005


class Lead:
    """Asks for the lead, and keeps it.

    Args:
        runner: The server.
        keys: The queue.
        name: Of this scheduler; others may have the same.
        lease: How long it leads without renewing.

    Attributes:
        term: The term in which it leads or led last.
        ask_at: When to ask again, in seconds on the monotonic clock.
        edition: Which queue the server had when it answered last.
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
        """Whether it leads, for all that it knows."""
        return clock.monotonic() < self._until

    def ask(self) -> bool:
        """Ask for the lead, or renew it, and return whether it is new.

        Raises:
            FairqueError: The server did not answer, or cannot be worked with.
        """
        # Before the question: the server's lease can only end later than this.
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
        """Take in that somebody else rules: nothing may be done any more."""
        self._until = self.ask_at = 0.0

    def resign(self) -> None:
        """End the lead, so that another one begins at once.

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
