"""A request of the courier that is under way."""

from collections.abc import Sequence

from attrs import define

from fairque.worker.jobs import Ending
from fairque.worker.taking.reporter import Report

__all__ = ["Trip"]


@define
class Trip:
    """A request that was sent, and what has to be known when its answers arrive. Times are on the monotonic clock.

    Attributes:
        endings: The endings that it reports.
        count: How many tasks it takes.
        held_until: Until when the worker holds these, unless it renews their leases.
        overdue_at: When the answers are overdue.
        report: The calls, and what to do with their answers; None for a wait.
        current: Whether the answer will reflect all endings and hooks so far.
        interrupted: Whether an end of the wait was requested.
    """

    endings: Sequence[Ending]
    count: int
    held_until: float
    overdue_at: float
    report: Report | None = None
    current: bool = True
    interrupted: bool = False

    @property
    def waits(self) -> bool:
        """Whether it waits for work, so that the answer may take long."""
        return self.report is None
