"""Limits that settings and keys both check, in the one place that neither of them has to reach into the other for."""

__all__ = ["QUEUE_NAME"]

#: What the name of a queue matches as a whole.
QUEUE_NAME = r"[A-Za-z0-9_.@-]{1,64}"
