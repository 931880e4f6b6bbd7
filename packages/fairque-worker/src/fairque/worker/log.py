"""The worker's log. Only the command line sets handlers."""

from fairque.protocol.service.log import service_logger

__all__ = ["log"]

log = service_logger("fairque.worker")
