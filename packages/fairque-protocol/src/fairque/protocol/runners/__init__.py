"""The runners, the only code that talks to a server."""

from fairque.protocol.runners.runner import Runner, Subscription

__all__ = ["Runner", "Subscription"]
