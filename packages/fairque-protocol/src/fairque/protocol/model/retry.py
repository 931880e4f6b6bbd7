"""When a failed attempt is retried: the backoff as a value, and the exceptions by which a task decides itself."""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeGuard

from attrs import field, frozen

from fairque.protocol.errors import InvalidTask
from fairque.protocol.showing import shown

if TYPE_CHECKING:
    from attrs import Attribute

__all__ = ["LONGEST_PAUSE_SECONDS", "Backoff", "Cancel", "Retry", "Snooze"]


#: The longest pause, about 31 years: what is longer is a mistake, and the scripts refuse it.
LONGEST_PAUSE_SECONDS = 1_000_000_000


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _positive(_: object, attribute: "Attribute[Any]", value: object) -> None:
    if not _is_number(value) or not 0 < value <= LONGEST_PAUSE_SECONDS:
        raise InvalidTask(
            f"{attribute.name} must be above 0 and at most {LONGEST_PAUSE_SECONDS:,}, a number, not {shown(value)}"
        )


def _pause(after: float | timedelta) -> float:
    seconds = after.total_seconds() if isinstance(after, timedelta) else after
    if not _is_number(seconds) or not 0 <= seconds <= LONGEST_PAUSE_SECONDS:
        raise ValueError(
            f"after must be a number of seconds from 0 to {LONGEST_PAUSE_SECONDS:,}, or a timedelta, not {shown(after)}"
        )
    return seconds


def _seconds(value: float | timedelta) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else value


@frozen(kw_only=True)
class Backoff:
    """Exponential backoff with full jitter: the n-th pause is random between 0 and ``base * factor**(n-1)``.

    Full jitter keeps many tasks that failed together from coming back together.

    Attributes:
        base: Upper end of the first pause, in seconds; a `timedelta` may be given.
        factor: By which it grows each time.
        longest: What no pause exceeds, likewise.

    Raises:
        InvalidTask: One of them is not a number, or not above 0.
    """

    base: float = field(default=1.0, converter=_seconds, validator=_positive)
    factor: float = field(default=2.0, validator=_positive)
    longest: float = field(default=300.0, converter=_seconds, validator=_positive)

    def pause_seconds(self, failures: int, draw: Callable[[], float] = random.random) -> float:
        """Return the pause after the given number of failures (1 or more), in seconds.

        Args:
            failures: How often the task has failed so far.
            draw: Source of randomness in [0, 1).
        """
        try:
            ceiling = min(self.longest, self.base * self.factor ** (failures - 1))
        except OverflowError:
            ceiling = self.longest
        return ceiling * draw()


class Retry(Exception):
    """Raised by a task to be retried later. It counts as a failed attempt.

    Args:
        reason: Why, for people.
        after: Seconds to wait, or a timedelta; None takes the task's backoff.

    Attributes:
        after: Seconds to wait. A subclass may set it to any number: a moment that is past already is now.

    Raises:
        ValueError: `after` is not a valid delay.
    """

    def __init__(self, reason: str = "", *, after: float | timedelta | None = None) -> None:
        self.after = None if after is None else _pause(after)
        super().__init__(reason or "the task asked to be retried")


class Snooze(Exception):
    """Raised by a task that cannot run yet. It counts for no budget.

    Args:
        after: Seconds to wait, or a timedelta.
        reason: Why, for people.

    Attributes:
        after: Seconds to wait; as that of `Retry`.

    Raises:
        ValueError: `after` is not a valid delay.
    """

    def __init__(self, after: float | timedelta, reason: str = "") -> None:
        self.after = _pause(after)
        super().__init__(reason or f"the task asked to wait {self.after:g} s")


class Cancel(Exception):
    """Raised by a task to end as CANCELED at once, whatever its retries.

    Args:
        reason: Why, for people.
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason or "the task asked for no further attempt")
