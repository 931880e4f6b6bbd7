"""Which functions are usually short: a decision without I/O, from how long their earlier runs took and waited."""

from attrs import define

__all__ = ["ShortFunctions"]

#: Most microseconds that the runs of a short function take on average. A hand-over to a thread costs about a tenth.
_SHORT_US = 500.0
#: Most microseconds in which they do not compute: runs that wait belong in threads, where others run meanwhile.
_WAITING_US = 100.0
#: Of how many runs of a function one is measured, and how many of the first ones.
_EVERY = 32
#: How much one run counts for the average.
_WEIGHT, _WAITING_WEIGHT = 1 / 8, 1 / 4
#: More than this counts as this, so that a single run that the system has interrupted changes nothing.
_MOST_US, _MOST_WAITING_US = 4 * _SHORT_US, 3 * _WAITING_US


@define
class _Pace:
    """How long the runs of one function take.

    Attributes:
        short: Whether it is usually short.
        next_measured: After how many runs one is measured.
        first: How many of the first runs, all of which are measured, are left.
        mean_us: The moving average of the runs of a short function.
        waiting_us: That of the time in which they waited.
    """

    short: bool = False
    next_measured: int = 0
    first: int = _EVERY
    mean_us: float = 0.0
    waiting_us: float = 0.0


class ShortFunctions:
    """The functions of a worker. For one thread."""

    def __init__(self) -> None:
        self._paces: dict[str, _Pace] = {}

    def is_short(self, func: str) -> bool:
        """Whether a function is usually short."""
        pace = self._paces.get(func)
        return pace is not None and pace.short

    def measures(self, func: str) -> bool:
        """Whether the next run of a function has to be measured, which is about to begin."""
        pace = self._paces.get(func)
        if pace is None:
            pace = self._paces[func] = _Pace()
        if not pace.short and pace.first:
            pace.first -= 1
            return True
        pace.next_measured -= 1
        if pace.next_measured > 0:
            return False
        pace.next_measured = _EVERY
        return True

    def note(self, func: str, ran_us: float, waited_us: float | None, *, in_lane: bool) -> None:
        """Note a run.

        Args:
            func: The function.
            ran_us: How long it took.
            waited_us: For how much of that time its thread did not compute; None if that was not measured.
            in_lane: Whether it was run as a short one. Others may have waited for each other.
        """
        pace = self._paces.get(func)
        if pace is None:
            return
        if not pace.short:
            if waited_us is not None and ran_us < _SHORT_US and waited_us < _WAITING_US:
                pace.short, pace.mean_us, pace.waiting_us = True, ran_us, waited_us
                pace.next_measured = _EVERY
            return
        if not in_lane:
            return
        pace.mean_us += (min(ran_us, _MOST_US) - pace.mean_us) * _WEIGHT
        if waited_us is not None:
            pace.waiting_us += (min(waited_us, _MOST_WAITING_US) - pace.waiting_us) * _WAITING_WEIGHT
        if pace.mean_us > _SHORT_US or pace.waiting_us > _WAITING_US:
            self.mark_long(func)

    def mark_long(self, func: str) -> None:
        """Treat a function as long until a measured run is short, since a run of it has held others up."""
        pace = self._paces.get(func)
        if pace is not None:
            pace.short, pace.first, pace.next_measured = False, 0, _EVERY
