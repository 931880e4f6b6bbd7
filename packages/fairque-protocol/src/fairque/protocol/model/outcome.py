"""Decides what happens after an attempt that raised an error: a retry, a snooze, or the end of the task."""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Literal, TypeAlias, get_args

from attrs import frozen

from fairque.protocol.durations import to_ms
from fairque.protocol.errors import InputsTooLarge, OutputMissing, UnknownFunction
from fairque.protocol.jsonvalue import dumps
from fairque.protocol.model.retry import LONGEST_PAUSE_SECONDS, Backoff, Cancel, Retry, Snooze
from fairque.protocol.model.tracebacks import ErrorText
from fairque.protocol.reasons import DeadReason

__all__ = [
    "CANCELED_ITSELF",
    "UNKNOWN_PAUSE_MS",
    "UNKNOWN_TRIES",
    "VERDICTS",
    "Decision",
    "Verdict",
    "decide",
    "describe_error",
]

#: The consequence of a failed attempt; ``snooze`` is a retry that does not count as a failure.
Verdict: TypeAlias = Literal["retry", "snooze", "dead", "cancel"]
VERDICTS: frozenset[str] = frozenset(get_args(Verdict))

#: Retries and their pause for an unknown function, which may be part of a deployment in progress.
UNKNOWN_TRIES = 5
UNKNOWN_PAUSE_MS = 10_000

#: The reason of a task that raised `Cancel`.
CANCELED_ITSELF = "the task canceled itself"

_DEFAULT_BACKOFF = Backoff()


@frozen
class Decision:
    """The verdict on a failed attempt, the pause before the next one, and the reason if it is final."""

    verdict: Verdict
    pause_ms: int
    reason: str

    @property
    def final(self) -> bool:
        """Whether the task has ended."""
        return self.verdict in ("dead", "cancel")


def decide(
    error: BaseException,
    *,
    retries: int,
    failures: int,
    backoff: Backoff | None = None,
    draw: Callable[[], float] = random.random,
) -> Decision:
    """Decide what happens to a task after an attempt that raised an error.

    Args:
        error: The error.
        retries: How often the task may be retried.
        failures: How many attempts failed before this one.
        backoff: The backoff; None for the default.
        draw: Source of randomness in [0, 1).
    """
    if isinstance(error, Snooze):
        return Decision("snooze", _ms(error.after), "")
    if isinstance(error, Cancel):
        return Decision("cancel", 0, CANCELED_ITSELF)
    if isinstance(error, OutputMissing | InputsTooLarge):
        # The inputs of ended tasks do not change: another attempt would fail alike.
        return Decision("dead", 0, DeadReason.INPUT)
    if isinstance(error, UnknownFunction):
        retries = UNKNOWN_TRIES
    if failures >= retries:
        reason = DeadReason.UNREGISTERED if isinstance(error, UnknownFunction) else DeadReason.RETRIES
        return Decision("dead", 0, reason)
    return Decision("retry", _pause_ms(error, failures + 1, backoff or _DEFAULT_BACKOFF, draw), "")


def _pause_ms(error: BaseException, failures: int, backoff: Backoff, draw: Callable[[], float]) -> int:
    if isinstance(error, UnknownFunction):
        return UNKNOWN_PAUSE_MS
    if isinstance(error, Retry) and error.after is not None:
        return _ms(error.after)
    return _ms(backoff.pause_seconds(failures, draw))


def _ms(pause: float | timedelta) -> int:
    """Return a pause in the valid range: a subclass may have set any number, even NaN."""
    seconds = pause.total_seconds() if isinstance(pause, timedelta) else pause
    return to_ms(min(seconds, LONGEST_PAUSE_SECONDS), "after") if seconds > 0 else 0


def describe_error(error: ErrorText, *, reason: str, worker: str, attempt: int) -> bytes:
    """Return the JSON of an error in a dead letter: text only, a few KiB."""
    return dumps(
        {
            "type": error.kind,
            "error": error.text,
            "traceback": error.traceback,
            "reason": reason,
            "worker": worker,
            "attempts": attempt,
        }
    )
