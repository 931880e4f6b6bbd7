"""The end of a service that has crashed: all its parts are closed, and its error says what happened."""

import errno
import resource
from collections.abc import Callable
from typing import Any

from fairque.protocol.errors import FairqueError
from fairque.protocol.model.tracebacks import error_text

__all__ = ["close_all", "crash_of"]

_CLOSED_BY_OTHERS = (
    ". Code in this process, as os.closerange or os.dup2, has closed a file or a connection that is not its own: let "
    'it close what it has opened, or give the tasks that do so isolation="process"'
)

#: A service needs at least so many.
_TOO_FEW_FILES = 16


def crash_of(what: str, error: BaseException) -> FairqueError:
    """Return the error of a service that crashed since one of its threads has died.

    Args:
        what: The service, as in "the worker".
        error: The error that ended the thread.
    """
    if isinstance(error, FairqueError):
        return error
    crash = FairqueError(f"{what} crashed: {error!r}{_cause(error)}")
    crash.__cause__ = error
    return crash


def _cause(error: BaseException) -> str:
    """Return an explanation that follows an error whose own text hides its cause."""
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.EBADF, errno.ENOTSOCK):
        return _CLOSED_BY_OTHERS
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    # On Linux, waiting for more files than the process may open is an invalid argument.
    if number == errno.EINVAL and limit <= _TOO_FEW_FILES:
        return (
            f". The limit of open files (RLIMIT_NOFILE, ulimit -n) of this process is {limit} now, too few to work "
            "with: raise it; code in this process that lowers it, as a task may, can do so in tasks with "
            'isolation="process"'
        )
    return ""


def close_all(log: Any, *parts: Callable[[], object]) -> None:
    """Close all parts of a service, even if some fail to close: that is logged and never raised.

    Args:
        log: A structlog logger for parts that cannot be closed.
        parts: Functions that close one part each.
    """
    for close in parts:
        try:
            close()
        except Exception as error:  # noqa: BLE001 - such as that of a socket whose descriptor a task has closed
            log.warning("a part of the service cannot be closed", error=error_text(error))
