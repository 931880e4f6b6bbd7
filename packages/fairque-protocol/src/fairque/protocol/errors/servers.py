"""Errors of the server, and of what it has stored."""

from fairque.protocol.errors.roots import ServerError

__all__ = ["EmbeddedServerError", "ProtocolError", "RedisUnavailable", "SchemaMismatch", "ServerUnsuitable"]


class EmbeddedServerError(ServerError):
    """The embedded server could not be found, started or attached to."""


class RedisUnavailable(ServerError, ConnectionError):
    """Redis did not answer, or cannot now. The call may be sent again: every fairque call is safe to repeat.

    Attributes:
        passes: Whether it may answer a moment later; False when somebody has to change something first, such as a
            wrong password.
    """

    def __init__(self, message: str, *, passes: bool = True) -> None:
        self.passes = passes
        super().__init__(message)


class ServerUnsuitable(ServerError):
    """The server answers, but cannot hold this queue: too old, a Sentinel, without a right, or it may evict tasks.

    Attributes:
        denied: Whether the user of the address lacks a right.
    """

    def __init__(self, message: str, *, denied: bool = False) -> None:
        self.denied = denied
        super().__init__(message)


class SchemaMismatch(ServerError):
    """The queue was written by a version of fairque that this one cannot work with.

    Attributes:
        queue: Name of the queue.
        found: Schema number in the queue's meta record.
        supported: Schema number of this package.
    """

    def __init__(self, queue: str, found: str, supported: int) -> None:
        self.queue = queue
        self.found = found
        self.supported = supported
        older = found.isdigit() and int(found) < supported
        advice = (
            "upgrade the processes that still write the old schema, then drain the queue"
            if older
            else "upgrade fairque-protocol here"
        )
        super().__init__(f"queue {queue!r} has schema {found}, this fairque-protocol supports {supported}: {advice}")


class ProtocolError(ServerError):
    """A script refused its arguments, or a record in Redis is not what the protocol says."""
