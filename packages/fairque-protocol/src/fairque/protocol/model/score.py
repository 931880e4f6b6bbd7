"""The order of tasks inside one user: first come, first served, with a bounded head start by priority."""

from fairque.protocol.model.states import Priority

__all__ = ["BOOST_US", "calculate_score"]

#: Head start in microseconds by priority. All tasks age alike, so the order never changes after the push and a
#: task is overtaken only by tasks of its user that come at most 240 s later.
BOOST_US = {
    Priority.VERY_LOW: 0,
    Priority.LOW: 60_000_000,
    Priority.NORMAL: 120_000_000,
    Priority.HIGH: 180_000_000,
    Priority.VERY_HIGH: 240_000_000,
}


def calculate_score(enqueued_us: int, priority: Priority) -> int:
    """Return the place of a task in its user's queue; the lowest score is started first.

    Args:
        enqueued_us: Time of entry in microseconds since the epoch, by the server's clock.
        priority: Any but CRITICAL.

    Raises:
        ValueError: The priority is CRITICAL: those tasks have a first-in-first-out lane and no score.
    """
    if priority is Priority.CRITICAL:
        raise ValueError("CRITICAL tasks are served in order of arrival from a lane of their own: no score")
    return enqueued_us - BOOST_US[priority]
