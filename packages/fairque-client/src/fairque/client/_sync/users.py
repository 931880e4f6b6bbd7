# Generated from _async/users.py by scripts/unasync.py. Do not edit: change that module and generate this one.
"""The users of a queue as its operator sees them: what they may use, what they got, and why they wait."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from fairque.client._sync.paging import all_pages
from fairque.client.arguments import (
    MAX_PAGE,
    UNCHANGED,
    Unchanged,
    changed,
    named,
    nothing,
    page_prefix,
    page_size,
    page_start,
)
from fairque.client.link import Link
from fairque.client.user_steps import reading_all
from fairque.protocol.calls.limits import ALL_USERS, Setting, limit
from fairque.protocol.calls.users import read_user, read_users
from fairque.protocol.model.page import Page
from fairque.protocol.model.users import UserInfo, UserRow, UsersSnapshot

if TYPE_CHECKING:
    from fairque.protocol.limits import LimitName

__all__ = ["Users"]


class Users:
    """The users of a queue; ``queue.users`` is one. What it sets acts at once, also on tasks that wait already.

    Every method may raise what the methods of `TaskQueue` may.
    """

    def __init__(self, link: Link) -> None:
        self._link = link

    def set(
        self,
        user_id: str,
        *,
        weight: float | Unchanged | None = UNCHANGED,
        cap: int | Unchanged | None = UNCHANGED,
        rate: float | Unchanged | None = UNCHANGED,
        burst: int | Unchanged | None = UNCHANGED,
        backlog: int | Unchanged | None = UNCHANGED,
    ) -> bool:
        """Set what a user may use, in one atomic step, and return whether anything was not so before.

        What is not given stays what it is; None takes a setting back, so that the default of all users counts again.

        Args:
            user_id: The user. It need not be known yet.
            weight: Its share beside other users, 0.01 to 100; 1 unless set.
            cap: Most tasks at a time, 1 at least. Running tasks above it continue.
            rate: Most starts a second, above 0.
            burst: Most starts at once where there is a rate, 1 at least; 1 unless set.
            backlog: Most waiting tasks, 1 at least. A push above it is a `QueueFull`.

        Raises:
            InvalidArgument: With every value that cannot be used. Nothing was sent.
        """
        changes: dict[LimitName, float | Unchanged | None] = {
            "weight": weight,
            "cap": cap,
            "rate": rate,
            "burst": burst,
            "backlog": backlog,
        }
        return self._limit(changed(named(user_id), changes))

    def set_defaults(
        self,
        *,
        cap: int | Unchanged | None = UNCHANGED,
        rate: float | Unchanged | None = UNCHANGED,
        burst: int | Unchanged | None = UNCHANGED,
        backlog: int | Unchanged | None = UNCHANGED,
    ) -> bool:
        """Set what each user may use that has no setting of its own, and return whether anything was not so before.

        Lower limits count at once. From higher ones a user that waits at its limit profits when a task of it is next
        pushed, started or ended; one that waits for a rate, at the next start.

        Args:
            cap: As for `set`; None takes it back.
            rate: As for `set`; None takes it back.
            burst: As for `set`; None takes it back.
            backlog: As for `set`; None takes it back. It is for each user, not for all together.

        Raises:
            InvalidArgument: With every value that cannot be used. Nothing was sent.
        """
        changes: dict[LimitName, float | Unchanged | None] = {
            "cap": cap,
            "rate": rate,
            "burst": burst,
            "backlog": backlog,
        }
        return self._limit(changed(ALL_USERS, changes))

    def reset(self, user_id: str) -> bool:
        """Take back all that is set for a user, a pause too, and return whether anything was.

        Raises:
            InvalidArgument: It cannot be the id of a user. Nothing was sent.
        """
        return self._limit(nothing(named(user_id)))

    def pause(self, user_id: str) -> bool:
        """Stop starting tasks of a user until it is resumed, and return whether this changed anything.

        Its running tasks continue, and pushes are stored. The time of the pause earns it nothing.

        Raises:
            InvalidArgument: It cannot be the id of a user. Nothing was sent.
        """
        return self._limit([Setting(named(user_id), "paused", 1)])

    def resume(self, user_id: str) -> bool:
        """Start tasks of a user again, and return whether it was paused.

        Raises:
            InvalidArgument: It cannot be the id of a user. Nothing was sent.
        """
        return self._limit([Setting(named(user_id), "paused", None)])

    def get(self, user_id: str) -> UserInfo:
        """Return what a user has, got and may use, and why it waits; ``print`` shows the last as a sentence.

        A user that the queue does not know has nothing, and the limits of all.

        Raises:
            InvalidArgument: It cannot be the id of a user. Nothing was sent.
        """
        standing = self._link.run(read_user(self._link.keys, user_id))
        return standing.info()

    def list(self, *, after: str | None = None, limit: int = 100, prefix: str = "") -> Page[UserRow]:
        """Return a page of the users that have queued or running tasks, or debts, in the order of their ids.

        Args:
            after: ``next`` of the page before; None begins.
            limit: Users of the page, 1 to 1,000.
            prefix: How their ids begin.

        Raises:
            InvalidArgument: One of them cannot be used. Nothing was sent.
        """
        call = read_users(self._link.keys, after=page_start(after), most=page_size(limit), prefix=page_prefix(prefix))
        return self._link.run(call)

    def iter(self, *, prefix: str = "") -> Iterator[UserRow]:
        """Give these users, page after page."""
        return all_pages(lambda after: self.list(after=after, limit=MAX_PAGE, prefix=prefix))

    def snapshot(self) -> UsersSnapshot:
        """Return all users that have queued or running tasks, or debts, read 1,000 at a time.

        ``later.since(earlier)`` says of two of them what each user got beside its fair share.
        """
        return self._link.work(reading_all(self._link.keys))

    def _limit(self, settings: Iterable[Setting]) -> bool:
        return self._link.run(limit(self._link.keys, settings)) > 0
