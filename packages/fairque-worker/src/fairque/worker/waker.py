"""Waits for work where an idle worker should: blocked on the queue's wake-up key, in a thread of its own."""

import threading
from collections.abc import Callable
from queue import SimpleQueue

from fairque.protocol import clock
from fairque.protocol.runners import Runner
from fairque.worker.log import log

__all__ = ["LONGEST_BLOCK_SECONDS", "Waker"]

#: A worker that died with the wake-up in its hands holds the others up for so long at most.
LONGEST_BLOCK_SECONDS = 2.0


class Waker:
    """Calls ``on_wake(woken)`` once for each `block`: when there may be work, or the time is over.

    Args:
        runner: With a connection that nothing else uses.
        key: The wake-up key.
        on_wake: Called from this thread; ``woken`` says whether the wake-up was taken.
    """

    def __init__(self, runner: Runner, key: str, on_wake: Callable[[bool], None]) -> None:
        self._runner = runner
        self._key = key
        self._on_wake = on_wake
        self._requests: SimpleQueue[float | None] = SimpleQueue()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fairque-waker", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def block(self, seconds: float) -> None:
        """Wait for the wake-up, at most so long. Call it again only after the answer."""
        self._requests.put(min(seconds, LONGEST_BLOCK_SECONDS))

    def stop(self) -> None:
        """End, also in the middle of waiting; safe to call twice."""
        self._stopped.set()
        self._requests.put(None)
        until = clock.monotonic() + LONGEST_BLOCK_SECONDS + 1
        while self._thread.is_alive() and clock.monotonic() < until:
            # Again and again, since it may have been just about to wait.
            self._runner.interrupt()
            self._thread.join(timeout=0.05)
        self._runner.close()

    def _run(self) -> None:
        while (seconds := self._requests.get()) is not None and not self._stopped.is_set():
            woken = False
            try:
                woken = self._runner.block(self._key, seconds)
            except Exception as error:  # noqa: BLE001 - redis-py fails in many ways when interrupted; this thread must not
                if not self._stopped.is_set():
                    log.warning("waiting for work failed", error=str(error))
                    self._stopped.wait(0.5)
            self._on_wake(woken)
