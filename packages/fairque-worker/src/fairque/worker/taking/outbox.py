"""What other threads tell the courier: endings of tasks, and hooks that have ended."""

from collections import deque
from collections.abc import Callable

from fairque.worker.jobs import Ending
from fairque.worker.taking.doorbell import Doorbell

__all__ = ["Outbox"]


class Outbox:
    """Any thread adds; the courier takes.

    Args:
        bell: Wakes the courier.

    Attributes:
        patient: Whether endings need not wake the courier, since it looks for them soon in any case.
        hooks: How many hooks run.
    """

    def __init__(self, bell: Doorbell) -> None:
        self._bell = bell
        self._endings: deque[Ending] = deque()
        self._hooks_ended: deque[None] = deque()
        self.patient = False
        self.hooks = 0

    def __len__(self) -> int:
        return len(self._endings)

    def add(self, ending: Ending) -> None:
        """Add an ending without waking the courier; from any thread."""
        self._endings.append(ending)

    def put(self, ending: Ending) -> None:
        """Add an ending; from any thread."""
        self._endings.append(ending)
        # Read after it was added: the courier looks after it has ceased to be patient.
        if not self.patient:
            self._bell.ring()

    def take(self, most: int) -> list[Ending]:
        """Return the endings that were added first; for the courier."""
        endings = self._endings
        return [endings.popleft() for _ in range(min(len(endings), most))]

    def clear(self) -> None:
        """Drop all endings."""
        self._endings.clear()

    def counted(self, hook: Callable[[], None]) -> Callable[[], None]:
        """Return a hook that notes its end; `hooks` is to be raised when it is started."""

        def run() -> None:
            try:
                hook()
            finally:
                self._hooks_ended.append(None)
                self._bell.ring()

        return run

    def count_hooks(self) -> bool:
        """Count the hooks that run; return whether some have ended since the last call."""
        ended = len(self._hooks_ended)
        for _ in range(ended):
            self._hooks_ended.popleft()
        self.hooks -= ended
        return ended > 0
