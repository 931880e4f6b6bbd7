"""The queue's own clock: it follows the server's clock, but never goes back."""

from attrs import define, field

__all__ = ["QueueClock"]


@define(eq=False)
class QueueClock:
    """Converts the server's time to the queue's.

    If the server's clock is set back, the queue's continues from the last recorded time, and stays ahead of the
    server's by the difference.

    Attributes:
        seen_us: The last recorded time of the queue, in microseconds.
        now_us: The last read time of the queue, in microseconds.
        shift_ms: Milliseconds by which `now_us` was ahead of the server's time.
    """

    seen_us: int = field(init=False, default=0)
    now_us: int = field(init=False, default=0)
    shift_ms: int = field(init=False, default=0)

    @property
    def server_ms(self) -> int:
        """The last read time of the server, in milliseconds."""
        return self.now_us // 1000 - self.shift_ms

    def at(self, server_us: int) -> int:
        """Return the queue's time in microseconds for a time of the server, without recording it."""
        return server_us + self._shift_at(server_us) * 1000

    def read(self, server_us: int) -> int:
        """Return the queue's time in microseconds for a time of the server, and record a step back."""
        shift_ms = self._shift_at(server_us)
        self.now_us = server_us + shift_ms * 1000
        if shift_ms != self.shift_ms:
            self.shift_ms = shift_ms
            self.note()
        return self.now_us

    def note(self) -> None:
        """Record the last read time. Every change of a queue does this."""
        self.seen_us = self.now_us

    def _shift_at(self, server_us: int) -> int:
        back_us = self.seen_us - server_us - self.shift_ms * 1000
        return self.shift_ms + (-(-back_us // 1000) if back_us > 0 else 0)
