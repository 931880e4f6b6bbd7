"""Reports of calls that change tasks."""

from attrs import frozen

__all__ = ["BulkReport", "RetryReport"]


@frozen(kw_only=True)
class BulkReport:
    """The result of a call for many tasks.

    Attributes:
        matched: Tasks that matched.
        changed: Tasks that were changed; 0 in a dry run.
        refused: Tasks that could not be changed.
        scanned: Tasks that were read.
    """

    matched: int
    changed: int
    refused: int
    scanned: int


@frozen(kw_only=True)
class RetryReport:
    """The result of a retry.

    Attributes:
        task_ids: The tasks that are runnable again; empty if the task was not a dead letter.
        refused: How many stay dead letters because the backlog of their user or of the queue is full.
    """

    task_ids: tuple[str, ...]
    refused: int
