"""What happens to a copy of this process that code of the user's has forked: it ends as soon as that code comes back.

The copy has one thread, in the middle of a task. It must not run the tasks of others, which run in the original, nor
tell how its own task ended. What it owned of the worker was taken from it at the fork, see
`fairque.protocol.runners.forks`.
"""

import os
import sys
from contextlib import suppress

from fairque.protocol.model.tracebacks import error_text, error_traceback, is_a

__all__ = ["end_copy", "end_if_copy"]


def end_if_copy(pid: int, error: BaseException | None = None) -> None:
    """End this process at once, unless it is still the one that it was.

    Args:
        pid: Its number before the user's code ran.
        error: What that code has raised, if it has.
    """
    if os.getpid() != pid:
        end_copy(error)


def end_copy(error: BaseException | None = None) -> None:
    """End this process, which is a copy: with 0 if its code has returned, as Python would if it has raised."""
    code = 1
    with suppress(BaseException):
        code, words = _last_words(error)
        sys.stderr.write(words)
    for stream in (sys.stdout, sys.stderr):
        with suppress(BaseException):
            stream.flush()
    os._exit(code)


def _last_words(error: BaseException | None) -> tuple[int, str]:
    if error is None:
        return 0, ""
    if not is_a(error, SystemExit):
        return 1, error_traceback(error)
    code = getattr(error, "code", None)
    if code is None:
        return 0, ""
    return (code & 0xFF, "") if type(code) is int else (1, f"{error_text(error)}\n")
