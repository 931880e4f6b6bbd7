"""The server's time between two answers of it, from this process's monotonic clock: its wall clock decides nothing."""

from attrs import define

from fairque.protocol import clock

__all__ = ["ServerClock"]


@define
class ServerClock:
    """An estimate of the server's time that is never ahead of it, and behind it by the quickest round trip at most.

    An answer says what the server's time was at some moment between the question and the answer. So each gives a lower
    and an upper bound of the difference between the two clocks; the highest lower bound is kept while it is below all
    later upper bounds, and after that the server's clock was set back.
    """

    _ahead_ms: float | None = None

    def hear(self, at_ms: int, asked: float, heard: float) -> None:
        """Take in an answer.

        Args:
            at_ms: The server's time in it, in milliseconds.
            asked: When the question was sent, in seconds on the monotonic clock.
            heard: When the answer was there.
        """
        least, most = at_ms - heard * 1000, at_ms + 1 - asked * 1000
        if self._ahead_ms is None or not least <= self._ahead_ms <= most:
            self._ahead_ms = least

    def now_ms(self) -> int:
        """Return the server's time in milliseconds since the epoch; 0 before the first answer."""
        return 0 if self._ahead_ms is None else int(clock.monotonic() * 1000 + self._ahead_ms)

    def seconds_until(self, at_ms: int) -> float:
        """Return the seconds until the server's time is surely that."""
        ahead = self._ahead_ms or 0.0
        return max(0.0, (at_ms - ahead) / 1000 - clock.monotonic())
