"""Durations and moments as whole milliseconds and microseconds, by integer arithmetic alone.

A timedelta is exact. Seconds as a float are what `datetime.timedelta` makes of them: the nearest microsecond, which is
what the digits of the float say; nothing below that is kept. What has to be whole milliseconds is rounded up, so that
nothing begins or ends earlier than asked for; where a repetition would drift, `whole_ms` refuses a rest instead.
"""

from datetime import UTC, datetime, timedelta

from fairque.protocol.errors import InvalidTask
from fairque.protocol.safe_repr import safe_repr

__all__ = ["LONGEST_MS", "LONGEST_SECONDS", "as_seconds", "from_epoch_ms", "to_epoch_ms", "to_ms", "to_us", "whole_ms"]

#: The longest duration, 285 years: in microseconds larger integers than 2**53 are not exact in Lua.
LONGEST_MS = 9_007_199_254_740
LONGEST_SECONDS = LONGEST_MS // 1000

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def as_seconds(timeout: float | timedelta | None) -> float | None:
    """Return how long a wait may take, in seconds; None stays None: forever."""
    return timeout.total_seconds() if isinstance(timeout, timedelta) else timeout


def to_us(value: float | timedelta, what: str) -> int:
    """Return seconds or a timedelta as whole microseconds.

    Args:
        value: A float counts as the nearest microsecond.
        what: Its name, for the error.

    Raises:
        InvalidTask: It is not a finite number from 0, or above 285 years.
    """
    if not isinstance(value, timedelta):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST_SECONDS:
            raise _unusable(value, what)
        # What is above 0 stays above 0.
        value = max(timedelta(seconds=value), _MICROSECOND) if value else timedelta()
    us = value // _MICROSECOND
    if not 0 <= us <= LONGEST_MS * 1000:
        raise _unusable(value, what)
    return us


def to_ms(value: float | timedelta, what: str) -> int:
    """Return seconds or a timedelta as whole milliseconds, rounded up.

    Raises:
        InvalidTask: It is not a finite number from 0, or above 285 years.
    """
    return -(-to_us(value, what) // 1000)


def whole_ms(value: float | timedelta, what: str) -> int:
    """Return seconds or a timedelta as milliseconds, of which it must be a whole number.

    Raises:
        InvalidTask: As `to_ms`; or it has a rest below a millisecond, which would have to be dropped each time.
    """
    ms, rest = divmod(to_us(value, what), 1000)
    if rest:
        near = f"{(ms + 1) // 1000}.{(ms + 1) % 1000:03}"
        raise InvalidTask(f"{what} must be whole milliseconds, not {safe_repr(value)}: round it, such as to {near} s")
    return ms


def to_epoch_ms(moment: datetime, what: str) -> int:
    """Return a moment as milliseconds since the epoch, rounded up; 0 for one before it.

    Raises:
        InvalidTask: It is not a datetime, or has no time zone, so that nobody knows which moment is meant.
    """
    if not isinstance(moment, datetime):
        raise InvalidTask(f"{what} must be a datetime, not {type(moment).__name__}")
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise InvalidTask(f"{what} {moment.isoformat()} has no time zone: give it one, for example datetime.now(UTC)")
    return max(0, -(-((moment - _EPOCH) // _MICROSECOND) // 1000))


def from_epoch_ms(ms: float) -> datetime:
    """Return milliseconds since the epoch as a moment in UTC."""
    return _EPOCH + timedelta(milliseconds=ms)


def _unusable(value: object, what: str) -> InvalidTask:
    return InvalidTask(
        f"{what} must be a number of seconds from 0 to {LONGEST_SECONDS:,} or a timedelta, not {safe_repr(value)}"
    )
