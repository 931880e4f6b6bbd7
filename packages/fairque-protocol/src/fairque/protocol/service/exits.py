"""The exit codes that the commands of all services share, and which error ends one with which."""

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
)

__all__ = [
    "CONFIGURATION",
    "CRASHED",
    "IMPORT",
    "MISMATCH",
    "NOT_FOUND",
    "STOPPED",
    "UNREACHABLE",
    "USAGE",
    "exit_code",
]

# 7 is left for what only a worker can end with.
STOPPED = 0
CRASHED = 1
USAGE = 2
UNREACHABLE = 3
MISMATCH = 4
NOT_FOUND = 5
IMPORT = 6
CONFIGURATION = 78

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
)


def exit_code(error: FairqueError) -> int:
    """Return the code with which a command ends because of an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), CRASHED)
