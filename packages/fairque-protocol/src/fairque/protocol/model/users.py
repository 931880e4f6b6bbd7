"""The users of a queue: what they have, got and may use, at one moment and between two."""

from collections.abc import Mapping
from datetime import datetime

from attrs import frozen

from fairque.protocol.model.limits import Limits
from fairque.protocol.reasons import WaitReason

__all__ = ["SharesReport", "UserInfo", "UserRow", "UserShare", "UsersSnapshot", "waits_for"]


@frozen(kw_only=True)
class UserRow:
    """One user in a list.

    Attributes:
        user_id: The user.
        weight: Its weight, 1 unless set.
        cap: Most tasks at a time, its own or the default of all; None for no limit.
        paused: Whether nothing of it is started.
        waiting: Tasks in its queue.
        running: Tasks that workers hold.
        served: Seconds of work of the attempts that ended since ``since``; tasks where the queue counts these.
        since: When the queue began to know it; None when it has neither tasks nor debts.
        reason: What its next task waits for. That no worker is there shows only in `UserInfo`.
    """

    user_id: str
    weight: float
    cap: int | None
    paused: bool
    waiting: int
    running: int
    served: float
    since: datetime | None
    reason: WaitReason


@frozen(kw_only=True)
class UserInfo(UserRow):
    """One user: what it has, got and may use, and why it waits. ``str()`` gives the last as a sentence.

    Attributes:
        limits: What counts for it: its own limits, else the defaults of all users.
        own_limits: What is set for it alone.
        delayed: Tasks that wait for their time or for others.
        ahead: Seconds of work, or tasks, by which it was served ahead of its share.
        oldest_seconds: How long the next of its tasks has waited; None when none waits.
        users_ahead: Users before it; None when it does not wait for its turn.
        next_start_at: When its rate lets it start again; None when it does not wait for that.
        sentence: The reason for people.
    """

    limits: Limits
    own_limits: Limits
    delayed: int
    ahead: float
    oldest_seconds: float | None
    users_ahead: int | None
    next_start_at: datetime | None
    sentence: str

    def __str__(self) -> str:
        return self.sentence


def waits_for(*, lane: str, paused: bool, waiting: int, running: int, cap: int | None) -> WaitReason:
    """Return what the next task of a user waits for.

    Args:
        lane: Where the store has the user: ``F`` fresh, ``R`` ready, ``P`` parked, empty without waiting tasks.
        paused: Whether nothing of it is started.
        waiting: Tasks in its queue.
        running: Tasks that workers hold.
        cap: Most tasks at a time; None for no limit.
    """
    if paused:
        return WaitReason.USER_PAUSED
    if lane in ("F", "R"):
        return WaitReason.TURN
    if not waiting:
        return WaitReason.RUNNING if running else WaitReason.IDLE
    return WaitReason.USER_CAP if cap is not None and running >= cap else WaitReason.USER_RATE


@frozen(kw_only=True)
class UserShare:
    """What one user got between two snapshots.

    Attributes:
        user_id: The user.
        weight: Its weight.
        served: Seconds of work of the attempts that ended between them; tasks where the queue counts these.
        share: That as a part of what all users that count got, 0 to 1.
        fair_share: The part that its weight gives it among them.
    """

    user_id: str
    weight: float
    served: float
    share: float
    fair_share: float


@frozen(kw_only=True)
class SharesReport:
    """How fairly users were served between two snapshots; `UsersSnapshot.since` says who counts.

    Attributes:
        seconds: How long after the first snapshot the second one was taken.
        users: The users that count, by id.
        jain: Jain's index over what they got per weight: 1 when all got the same, 1/n when one of n got everything.
            None when no user counts or nothing was served.
    """

    seconds: float
    users: tuple[UserShare, ...]
    jain: float | None


@frozen(kw_only=True)
class UsersSnapshot:
    """All users of a queue with tasks or debts. Each page is of one moment, several pages are not.

    Attributes:
        read_at: When the first page was read, on the server's clock.
        rows: The users by their ids.
    """

    read_at: datetime
    rows: Mapping[str, UserRow]

    def since(self, earlier: "UsersSnapshot") -> SharesReport:
        """Compare what users got since an earlier snapshot of the same queue with what was fair.

        A user counts when it competed for workers at both ends: it had waiting tasks and was neither paused, nor at
        its cap, nor out of starts. It must have been known to the queue all the time, since ``served`` begins at 0 with
        each new record, and its weight must be the same. What happened to it in between is not seen: a user that ran
        out of work for a while got less than its share and did not want more.

        An attempt counts when it ends, with all it cost. So a window should be long beside the longest tasks.
        """
        pairs = [(row, self.rows[name]) for name, row in sorted(earlier.rows.items()) if name in self.rows]
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
            seconds=(self.read_at - earlier.read_at).total_seconds(),
            users=users,
            jain=_jain([user.served / user.weight for user in users]),
        )


def _competed(old: UserRow, new: UserRow) -> bool:
    runnable = old.reason is new.reason is WaitReason.TURN
    return runnable and old.since == new.since and old.weight == new.weight


def _jain(values: list[float]) -> float | None:
    """Jain, Chiu, Hawe: A Quantitative Measure of Fairness and Discrimination (1984)."""
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else None
