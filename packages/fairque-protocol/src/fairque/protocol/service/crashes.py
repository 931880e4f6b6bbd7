"""The end of a service that has crashed: all of it is closed, and its error says what happened."""

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

#: A service waits for fewer at once.
_TOO_FEW_FILES = 16


def crash_of(what: str, error: BaseException) -> FairqueError:
    """Return the error of a service that one of its threads has ended, for its caller.

    Args:
        what: The service, as in "the worker".
        error: What has ended the thread.
    """
    if isinstance(error, FairqueError):
        return error
    crash = FairqueError(f"{what} crashed: {error!r}{_cause(error)}")
    crash.__cause__ = error
    return crash


def _cause(error: BaseException) -> str:
    """Return the words that follow an error, where its own hide who has caused it."""
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.EBADF, errno.ENOTSOCK):
        return _CLOSED_BY_OTHERS
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Linux calls it an invalid argument to wait for more files than the limit lets a process open.
    if number == errno.EINVAL and limit <= _TOO_FEW_FILES:
        return (
            f". The limit of open files (RLIMIT_NOFILE, ulimit -n) of this process is {limit} now, too few to work "
            "with: raise it; code in this process that lowers it, as a task may, can do so in tasks with "
            'isolation="process"'
        )
    return ""


def close_all(log: Any, *parts: Callable[[], object]) -> None:
    """Close all parts of a service, also after one that cannot be closed: that is logged, and never raised.

    Args:
        log: A structlog logger, told of what cannot be closed.
        parts: Closes one each.
    """
    for close in parts:
        try:
            close()
        except Exception as error:  # noqa: BLE001 - such as that of a socket whose descriptor a task has closed
            log.warning("a part of the service cannot be closed", error=error_text(error))
