"""Waits for work where an idle worker should: blocked on the queue's wake-up key, in a thread of its own."""

import threading
from collections.abc import Callable
from queue import SimpleQueue

from attrs import frozen

from fairque.protocol import clock
from fairque.protocol.calls import Popped
from fairque.protocol.runners import Runner
from fairque.worker.consumer import Consumer
from fairque.worker.log import log

__all__ = ["LONGEST_BLOCK_SECONDS", "Taken", "Wait", "Waker"]

#: A worker that died with the wake-up in its hands holds the others up for so long at most.
LONGEST_BLOCK_SECONDS = 2.0


@frozen
class Wait:
    """What to wait for: up to ``count`` tasks, for ``seconds`` at most."""

    count: int
    seconds: float


@frozen
class Taken:
    """How a wait ended.

    Attributes:
        popped: The tasks; None when the wait failed, and then the next pop gets those that may have been taken.
        count: How many were asked for.
        held_until: Until when their leases hold at least, on the monotonic clock.
    """

    popped: Popped | None
    count: int
    held_until: float


class Waker:
    """Calls ``on_taken`` at the end of each wait: the wake-up or the end of the time brings tasks, if there are any.

    Args:
        consumer: The queue. Nothing else may pop between `block` and an answer that is followed by no other wait.
        runner: With a connection that nothing else uses.
        on_taken: Called from this thread; it may answer with the next wait.
    """

    def __init__(self, consumer: Consumer, runner: Runner, on_taken: Callable[[Taken], Wait | None]) -> None:
        self._consumer = consumer
        self._runner = runner
        self._on_taken = on_taken
        self._requests: SimpleQueue[Wait | None] = SimpleQueue()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fairque-waker", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def block(self, wait: Wait) -> None:
        """Wait for the wake-up, and take tasks. Again only after the answer."""
        self._requests.put(wait)

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
        wait = self._requests.get()
        while wait is not None and not self._stopped.is_set():
            wait = self._on_taken(self._taken(wait)) or self._requests.get()

    def _taken(self, wait: Wait) -> Taken:
        popped = None
        # Anchored before the call: the server's leases can only end later than this.
        held_until = clock.monotonic() + self._consumer.lease_ms / 1000
        try:
            _, popped = self._consumer.pop_when_woken(self._runner, wait.count, wait.seconds)
        except Exception as error:  # noqa: BLE001 - redis-py fails in many ways when interrupted; this thread must not
            if not self._stopped.is_set():
                log.warning("waiting for work failed", error=str(error))
                self._stopped.wait(0.5)
        return Taken(popped, wait.count, held_until)
