"""The command ``fairque``, for operators: inspects a queue, sets limits, and repairs inconsistencies."""

from fairque.console._version import __version__

__all__ = ["__version__"]
