"""The backoff of retries, and the exceptions with which a task chooses its own ending."""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeGuard

from attrs import field, frozen

from fairque.protocol.errors import Copyable, InvalidTask
from fairque.protocol.safe_repr import safe_repr

if TYPE_CHECKING:
    from attrs import Attribute

__all__ = ["LONGEST_PAUSE_SECONDS", "Backoff", "Cancel", "Retry", "Snooze"]


#: The longest pause, about 31 years; the scripts refuse longer ones.
LONGEST_PAUSE_SECONDS = 1_000_000_000


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _positive(_: object, attribute: "Attribute[Any]", value: object) -> None:
    if not _is_number(value) or not 0 < value <= LONGEST_PAUSE_SECONDS:
        raise InvalidTask(
            f"{attribute.name} must be above 0 and at most {LONGEST_PAUSE_SECONDS:,}, a number, not {safe_repr(value)}"
        )


def _pause(after: float | timedelta) -> float:
    seconds = after.total_seconds() if isinstance(after, timedelta) else after
    if not _is_number(seconds) or not 0 <= seconds <= LONGEST_PAUSE_SECONDS:
        raise ValueError(
            f"after must be a number of seconds from 0 to {LONGEST_PAUSE_SECONDS:,}, or a timedelta, "
            f"not {safe_repr(after)}"
        )
    return seconds


def _seconds(value: float | timedelta) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else value


@frozen(kw_only=True)
class Backoff:
    """Exponential backoff with full jitter: the n-th pause is random between 0 and ``base * factor**(n-1)``.

    Full jitter prevents tasks that failed together from being retried together.

    Attributes:
        base: Upper bound of the first pause, in seconds or as a `timedelta`.
        factor: Factor by which the bound grows each time.
        longest: Upper bound of all pauses, in seconds or as a `timedelta`.

    Raises:
        InvalidTask: An attribute is not a number above 0.
    """

    base: float = field(default=1.0, converter=_seconds, validator=_positive)
    factor: float = field(default=2.0, validator=_positive)
    longest: float = field(default=300.0, converter=_seconds, validator=_positive)

    def pause_seconds(self, failures: int, draw: Callable[[], float] = random.random) -> float:
        """Return the pause after the given number of failures (1 or more), in seconds.

        Args:
            failures: How often the task has failed.
            draw: Source of randomness in [0, 1).
        """
        try:
            ceiling = min(self.longest, self.base * self.factor ** (failures - 1))
        except OverflowError:
            ceiling = self.longest
        return ceiling * draw()


class Retry(Copyable):
    """Raised by a task to be retried later. It counts as a failed attempt.

    Args:
        reason: Why, for humans.
        after: Seconds to wait, or a timedelta; None for the task's backoff.

    Attributes:
        after: Seconds to wait. A subclass may set it to any number; a negative one means at once.

    Raises:
        ValueError: `after` is not a valid delay.
    """

    def __init__(self, reason: str = "", *, after: float | timedelta | None = None) -> None:
        self.after = None if after is None else _pause(after)
        super().__init__(reason or "the task asked to be retried")


class Snooze(Copyable):
    """Raised by a task that cannot run yet. It does not count as a failed attempt.

    Args:
        after: Seconds to wait, or a timedelta.
        reason: Why, for humans.

    Attributes:
        after: Seconds to wait, as for `Retry`.

    Raises:
        ValueError: `after` is not a valid delay.
    """

    def __init__(self, after: float | timedelta, reason: str = "") -> None:
        self.after = _pause(after)
        super().__init__(reason or f"the task asked to wait {self.after:g} s")


class Cancel(Copyable):
    """Raised by a task to end as CANCELED at once, whatever its retries.

    Args:
        reason: Why, for humans.
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason or "the task asked for no further attempt")
