"""Errors of workers and schedulers."""

from fairque.protocol.errors.roots import ServiceError

__all__ = ["CannotImport", "TooManyAbandoned"]


class CannotImport(ServiceError, ImportError):
    """A module or one of its attributes cannot be imported."""


class TooManyAbandoned(ServiceError):
    """The worker stopped because too many tasks continued after their timeouts: restart its process."""
