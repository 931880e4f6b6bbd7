"""The verifier: checks all data that a queue stores on its server, and fixes inconsistencies."""

from fairque.console.verifier.report import Report
from fairque.console.verifier.walk import verify
from fairque.protocol.calls.verify import Finding

__all__ = ["Finding", "Report", "verify"]
