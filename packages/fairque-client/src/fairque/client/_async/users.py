"""``queue.users``: the limits and the usage of the users of a queue, and why they wait."""

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING

from fairque.client._async.paging import all_pages
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
from fairque.client.link import AsyncLink
from fairque.client.user_steps import read_all_users
from fairque.protocol.calls.limits import ALL_USERS, Setting, limit
from fairque.protocol.calls.users import read_user, read_users
from fairque.protocol.model.page import Page
from fairque.protocol.model.users import UserInfo, UserRow, UsersSnapshot

if TYPE_CHECKING:
    from fairque.protocol.limits import LimitName

__all__ = ["AsyncUsers"]


class AsyncUsers:
    """The users of a queue, as ``queue.users``. Limits take effect at once, also for tasks that already wait.

    Methods may also raise the errors of `AsyncTaskQueue`.
    """

    def __init__(self, link: AsyncLink) -> None:
        self._link = link

    async def set(
        self,
        user_id: str,
        *,
        weight: float | Unchanged | None = UNCHANGED,
        cap: int | Unchanged | None = UNCHANGED,
        rate: float | Unchanged | None = UNCHANGED,
        burst: int | Unchanged | None = UNCHANGED,
        backlog: int | Unchanged | None = UNCHANGED,
    ) -> bool:
        """Set limits of a user, in one atomic step, and return whether anything changed.

        Limits that are not given stay unchanged; None removes a limit, so that the default of all users applies again.

        Args:
            user_id: The user. The queue need not know it yet.
            weight: Its share relative to other users, 0.01 to 100; 1 by default.
            cap: Most tasks at a time, at least 1. Running tasks above it continue.
            rate: Most starts a second, above 0.
            burst: Most starts at once if there is a rate, at least 1; 1 by default.
            backlog: Most waiting tasks, at least 1. A push beyond it raises `QueueFull`.

        Raises:
            InvalidArgument: With a problem for each invalid value. Nothing was sent.
        """
        changes: dict[LimitName, float | Unchanged | None] = {
            "weight": weight,
            "cap": cap,
            "rate": rate,
            "burst": burst,
            "backlog": backlog,
        }
        return await self._limit(changed(named(user_id), changes))

    async def set_defaults(
        self,
        *,
        cap: int | Unchanged | None = UNCHANGED,
        rate: float | Unchanged | None = UNCHANGED,
        burst: int | Unchanged | None = UNCHANGED,
        backlog: int | Unchanged | None = UNCHANGED,
    ) -> bool:
        """Set the limits of all users without limits of their own, and return whether anything changed.

        Lower limits apply at once. A higher one reaches a user held back by the old one when one of its tasks is next
        pushed, started or ended; for a rate, at its next start.

        Args:
            cap: As for `set`; None removes the default.
            rate: As for `set`; None removes the default.
            burst: As for `set`; None removes the default.
            backlog: As for `set`; None removes the default. It applies to each user, not to all users together.

        Raises:
            InvalidArgument: With a problem for each invalid value. Nothing was sent.
        """
        changes: dict[LimitName, float | Unchanged | None] = {
            "cap": cap,
            "rate": rate,
            "burst": burst,
            "backlog": backlog,
        }
        return await self._limit(changed(ALL_USERS, changes))

    async def reset(self, user_id: str) -> bool:
        """Remove all limits of a user, and its pause, and return whether anything changed.

        Raises:
            InvalidArgument: `user_id` is not a valid user id. Nothing was sent.
        """
        return await self._limit(nothing(named(user_id)))

    async def pause(self, user_id: str) -> bool:
        """Stop starting tasks of a user until it is resumed, and return whether anything changed.

        Its running tasks continue, and pushes are stored. It is not compensated for the time of the pause.

        Raises:
            InvalidArgument: `user_id` is not a valid user id. Nothing was sent.
        """
        return await self._limit([Setting(named(user_id), "paused", 1)])

    async def resume(self, user_id: str) -> bool:
        """Start tasks of a user again, and return whether it was paused.

        Raises:
            InvalidArgument: `user_id` is not a valid user id. Nothing was sent.
        """
        return await self._limit([Setting(named(user_id), "paused", None)])

    async def get(self, user_id: str) -> UserInfo:
        """Return the tasks, the usage and the limits of a user, and why it waits; ``print`` shows that as a sentence.

        A user that the queue does not know has no tasks, and the default limits.

        Raises:
            InvalidArgument: `user_id` is not a valid user id. Nothing was sent.
        """
        standing = await self._link.run(read_user(self._link.keys, user_id))
        return standing.info()

    async def list(self, *, after: str | None = None, limit: int = 100, prefix: str = "") -> Page[UserRow]:
        """Return a page of the users with queued or running tasks, or debts, ordered by id.

        Args:
            after: ``next`` of the previous page; None for the first page.
            limit: Users per page, 1 to 1,000.
            prefix: Only users whose id starts with it.

        Raises:
            InvalidArgument: An argument is invalid. Nothing was sent.
        """
        call = read_users(self._link.keys, after=page_start(after), most=page_size(limit), prefix=page_prefix(prefix))
        return await self._link.run(call)

    def iter(self, *, prefix: str = "") -> AsyncIterator[UserRow]:
        """Yield these users, reading page after page."""
        return all_pages(lambda after: self.list(after=after, limit=MAX_PAGE, prefix=prefix))

    async def snapshot(self) -> UsersSnapshot:
        """Return all users with queued or running tasks, or debts, read 1,000 at a time.

        ``later.since(earlier)`` compares two snapshots: what each user got, and its fair share.
        """
        return await self._link.work(read_all_users(self._link.keys))

    async def _limit(self, settings: Iterable[Setting]) -> bool:
        return await self._link.run(limit(self._link.keys, settings)) > 0
