"""Errors of the server and its data."""

from fairque.protocol.errors.roots import ServerError

__all__ = ["EmbeddedServerError", "ProtocolError", "RedisUnavailable", "SchemaMismatch", "ServerUnsuitable"]


class EmbeddedServerError(ServerError):
    """The embedded server could not be found, started or attached to."""


class RedisUnavailable(ServerError, ConnectionError):
    """The server did not answer, or cannot at the moment. The call can be repeated safely, like every call of fairque.

    Attributes:
        temporary: Whether it may answer a moment later; False if something must be fixed first, such as a password.
    """

    def __init__(self, message: str, *, temporary: bool = True) -> None:
        self.temporary = temporary
        super().__init__(message)


class ServerUnsuitable(ServerError):
    """The server is not suitable for a queue: it is too old, a Sentinel, may evict tasks, or denies a right.

    Attributes:
        denied: Whether the user of the address lacks a right.
    """

    def __init__(self, message: str, *, denied: bool = False) -> None:
        self.denied = denied
        super().__init__(message)


class SchemaMismatch(ServerError):
    """The queue was written by an incompatible version of fairque.

    Attributes:
        queue: The name of the queue.
        found: Schema number in the queue's meta record.
        supported: Schema number of this package.
        needs: What the queue uses that this package does not know; empty if only the schema differs.
    """

    def __init__(self, queue: str, found: str, supported: int, needs: str = "") -> None:
        self.queue = queue
        self.found = found
        self.supported = supported
        self.needs = needs
        if needs:
            found_here = f"needs {needs!r}, which this version of fairque does not know"
        else:
            found_here = f"has schema {found}, this fairque-protocol supports {supported}"
        older = not needs and found.isdigit() and int(found) < supported
        advice = (
            "upgrade the processes that still write the old schema, then drain the queue"
            if older
            else "upgrade fairque-protocol here"
        )
        super().__init__(f"queue {queue!r} {found_here}: {advice}")


class ProtocolError(ServerError):
    """A script refused its arguments, or data on the server does not conform to the protocol."""
