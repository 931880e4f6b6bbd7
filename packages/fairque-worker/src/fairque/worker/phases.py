"""The phases of a worker's life, and which may follow which."""

import threading
from collections.abc import Callable, Mapping
from enum import Enum

from fairque.protocol.runners.forks import inherits

__all__ = ["MOVES", "Phase", "Phases"]


class Phase(Enum):
    """What a worker does with tasks.

    Attributes:
        STARTING: Nothing yet.
        RUNNING: It takes tasks and runs them.
        PAUSED: It takes none; those that it holds continue.
        DRAINING: The same, and it ends when it holds none.
        STOPPING: It tells how its tasks ended, and gives back those that have not.
        CRASHED: One of its threads has died; its leases are left to end.
        ENDED: It is over.
    """

    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    DRAINING = "draining"
    STOPPING = "stopping"
    CRASHED = "crashed"
    ENDED = "ended"


#: Every move that there is; all others are refused.
MOVES: Mapping[Phase, frozenset[Phase]] = {
    Phase.STARTING: frozenset({Phase.RUNNING, Phase.CRASHED, Phase.STOPPING, Phase.ENDED}),
    Phase.RUNNING: frozenset({Phase.PAUSED, Phase.DRAINING, Phase.CRASHED}),
    Phase.PAUSED: frozenset({Phase.RUNNING, Phase.DRAINING, Phase.CRASHED}),
    Phase.DRAINING: frozenset({Phase.STOPPING, Phase.CRASHED}),
    Phase.STOPPING: frozenset({Phase.ENDED}),
    Phase.CRASHED: frozenset({Phase.STOPPING}),
    Phase.ENDED: frozenset(),
}


class Phases:
    """The phase of one worker. Threads may share it; in a forked child a worker that has begun is over.

    Args:
        on_move: Called after each move, outside of the lock.

    Attributes:
        phase: The present one.
        reason: Why it is that one.
        error: What ended a worker that has crashed.
        turn: Held by who starts or stops the worker.
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
        """In a forked child: what works is the parent's, and nothing that is done to the copy may end any of it."""
        self._lock, self.turn = threading.Lock(), threading.Lock()
        if self.phase is not Phase.STARTING:
            self.phase, self.reason, self._idle = Phase.ENDED, "it is that of another process", threading.Event()
            self._idle.set()

    @property
    def takes(self) -> bool:
        """Whether the worker takes tasks."""
        return self.phase is Phase.RUNNING

    def move(self, to: Phase, reason: str = "", error: BaseException | None = None) -> bool:
        """Go to another phase, if it may follow the present one; return whether it did."""
        with self._lock:
            if to not in MOVES[self.phase]:
                return False
            self.phase, self.reason, self.error = to, reason, error or self.error
            if to is Phase.RUNNING:
                self._idle.clear()
        self._on_move()
        return True

    def crash(self, reason: str, error: BaseException) -> None:
        """Go to CRASHED; one that stops by then stops as before, and keeps the error all the same."""
        if not self.move(Phase.CRASHED, reason, error):
            with self._lock:
                self.error = self.error or error

    def note_idle(self) -> bool:
        """Note that no task is held, which counts unless tasks are taken; return whether that is news."""
        with self._lock:
            if self.takes or self.phase is Phase.STARTING or self._idle.is_set():
                return False
            self._idle.set()
            return True

    def wait_idle(self, seconds: float | None) -> bool:
        """Wait until no task is held and none will be taken; return whether that is so."""
        return self._idle.wait(seconds)
