"""Cron for a fairque queue. This version holds the frame of the package: its version, and nothing that runs yet."""

from fairque.scheduler._version import __version__

__all__ = ["__version__"]
