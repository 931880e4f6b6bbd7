"""Operations on many tasks or many users of a queue, as steps."""

from fairque.client.arguments import MAX_PAGE
from fairque.client.steps import Steps
from fairque.protocol.calls.limits import MAX_PURGE_TASKS, purge
from fairque.protocol.calls.users import read_user, read_users
from fairque.protocol.model.reports import BulkReport
from fairque.protocol.model.users import UsersSnapshot
from fairque.protocol.wire.keys import QueueKeys

__all__ = ["cancel_tasks_of_user", "read_all_users"]


def cancel_tasks_of_user(
    keys: QueueKeys, user_id: str, reason: str, result_ttl_ms: int, *, dry_run: bool
) -> Steps[BulkReport]:
    """Cancel as many waiting tasks of a user as there are at the start, or only count them.

    The bound makes it end however many tasks are pushed meanwhile.
    """
    if dry_run:
        user = yield read_user(keys, user_id)
        waiting = user.waiting + user.scheduled
        return BulkReport(matched=waiting, changed=0, refused=0, scanned=waiting)
    canceled, matched, remaining = 0, 0, None
    while remaining is None or remaining > 0:
        most = MAX_PURGE_TASKS if remaining is None else min(MAX_PURGE_TASKS, remaining)
        purged = yield purge(keys, user_id, reason=reason, result_ttl_ms=result_ttl_ms, most=most)
        canceled += purged.canceled
        matched = matched or purged.canceled + purged.left
        # Workers may start some of them meanwhile.
        remaining = purged.left if remaining is None else min(remaining - purged.canceled, purged.left)
    return BulkReport(matched=matched, changed=canceled, refused=0, scanned=matched)


def read_all_users(keys: QueueKeys) -> Steps[UsersSnapshot]:
    """Read all users, page by page."""
    page = yield read_users(keys, after=None, most=MAX_PAGE)
    read_at, rows = page.read_at, [*page]
    while page.next is not None:
        page = yield read_users(keys, after=page.next, most=MAX_PAGE)
        rows += page
    return UsersSnapshot(read_at=read_at, rows={row.user_id: row for row in rows})
