"""What becomes of an attempt that raised: a pure decision between another attempt, a rest, and the end."""

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

#: What becomes of a failed attempt: ``snooze`` is a retry that counts for no budget.
Verdict: TypeAlias = Literal["retry", "snooze", "dead", "cancel"]
VERDICTS: frozenset[str] = frozenset(get_args(Verdict))

#: A name that no worker knows yet may be part of a deployment under way: it waits this often and this long.
UNKNOWN_TRIES = 5
UNKNOWN_PAUSE_MS = 10_000

#: The reason of a task that raised `Cancel`.
CANCELED_ITSELF = "the task canceled itself"

_DEFAULT_BACKOFF = Backoff()


@frozen
class Decision:
    """The verdict on a failed attempt, the pause before the next one, and why there is none if it is final."""

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
    """Decide what becomes of a task after an attempt that raised.

    Args:
        error: What it raised.
        retries: How often the task may be retried.
        failures: How many attempts failed before this one.
        backoff: The pauses; None takes the default backoff.
        draw: Source of randomness in [0, 1).
    """
    if isinstance(error, Snooze):
        return Decision("snooze", _ms(error.after), "")
    if isinstance(error, Cancel):
        return Decision("cancel", 0, CANCELED_ITSELF)
    if isinstance(error, OutputMissing | InputsTooLarge):
        # What has ended leaves nothing more, nor less: another attempt would find the same.
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
    """Return a pause that the queue takes: a subclass may have set any number, and NaN is above nothing."""
    seconds = pause.total_seconds() if isinstance(pause, timedelta) else pause
    return to_ms(min(seconds, LONGEST_PAUSE_SECONDS), "after") if seconds > 0 else 0


def describe_error(told: ErrorText, *, reason: str, worker: str, attempt: int) -> bytes:
    """Return the JSON that a dead letter keeps of an error: text only, a few KiB."""
    return dumps(
        {
            "type": told.kind,
            "error": told.text,
            "traceback": told.traceback,
            "reason": reason,
            "worker": worker,
            "attempts": attempt,
        }
    )
