"""The only place that reads a clock. Times are integers; safety never rests on a client's clock."""

import time

__all__ = ["monotonic", "now_ms"]


def now_ms() -> int:
    """Return the wall clock in milliseconds since the epoch, for what people read and for sortable ids."""
    return time.time_ns() // 1_000_000


#: Seconds of a clock that never steps back, for durations and deadlines.
monotonic = time.monotonic
