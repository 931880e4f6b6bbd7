"""The end of a service that has crashed: all of it is closed, and its error says what happened."""

import errno
from collections.abc import Callable
from typing import Any

from fairque.protocol.errors import FairqueError
from fairque.protocol.model.tracebacks import error_text

__all__ = ["close_all", "crash_of"]

_CLOSED_BY_OTHERS = (
    ". Code in this process, as os.closerange does, has closed a file or a connection that is not its own: let it "
    'close what it has opened, or give the tasks that do so isolation="process"'
)


def crash_of(what: str, error: BaseException) -> FairqueError:
    """Return the error of a service that one of its threads has ended, for its caller.

    Args:
        what: The service, as in "the worker".
        error: What has ended the thread.
    """
    if isinstance(error, FairqueError):
        return error
    lost = isinstance(error, OSError) and error.errno == errno.EBADF
    crash = FairqueError(f"{what} crashed: {error!r}{_CLOSED_BY_OTHERS if lost else ''}")
    crash.__cause__ = error
    return crash


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
