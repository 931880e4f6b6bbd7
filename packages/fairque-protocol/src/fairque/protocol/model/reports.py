"""What a call did to many tasks."""

from attrs import frozen

__all__ = ["BulkReport"]


@frozen(kw_only=True)
class BulkReport:
    """What a call did to many tasks.

    Attributes:
        matched: Tasks that were meant.
        changed: Those that it changed; none in a dry run.
        refused: Those that could not be changed.
        scanned: How many it has looked at.
    """

    matched: int
    changed: int
    refused: int
    scanned: int
