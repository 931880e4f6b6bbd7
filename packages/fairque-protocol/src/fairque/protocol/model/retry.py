"""When a failed attempt is tried again: the policy as a value, and the exceptions by which a task decides itself."""

import random
from collections.abc import Callable

from attrs import field, frozen

__all__ = ["Cancel", "Retry", "RetryPolicy", "Snooze"]


#: Seconds of the longest pause, about 31 years: what is longer is a mistake, and the scripts refuse it.
_LONGEST_SECONDS = 1_000_000_000


def _positive(_: object, attribute: object, value: float) -> None:
    if not 0 < value <= _LONGEST_SECONDS:
        name = getattr(attribute, "name", "value")
        raise ValueError(f"{name} must be above 0 and at most {_LONGEST_SECONDS:,}, not {value!r}")


def _pause(after: float) -> float:
    if not 0 <= after <= _LONGEST_SECONDS:
        raise ValueError(f"after must be a number of seconds from 0 to {_LONGEST_SECONDS:,}, not {after!r}")
    return after


@frozen(kw_only=True)
class RetryPolicy:
    """Exponential backoff with full jitter: the n-th pause is random between 0 and ``base * factor**(n-1)``.

    Full jitter keeps many tasks that failed together from coming back together.

    Attributes:
        base_seconds: Upper end of the first pause.
        factor: By which it grows each time.
        cap_seconds: What no pause exceeds.
    """

    base_seconds: float = field(default=1.0, validator=_positive)
    factor: float = field(default=2.0, validator=_positive)
    cap_seconds: float = field(default=300.0, validator=_positive)

    def pause_seconds(self, failures: int, draw: Callable[[], float] = random.random) -> float:
        """Return the pause after the given number of failures (1 or more), in seconds.

        Args:
            failures: How often the task has failed so far.
            draw: Source of randomness in [0, 1).
        """
        try:
            ceiling = min(self.cap_seconds, self.base_seconds * self.factor ** (failures - 1))
        except OverflowError:
            ceiling = self.cap_seconds
        return ceiling * draw()


class Retry(Exception):
    """Raised by a task to be tried again later. It counts as a failed attempt.

    Args:
        reason: Why, for people.
        after: Seconds to wait; None takes the task's backoff.

    Raises:
        ValueError: That is no time to wait.
    """

    def __init__(self, reason: str = "", *, after: float | None = None) -> None:
        self.after = None if after is None else _pause(after)
        super().__init__(reason or "the task asked to be tried again")


class Snooze(Exception):
    """Raised by a task that cannot run yet. It counts for no budget.

    Args:
        after: Seconds to wait.
        reason: Why, for people.

    Raises:
        ValueError: That is no time to wait.
    """

    def __init__(self, after: float, reason: str = "") -> None:
        self.after = _pause(after)
        super().__init__(reason or f"the task asked to wait {after:g} s")


class Cancel(Exception):
    """Raised by a task to end as CANCELED at once, whatever its retries.

    Args:
        reason: Why, for people.
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason or "the task asked for no further attempt")
