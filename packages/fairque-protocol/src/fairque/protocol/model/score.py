"""The order of the tasks of a user: first come, first served, with a bounded head start by priority."""

from fairque.protocol.model.states import Priority

__all__ = ["BOOST_US", "calculate_score"]

#: Head start in microseconds by priority. All tasks age alike, so the order never changes after the push, and a task is
#: overtaken only by tasks of its user that are pushed at most 240 s later.
BOOST_US = {
    Priority.VERY_LOW: 0,
    Priority.LOW: 60_000_000,
    Priority.NORMAL: 120_000_000,
    Priority.HIGH: 180_000_000,
    Priority.VERY_HIGH: 240_000_000,
}


def calculate_score(enqueued_us: int, priority: Priority) -> int:
    """Return the score of a task in its user's queue; the lowest score is started first.

    Args:
        enqueued_us: When it was enqueued, in microseconds since the epoch by the server's clock.
        priority: Any but CRITICAL.

    Raises:
        ValueError: The priority is CRITICAL: the critical lane is first in, first out, without scores.
    """
    if priority is Priority.CRITICAL:
        raise ValueError("CRITICAL tasks have no score: their lane is first in, first out")
    return enqueued_us - BOOST_US[priority]
