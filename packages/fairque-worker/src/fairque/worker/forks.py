"""Ends a copy of this process that user code has forked, as soon as that code returns.

The copy has one thread, in the middle of a task. It must not run other tasks, which run in the original, nor report how
its own task ended. The fork has closed its copies of the worker's connections, see `fairque.protocol.forks`.
"""

import os
import sys
from contextlib import suppress

from fairque.protocol.model.tracebacks import error_text, error_traceback, is_a

__all__ = ["end_copy", "end_if_copy"]


def end_if_copy(pid: int, error: BaseException | None = None) -> None:
    """End this process at once if it is a copy.

    Args:
        pid: The number of the process before the user code ran.
        error: What that code raised, if anything.
    """
    if os.getpid() != pid:
        end_copy(error)


def end_copy(error: BaseException | None = None) -> None:
    """End this process, which is a copy: with 0 if its code returned; if it raised, as Python would."""
    code = 1
    with suppress(BaseException):
        code, text = _exit_of(error)
        sys.stderr.write(text)
    for stream in (sys.stdout, sys.stderr):
        with suppress(BaseException):
            stream.flush()
    os._exit(code)


def _exit_of(error: BaseException | None) -> tuple[int, str]:
    if error is None:
        return 0, ""
    if not is_a(error, SystemExit):
        return 1, error_traceback(error)
    code = getattr(error, "code", None)
    if code is None:
        return 0, ""
    return (code & 0xFF, "") if type(code) is int else (1, f"{error_text(error)}\n")
