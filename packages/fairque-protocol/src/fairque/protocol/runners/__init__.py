"""The runners, the only code that communicates with a server."""

from fairque.protocol.runners.runner import Runner, Subscription

__all__ = ["Runner", "Subscription"]
