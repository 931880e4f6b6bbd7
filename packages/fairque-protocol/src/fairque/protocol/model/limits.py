"""What a user may use, as one value."""

from attrs import frozen

__all__ = ["Limits"]


@frozen(kw_only=True)
class Limits:
    """Limits of a user; None is no limit, or one that is not set.

    Attributes:
        weight: Share beside other users.
        cap: Most tasks at a time.
        rate: Most starts a second.
        burst: Most starts at once where there is a rate.
        backlog: Most waiting tasks.
        paused: Whether nothing of it is started.
    """

    weight: float | None = None
    cap: int | None = None
    rate: float | None = None
    burst: int | None = None
    backlog: int | None = None
    paused: bool | None = None
