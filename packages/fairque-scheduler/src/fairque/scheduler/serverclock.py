"""The server's time between its answers, by the monotonic clock of this process: its wall clock is not used."""

from attrs import define

from fairque.protocol import clock

__all__ = ["ServerClock"]


@define
class ServerClock:
    """An estimate of the server's time that is never ahead of it, and behind it by at most the fastest round trip.

    Each answer contains the server's time at some moment between request and answer, and so gives a lower and an upper
    bound of the difference between the two clocks. The highest lower bound is kept while it is below all later upper
    bounds; when it is not, the server's clock was set back.
    """

    _offset_ms: float | None = None

    def note(self, at_ms: int, sent: float, received: float) -> None:
        """Use an answer for the estimate.

        Args:
            at_ms: The server's time in the answer, in milliseconds.
            sent: When the request was sent, in seconds on the monotonic clock.
            received: When the answer arrived.
        """
        least, most = at_ms - received * 1000, at_ms + 1 - sent * 1000
        if self._offset_ms is None or not least <= self._offset_ms <= most:
            self._offset_ms = least

    def now_ms(self) -> int:
        """Return the server's time in milliseconds since the epoch; 0 before the first answer."""
        return 0 if self._offset_ms is None else int(clock.monotonic() * 1000 + self._offset_ms)

    def seconds_until(self, at_ms: int) -> float:
        """Return the seconds until the server's time has surely reached that."""
        offset_ms = self._offset_ms or 0.0
        return max(0.0, (at_ms - offset_ms) / 1000 - clock.monotonic())
