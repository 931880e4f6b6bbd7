"""The verifier: looks at all that a queue has on its server, and fixes what does not fit together."""

from fairque.console.verifier.report import Report
from fairque.console.verifier.walk import verify
from fairque.protocol.calls.verify import Found

__all__ = ["Found", "Report", "verify"]
