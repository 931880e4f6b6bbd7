"""A wait for a wake-up and the call after it, as one request with a late answer, for which no thread blocks."""

from collections.abc import Sequence
from typing import Generic, TypeVar

from fairque.protocol.runners.line import Line
from fairque.protocol.runners.packing import pack, pack_command
from fairque.protocol.wire.call import Call

__all__ = ["WaitLine"]

T = TypeVar("T")


class WaitLine(Line, Generic[T]):
    """A `Line` on which a request may also wait. For one thread.

    `begin_wait` sends the wait, a selector on `fileno` notices the answer, and `receive_wait` reads it.
    """

    _call: Call[T] | None = None

    def begin_wait(self, keys: Sequence[str], seconds: float, call: Call[T], *, clear: str) -> None:
        """Wait until one of the lists has an element and take it, or for ``seconds``; then run a call.

        All of it takes one round trip.

        Args:
            keys: The lists; earlier ones take precedence.
            seconds: How long to wait.
            call: The call that runs after the wait, whatever ended it.
            clear: A key that is deleted between the two.

        Raises:
            FairqueError: The request could not be sent.
        """
        # For Redis, 0 means forever.
        wait = pack_command("BLPOP", *keys, max(seconds, 0.01)) + pack_command("DEL", clear)
        self._send([call], wait + pack([call]).commands, 3)
        self._call = call

    def receive_wait(self, seconds: float) -> tuple[str | None, T]:
        """Return the list that had an element, if any, and the decoded answer of the call.

        Args:
            seconds: How long to wait for the answer.

        Raises:
            RedisUnavailable: There is no answer; the call may have been run: send it again.
            FairqueError: The error that the answer reports.
        """
        call = self._call
        if call is None or not self.busy:
            raise RuntimeError("no wait is under way: begin one before its answer is read")
        self._call = None
        answers = self._answers(3, seconds)
        self._raise_errors(answers)
        taken, _, answer = answers
        return None if taken is None else bytes(taken[0]).decode(), call.decode(answer)
