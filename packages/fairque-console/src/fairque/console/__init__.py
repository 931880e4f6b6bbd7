"""The command ``fairque``, by which an operator looks at a queue, sets its limits, and repairs what is wrong."""

from fairque.console._version import __version__

__all__ = ["__version__"]
