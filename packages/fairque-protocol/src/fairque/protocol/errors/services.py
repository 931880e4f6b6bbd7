"""Errors of workers and schedulers."""

from fairque.protocol.errors.roots import ServiceError

__all__ = ["CannotImport", "TooManyAbandoned"]


class CannotImport(ServiceError, ImportError):
    """A module or its attribute cannot be had."""


class TooManyAbandoned(ServiceError):
    """The worker stopped because too many tasks continued after their timeouts: restart its process."""
