"""How far a running task has come, as it says so itself."""

from attrs import field, frozen

from fairque.protocol.showing import shown

__all__ = ["MAX_MESSAGE", "Progress"]

#: Characters of the longest message; the rest of a longer one is cut off.
MAX_MESSAGE = 200


def _short(message: object) -> str:
    if not isinstance(message, str):
        raise TypeError(f"the message of a progress must be a text, not {shown(message)}")
    # By way of bytes, since JSON takes no lone surrogates.
    return message[:MAX_MESSAGE].encode(errors="backslashreplace").decode() if message else ""


@frozen
class Progress:
    """How far a task has come.

    Attributes:
        done: How much is done, in whatever the task counts.
        total: How much there is to do; None when the task does not know.
        message: What it does just now, for people; the first 200 characters.
        attempt: The attempt that said so, from 1.
        updated_at: When the queue was told, in milliseconds since the epoch on the server's clock; 0 before.

    Raises:
        TypeError: One of them is of another type.
        ValueError: A number is below 0, endless, or not a number.
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
        """The part that is done, from 0 to 1; None without a total. Of nothing, all is done."""
        if self.total is None:
            return None
        return min(1.0, self.done / self.total) if self.total else 1.0


def _check(name: str, value: object) -> None:
    if not isinstance(value, int | float):
        raise TypeError(f"{name} of a progress must be a number, not {shown(value)}")
    # No comparison holds for NaN; and what is larger than this is a mistake, or no number of JSON.
    if not 0 <= value < 1e18:  # noqa: PLR2004 - as said
        raise ValueError(f"{name} of a progress must be a number from 0 on, not {shown(value)}")
