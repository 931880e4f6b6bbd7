"""The users of a queue: their tasks, usage and limits at a time, and their shares between two snapshots."""

from collections.abc import Mapping
from datetime import datetime

from attrs import frozen

from fairque.protocol.model.limits import Limits
from fairque.protocol.reasons import WaitReason

__all__ = ["SharesReport", "UserInfo", "UserRow", "UserShare", "UsersSnapshot", "waits_for"]


@frozen(kw_only=True)
class UserRow:
    """A user in a list.

    Attributes:
        user_id: The user.
        weight: Its weight, 1 by default.
        cap: Most tasks at a time, its own or the default of all users; None for no limit.
        paused: Whether its tasks are not started.
        waiting: Tasks in its queue.
        running: Running tasks.
        served: Seconds of work of the attempts that ended after ``since``; tasks if the cost mode is ``count``.
        since: When its record was created; None if it has neither tasks nor debts.
        reason: What its next task waits for. Only `UserInfo` detects that there is no worker.
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
    """A user: its tasks, usage and limits, and why it waits. ``str()`` returns the reason as a sentence.

    Attributes:
        limits: The limits in effect: its own, otherwise the defaults of all users.
        own_limits: Its own limits only.
        delayed: Tasks that wait for a time or for other tasks.
        ahead: Seconds of work, or tasks, by which it is ahead of its share.
        oldest_seconds: How long its next task has waited; None if none waits.
        users_ahead: Users before it; None if it does not wait for its turn.
        next_start_at: When its rate allows the next start; None if it does not wait for that.
        sentence: The reason, for humans.
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
        lane: The stored lane of the user: ``F`` fresh, ``R`` ready, ``P`` parked, empty without waiting tasks.
        paused: Whether its tasks are not started.
        waiting: Tasks in its queue.
        running: Running tasks.
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
    """The share of a user between two snapshots.

    Attributes:
        user_id: The user.
        weight: Its weight.
        served: Seconds of work of the attempts that ended between them; tasks if the cost mode is ``count``.
        share: ``served`` as a fraction of that of all compared users, 0 to 1.
        fair_share: Its weight as a fraction of the weights of all compared users.
    """

    user_id: str
    weight: float
    served: float
    share: float
    fair_share: float


@frozen(kw_only=True)
class SharesReport:
    """How fairly users were served between two snapshots; see `UsersSnapshot.since` for which users are compared.

    Attributes:
        seconds: Time between the snapshots.
        users: The compared users, by id.
        jain: Jain's index of ``served`` per weight: 1 if all got the same, 1/n if one of n got everything. None if
            no user is compared or nothing was served.
    """

    seconds: float
    users: tuple[UserShare, ...]
    jain: float | None


@frozen(kw_only=True)
class UsersSnapshot:
    """All users of a queue with tasks or debts. Each page is consistent, several pages together are not.

    Attributes:
        read_at: When the first page was read, by the server's clock.
        rows: The users, by id.
    """

    read_at: datetime
    rows: Mapping[str, UserRow]

    def since(self, earlier: "UsersSnapshot") -> SharesReport:
        """Compare what users got since an earlier snapshot of the same queue with their fair shares.

        Only users that competed for workers in both snapshots are compared: they had waiting tasks and were not held
        back by a pause, a cap or a rate. The queue must have kept their record in between, since ``served`` starts at 0
        with each new record, and their weight must be unchanged. What happened in between is not visible: a user that
        ran out of work for a while got less than its share without wanting more.

        An attempt counts with its full cost when it ends, so the time between the snapshots should be long relative to
        the longest tasks.
        """
        pairs = [(row, self.rows[name]) for name, row in sorted(earlier.rows.items()) if name in self.rows]
        compared = [(old, new) for old, new in pairs if _competed(old, new)]
        total = sum(new.served - old.served for old, new in compared)
        weights = sum(new.weight for _, new in compared)
        users = tuple(
            UserShare(
                user_id=new.user_id,
                weight=new.weight,
                served=new.served - old.served,
                share=(new.served - old.served) / total if total else 0.0,
                fair_share=new.weight / weights,
            )
            for old, new in compared
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
    """Return Jain's index (Jain, Chiu, Hawe: A Quantitative Measure of Fairness and Discrimination, 1984)."""
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else None
