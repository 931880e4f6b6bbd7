"""The progress that a running task reports."""

from attrs import field, frozen

from fairque.protocol.safe_repr import safe_repr

__all__ = ["MAX_MESSAGE", "Progress"]

#: Most characters of a message; longer ones are cut.
MAX_MESSAGE = 200


def _short(message: object) -> str:
    if not isinstance(message, str):
        raise TypeError(f"the message of a progress must be a string, not {safe_repr(message)}")
    # Encoded and decoded, since JSON does not accept lone surrogates.
    return message[:MAX_MESSAGE].encode(errors="backslashreplace").decode() if message else ""


@frozen
class Progress:
    """The progress of a task.

    Attributes:
        done: How much is done, in units of the task's choice.
        total: How much there is to do; None if unknown.
        message: What the task is doing, for humans; cut to 200 characters.
        attempt: The attempt that reported it, from 1.
        updated_at: When the queue stored it, in milliseconds since the epoch by the server's clock; 0 before.

    Raises:
        TypeError: An attribute has the wrong type.
        ValueError: A number is negative, infinite, or NaN.
    """

    done: float
    total: float | None = None
    message: str = field(default="", converter=_short)
    attempt: int = field(default=1, kw_only=True)
    updated_at: int = field(default=0, kw_only=True)

    def __attrs_post_init__(self) -> None:
        _check("done", self.done)
        if self.total is not None:
            _check("total", self.total)

    @property
    def fraction(self) -> float | None:
        """The fraction that is done, from 0 to 1; None without a total. With a total of 0 it is 1."""
        if self.total is None:
            return None
        return min(1.0, self.done / self.total) if self.total else 1.0


def _check(name: str, value: object) -> None:
    if not isinstance(value, int | float):
        raise TypeError(f"{name} of a progress must be a number, not {safe_repr(value)}")
    # Also refuses NaN, for which no comparison is true; larger numbers are mistakes, or infinite, which JSON lacks.
    if not 0 <= value < 1e18:  # noqa: PLR2004 - see above
        raise ValueError(f"{name} of a progress must be a number from 0, not {safe_repr(value)}")
