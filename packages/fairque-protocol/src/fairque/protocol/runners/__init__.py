"""The runners, the only code that communicates with a server."""

from fairque.protocol.runners.runner import Runner
from fairque.protocol.runners.subscription import Subscription

__all__ = ["Runner", "Subscription"]
