"""The phases of a worker's life, and the allowed moves between them."""

import threading
from collections.abc import Callable, Mapping
from enum import Enum

from fairque.protocol.forks import inherits

__all__ = ["MOVES", "Phase", "Phases"]


class Phase(Enum):
    """What a worker does with tasks.

    Attributes:
        STARTING: It has not started yet.
        RUNNING: It takes tasks and runs them.
        PAUSED: It takes none; those that it holds continue.
        DRAINING: It takes none, and ends when it holds none.
        STOPPING: It reports how its tasks ended, and releases those that still run.
        CRASHED: One of its threads has died; its leases will expire.
        ENDED: It has ended.
    """

    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    DRAINING = "draining"
    STOPPING = "stopping"
    CRASHED = "crashed"
    ENDED = "ended"


#: All moves; any other is refused.
MOVES: Mapping[Phase, frozenset[Phase]] = {
    Phase.STARTING: frozenset({Phase.RUNNING, Phase.PAUSED, Phase.CRASHED, Phase.STOPPING, Phase.ENDED}),
    Phase.RUNNING: frozenset({Phase.PAUSED, Phase.DRAINING, Phase.CRASHED}),
    Phase.PAUSED: frozenset({Phase.RUNNING, Phase.DRAINING, Phase.CRASHED}),
    Phase.DRAINING: frozenset({Phase.STOPPING, Phase.CRASHED}),
    Phase.STOPPING: frozenset({Phase.ENDED}),
    Phase.CRASHED: frozenset({Phase.STOPPING}),
    Phase.ENDED: frozenset(),
}


class Phases:
    """The phase of one worker. Threads may share it; in a forked child a worker that has started counts as ended.

    Args:
        on_move: Called after each move, outside of the lock.

    Attributes:
        phase: The present phase.
        reason: The reason of the last move.
        error: The error that ended a worker that has crashed.
        turn: A lock that is held while the worker is started or stopped.
    """

    def __init__(self, on_move: Callable[[], None] = lambda: None) -> None:
        self.phase = Phase.STARTING
        self.reason = ""
        self.error: BaseException | None = None
        self._on_move = on_move
        self._idle = threading.Event()
        self._lock, self.turn = threading.Lock(), threading.Lock()
        inherits(self)

    def start_over(self) -> None:
        """In a forked child: the threads belong to the parent, and stopping the copy must not end any of them."""
        self._lock, self.turn = threading.Lock(), threading.Lock()
        if self.phase is not Phase.STARTING:
            self.phase, self.reason, self._idle = Phase.ENDED, "it belongs to another process", threading.Event()
            self._idle.set()

    @property
    def takes(self) -> bool:
        """Whether the worker takes tasks."""
        return self.phase is Phase.RUNNING

    def move(self, to: Phase, reason: str = "", error: BaseException | None = None) -> bool:
        """Move to another phase, if that is allowed; return whether it was."""
        with self._lock:
            if to not in MOVES[self.phase]:
                return False
            self.phase, self.reason, self.error = to, reason, error or self.error
            if to is Phase.RUNNING:
                self._idle.clear()
        self._on_move()
        return True

    def crash(self, reason: str, error: BaseException) -> None:
        """Move to CRASHED; a worker that is already stopping continues to, but keeps the error."""
        if not self.move(Phase.CRASHED, reason, error):
            with self._lock:
                self.error = self.error or error

    def note_idle(self) -> bool:
        """Note that no task is held, which counts only if none are taken; return whether that is new."""
        with self._lock:
            if self.takes or self.phase is Phase.STARTING or self._idle.is_set():
                return False
            self._idle.set()
            return True

    def wait_idle(self, seconds: float | None) -> bool:
        """Wait until no task is held and none will be taken; return whether that is so. Seconds None waits forever."""
        return self._idle.wait(seconds)
