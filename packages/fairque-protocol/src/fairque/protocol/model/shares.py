"""What the users of a queue got beside each other: pages of users, snapshots, and the comparison of two of them."""

from collections.abc import Iterator, Mapping

from attrs import frozen

from fairque.protocol.reasons import WaitReason

__all__ = ["SharesReport", "UserPage", "UserRow", "UserShare", "UsersSnapshot", "compare"]


@frozen(kw_only=True)
class UserRow:
    """One user in a page of users.

    Attributes:
        user_id: The user.
        weight: Its weight.
        cap: Most tasks at a time, its own or the default of all; None for no limit.
        paused: Whether nothing of it is started.
        waiting: Tasks in its queue.
        running: Tasks that workers hold.
        served: Seconds of work of the attempts that ended since ``since``; tasks in the cost mode ``count``.
        since: When the queue began to know the user, in milliseconds since the epoch on the server's clock.
        lane: ``F`` fresh, ``R`` ready, ``P`` parked, empty without waiting tasks.
    """

    user_id: str
    weight: float
    cap: int | None
    paused: bool
    waiting: int
    running: int
    served: float
    since: int
    lane: str

    @property
    def runnable(self) -> bool:
        """Whether a free worker could start a task of it now."""
        return self.lane in ("F", "R")

    @property
    def reason(self) -> WaitReason:
        """What its next task waits for; that no worker is there shows only in `UserStanding`."""
        if self.paused:
            return WaitReason.USER_PAUSED
        if self.runnable:
            return WaitReason.TURN
        if not self.waiting:
            return WaitReason.RUNNING if self.running else WaitReason.IDLE
        return WaitReason.USER_CAP if self.cap is not None and self.running >= self.cap else WaitReason.USER_RATE


@frozen(kw_only=True)
class UserPage:
    """Some users, in the order of their ids.

    Attributes:
        at_ms: When they were read, in milliseconds since the epoch on the server's clock.
        rows: The users.
        next: Where the next page begins, to be passed as ``after``; None when this was the last one.
    """

    at_ms: int
    rows: tuple[UserRow, ...]
    next: str | None

    def __iter__(self) -> Iterator[UserRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


@frozen(kw_only=True)
class UsersSnapshot:
    """All users of a queue with tasks or debts. Each page is of one moment, several pages are not.

    Attributes:
        at_ms: When the first page was read, in milliseconds since the epoch on the server's clock.
        rows: The users by their ids.
    """

    at_ms: int
    rows: Mapping[str, UserRow]


@frozen(kw_only=True)
class UserShare:
    """What one user got between two snapshots.

    Attributes:
        user_id: The user.
        weight: Its weight.
        served: Seconds of work of the attempts that ended between them; tasks in the cost mode ``count``.
        share: That as a part of what all users who count got, 0 to 1.
        fair_share: The part that its weight gives it among them.
    """

    user_id: str
    weight: float
    served: float
    share: float
    fair_share: float


@frozen(kw_only=True)
class SharesReport:
    """How fairly users were served between two snapshots; `compare` says who counts.

    Attributes:
        seconds: How long after the first snapshot the second one was taken.
        users: The users who count, by id.
        jain: Jain's index over what they got per weight: 1 when all got the same, 1/n when one of n got everything.
            None when no user counts or nothing was served.
    """

    seconds: float
    users: tuple[UserShare, ...]
    jain: float | None


def compare(before: UsersSnapshot, after: UsersSnapshot) -> SharesReport:
    """Compare what users got with what was fair, between two snapshots of one queue.

    A user counts when it competed for workers at both ends: it had waiting tasks and was neither paused, nor at its
    cap, nor out of starts. It must have been known to the queue all the time, since ``served`` begins at 0 with each
    new record, and its weight must be the same. What happened to it in between is not seen: a user who ran out of
    work for a while got less than its share and did not want more.

    An attempt counts when it ends, with all it cost. So a window should be long beside the longest tasks.
    """
    pairs = [(row, after.rows[name]) for name, row in sorted(before.rows.items()) if name in after.rows]
    counted = [(old, new) for old, new in pairs if _competed(old, new)]
    total = sum(new.served - old.served for old, new in counted)
    weights = sum(new.weight for _, new in counted)
    users = tuple(
        UserShare(
            user_id=new.user_id,
            weight=new.weight,
            served=new.served - old.served,
            share=(new.served - old.served) / total if total else 0.0,
            fair_share=new.weight / weights,
        )
        for old, new in counted
    )
    return SharesReport(
        seconds=(after.at_ms - before.at_ms) / 1000, users=users, jain=_jain([one.served / one.weight for one in users])
    )


def _competed(old: UserRow, new: UserRow) -> bool:
    return old.runnable and new.runnable and old.since == new.since and old.weight == new.weight


def _jain(values: list[float]) -> float | None:
    """Jain, Chiu, Hawe: A Quantitative Measure of Fairness and Discrimination (1984)."""
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else None
