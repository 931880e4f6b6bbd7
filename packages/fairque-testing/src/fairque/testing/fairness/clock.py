"""The queue's own time: it goes as the server's clock does, but never back."""

from attrs import define, field

__all__ = ["QueueClock"]


@define(eq=False)
class QueueClock:
    """Takes the server's time and gives the queue's.

    When the server's clock is set back, the queue's continues from the last time that was noted, and is ahead of the
    server's by the difference from then on.

    Attributes:
        seen_us: The queue's time when it was noted last, in microseconds.
        now_us: The queue's time as it was read last.
        shift_ms: By how many milliseconds that was ahead of the server's.
    """

    seen_us: int = field(init=False, default=0)
    now_us: int = field(init=False, default=0)
    shift_ms: int = field(init=False, default=0)

    @property
    def server_ms(self) -> int:
        """The server's time as it was read last, in milliseconds."""
        return self.now_us // 1000 - self.shift_ms

    def at(self, server_us: int) -> int:
        """Return the queue's time in microseconds, given the server's, and note nothing."""
        return server_us + self._shift_at(server_us) * 1000

    def read(self, server_us: int) -> int:
        """Return the queue's time in microseconds, given the server's; a step back is noted."""
        shift_ms = self._shift_at(server_us)
        self.now_us = server_us + shift_ms * 1000
        if shift_ms != self.shift_ms:
            self.shift_ms = shift_ms
            self.note()
        return self.now_us

    def note(self) -> None:
        """Note the time as it was read last: whatever changes a queue does."""
        self.seen_us = self.now_us

    def _shift_at(self, server_us: int) -> int:
        back_us = self.seen_us - server_us - self.shift_ms * 1000
        return self.shift_ms + (-(-back_us // 1000) if back_us > 0 else 0)
