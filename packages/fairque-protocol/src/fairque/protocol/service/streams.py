"""The three standard streams of a command: there from the beginning, and no reason to end otherwise in the end."""

import atexit
import os
import sys
from contextlib import suppress
from typing import Final, TextIO

__all__ = ["fill_standard_numbers", "flush_streams", "prepare_streams", "write_line"]

_NAMES: Final = ("stdin", "stdout", "stderr")


def prepare_streams() -> None:
    """Open those that are closed on nothing, and see that what cannot be written does not change the exit code.

    Closed, a stream would be None for all code that writes to it.
    """
    fill_standard_numbers()
    for number, name in enumerate(_NAMES):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115
    atexit.unregister(flush_streams)
    atexit.register(flush_streams)


def fill_standard_numbers() -> None:
    """Open the numbers 0 to 2 on nothing where they are closed.

    Otherwise the next file or connection would get the number, and whatever writes to standard error by number, such as
    a child process, would write into it.
    """
    for number in range(len(_NAMES)):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free, so this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003 - it has no name


def flush_streams() -> None:
    """Write what is left; where it cannot be written, leave it out."""
    for number, name in enumerate(_NAMES[1:], start=1):
        original = getattr(sys, f"__{name}__")
        if getattr(sys, name) is not original and not _flushed(getattr(sys, name)) and original is not None:
            # What user code has put there the interpreter would flush once more, and change the exit code.
            setattr(sys, name, original)
        if not _flushed(getattr(sys, name)):
            # What is kept for a disk that is full or a reader who is gone would be tried again at the end.
            with suppress(OSError):
                nothing = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nothing, number)
                os.close(nothing)


def _flushed(stream: TextIO | None) -> bool:
    if stream is None:
        return False
    try:
        stream.flush()
    except BaseException:  # noqa: BLE001 - of whatever object user code has put there
        return False
    return True


def write_line(stream: TextIO | None, line: str) -> None:
    """Write a line; where it cannot be written, leave it out."""
    if stream is None:
        return
    try:
        encoding = getattr(stream, "encoding", None) or "utf-8"
        stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        stream.flush()
    except Exception:  # noqa: BLE001 - closed, full, or broken: there is nobody to tell
        return
