"""The exit codes of the command, and which error ends it with which."""

from fairque.protocol.errors import (
    ConfigurationError,
    FairqueError,
    RedisUnavailable,
    SchemaMismatch,
    ServerUnsuitable,
)
from fairque.worker.loading import CannotImport
from fairque.worker.worker import TooManyAbandoned

__all__ = [
    "ABANDONED",
    "CONFIGURATION",
    "CRASHED",
    "HELP",
    "IMPORT",
    "MISMATCH",
    "STOPPED",
    "UNREACHABLE",
    "USAGE",
    "exit_code",
]

STOPPED = 0
CRASHED = 1
USAGE = 2
UNREACHABLE = 3
MISMATCH = 4
IMPORT = 6
ABANDONED = 7
CONFIGURATION = 78

HELP = (
    "Exit codes: 0 stopped or burst over, 1 crashed, 2 wrong usage, 3 Redis not reachable or not suitable, "
    "4 queue of another version, 6 module cannot be imported, 7 too many tasks went on after their timeouts and the "
    "worker should be started again, 78 wrong configuration."
)

_CODES: tuple[tuple[type[FairqueError], int], ...] = (
    (ConfigurationError, CONFIGURATION),
    (RedisUnavailable, UNREACHABLE),
    (ServerUnsuitable, UNREACHABLE),
    (SchemaMismatch, MISMATCH),
    (CannotImport, IMPORT),
    (TooManyAbandoned, ABANDONED),
)


def exit_code(error: FairqueError) -> int:
    """Return the code with which the command ends because of an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), CRASHED)
