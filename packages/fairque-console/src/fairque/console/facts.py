"""Formats a user as lines for humans."""

from fairque.protocol.model.users import UserInfo
from fairque.protocol.service.limits import shown

__all__ = ["facts_of_user"]


def facts_of_user(user: UserInfo) -> list[str]:
    """Return the tasks, the usage and the limits of a user, as indented lines."""
    lines = [
        f"  waiting {user.waiting:,}, delayed {user.delayed:,}, running {user.running:,}",
        f"  served {user.served:,.3f}, ahead of its share {user.ahead:,.3f}",
    ]
    if user.oldest_seconds is not None:
        lines.append(f"  its next task has waited {user.oldest_seconds:,.3f} s")
    limits = (f"{name} {shown(getattr(user.limits, name))}" for name in ("weight", "cap", "rate", "burst", "backlog"))
    return [*lines, f"  {', '.join(limits)}"]
