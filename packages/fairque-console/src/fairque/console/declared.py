"""The settings that a file declares and ``fairque apply`` carries out."""

from attrs import field, frozen

from fairque.protocol.config import FairnessSection, QueueSection, RedisSection

__all__ = ["DeclaredSettings"]


@frozen(kw_only=True)
class DeclaredSettings:
    """What a file declares.

    Attributes:
        redis: The server.
        queue: The queue.
        fairness: Limits of users; None when the file has no such section.
    """

    redis: RedisSection = field(factory=RedisSection)
    queue: QueueSection = field(factory=QueueSection)
    fairness: FairnessSection | None = None
