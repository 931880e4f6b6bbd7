"""What a call did to many tasks."""

from attrs import frozen

__all__ = ["BulkReport", "RetryReport"]


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


@frozen(kw_only=True)
class RetryReport:
    """What a retry did.

    Attributes:
        task_ids: The tasks that are runnable again; empty when the task was not a dead letter.
        refused: How many are not, since as many tasks wait as their user or the queue may have.
    """

    task_ids: tuple[str, ...]
    refused: int
