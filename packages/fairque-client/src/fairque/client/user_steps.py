"""What concerns many tasks or many users of a queue, step by step."""

from fairque.client.arguments import MAX_PAGE
from fairque.client.steps import Steps
from fairque.protocol.calls import purge, read_users
from fairque.protocol.calls.limits import MAX_PURGE_TASKS
from fairque.protocol.model.shares import UsersSnapshot
from fairque.protocol.wire.keys import QueueKeys

__all__ = ["purging", "reading_all"]


def purging(keys: QueueKeys, user_id: str, reason: str, result_ttl_ms: int) -> Steps[int]:
    """Cancel as many waiting tasks of a user as there were at first, and return how many.

    However many are pushed meanwhile, it ends.
    """
    canceled, left = 0, None
    while left is None or left > 0:
        most = MAX_PURGE_TASKS if left is None else min(MAX_PURGE_TASKS, left)
        purged = yield purge(keys, user_id, reason=reason, result_ttl_ms=result_ttl_ms, most=most)
        canceled += purged.canceled
        # Workers take some meanwhile.
        left = purged.left if left is None else min(left - purged.canceled, purged.left)
    return canceled


def reading_all(keys: QueueKeys) -> Steps[UsersSnapshot]:
    """Read all users, page by page."""
    page = yield read_users(keys, after=None, most=MAX_PAGE)
    at_ms, rows = page.at_ms, [*page]
    while page.next is not None:
        page = yield read_users(keys, after=page.next, most=MAX_PAGE)
        rows += page
    return UsersSnapshot(at_ms=at_ms, rows={row.user_id: row for row in rows})
