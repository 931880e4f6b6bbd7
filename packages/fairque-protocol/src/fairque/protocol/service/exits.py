"""The exit code for each error; all commands use the same codes."""

from fairque.protocol.errors import (
    CannotImport,
    ConfigurationError,
    FairqueError,
    InvalidArgument,
    InvalidSchedule,
    NotFound,
    QueueFull,
    RedisUnavailable,
    SchemaMismatch,
    ServerUnsuitable,
    TooManyAbandoned,
)
from fairque.protocol.service.codes import (
    ABANDONED,
    CONFIGURATION,
    CRASHED,
    IMPORT,
    INTERRUPTED,
    MISMATCH,
    NOT_FOUND,
    STOPPED,
    UNREACHABLE,
    USAGE,
)

__all__ = [
    "ABANDONED",
    "CONFIGURATION",
    "CRASHED",
    "IMPORT",
    "INTERRUPTED",
    "MISMATCH",
    "NOT_FOUND",
    "STOPPED",
    "UNREACHABLE",
    "USAGE",
    "exit_code",
]

_CODES: tuple[tuple[type[FairqueError], int], ...] = (
    (ConfigurationError, CONFIGURATION),
    (InvalidSchedule, CONFIGURATION),
    (InvalidArgument, USAGE),
    (QueueFull, UNREACHABLE),
    (RedisUnavailable, UNREACHABLE),
    (ServerUnsuitable, UNREACHABLE),
    (SchemaMismatch, MISMATCH),
    (NotFound, NOT_FOUND),
    (CannotImport, IMPORT),
    (TooManyAbandoned, ABANDONED),
)


def exit_code(error: FairqueError) -> int:
    """Return the code with which a command ends because of an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), CRASHED)
