"""The exit codes of all commands, and the text that lists them in the help of each.

It imports nothing, so that help is quick; `exits` maps errors to codes.
"""

from typing import Final

__all__ = [
    "ABANDONED",
    "CONFIGURATION",
    "CRASHED",
    "EXIT_CODES",
    "IMPORT",
    "INTERRUPTED",
    "MISMATCH",
    "NOT_FOUND",
    "STOPPED",
    "UNREACHABLE",
    "USAGE",
]

STOPPED: Final = 0
CRASHED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
MISMATCH: Final = 4
NOT_FOUND: Final = 5
IMPORT: Final = 6
ABANDONED: Final = 7
CONFIGURATION: Final = 78
INTERRUPTED: Final = 130

_MEANINGS: Final = {
    STOPPED: "done, or stopped",
    CRASHED: "a crash, or the answer is no (findings, something refused or not fixed, unhealthy)",
    USAGE: "wrong usage",
    UNREACHABLE: "the server does not answer or is not suitable, or the queue is full",
    MISMATCH: "queue of another version",
    NOT_FOUND: "no such user, task or schedule",
    IMPORT: "module cannot be imported",
    ABANDONED: "too many tasks of the worker continued after their timeouts",
    CONFIGURATION: "wrong configuration",
    INTERRUPTED: "interrupted",
}

EXIT_CODES: Final = f"Exit codes: {'; '.join(f'{code} {meaning}' for code, meaning in _MEANINGS.items())}."
"""For the help of every command."""
