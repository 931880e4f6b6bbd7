"""The verifier: looks at all that a queue has on its server, and fixes what does not fit together."""

from fairque.protocol.calls.verify import Found
from fairque.console.verifier.report import Report
from fairque.console.verifier.walk import verify

__all__ = ["Found", "Report", "verify"]
