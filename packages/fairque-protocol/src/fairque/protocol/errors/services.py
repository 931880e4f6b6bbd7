"""Errors of workers and schedulers."""

from fairque.protocol.errors.roots import ServiceError

__all__ = ["CannotImport"]


class CannotImport(ServiceError, ImportError):
    """A module or its attribute cannot be had."""
