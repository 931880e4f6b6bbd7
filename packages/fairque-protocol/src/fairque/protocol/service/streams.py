"""The three standard streams of a command: opened if they are closed, and without effect on its exit code."""

import atexit
import os
import sys
from contextlib import suppress
from typing import Final, TextIO

from fairque.protocol.descriptors import fill_standard_numbers

__all__ = ["flush_streams", "prepare_streams", "write_line"]

_NAMES: Final = ("stdin", "stdout", "stderr")


def prepare_streams() -> None:
    """Open closed streams on /dev/null, and keep failed writes from changing the exit code.

    A closed stream would be None for all code that writes to it.
    """
    fill_standard_numbers()
    for number, name in enumerate(_NAMES):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115
    atexit.unregister(flush_streams)
    atexit.register(flush_streams)


def flush_streams() -> None:
    """Flush the streams; drop what cannot be written."""
    for number, name in enumerate(_NAMES[1:], start=1):
        original = getattr(sys, f"__{name}__")
        if getattr(sys, name) is not original and not _flushed(getattr(sys, name)) and original is not None:
            # The interpreter would flush the replacement once more, and change the exit code.
            setattr(sys, name, original)
        if not _flushed(getattr(sys, name)):
            # The interpreter would retry to write the buffer, for example to a full disk or a closed pipe.
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
    """Write a line; drop it if it cannot be written."""
    if stream is None:
        return
    try:
        encoding = getattr(stream, "encoding", None) or "utf-8"
        stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        stream.flush()
    except Exception:  # noqa: BLE001 - closed, full, or broken: there is no place to report it
        return
