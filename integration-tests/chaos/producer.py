"""A producer process: pushes its batches, each repeatedly until its outcome is known, and reads results."""

import os
import queue
import random
import signal
import sys
import threading
import time
from pathlib import Path

from chaos.history import Event, Journal, read_history
from chaos.plan import Plan, task_of
from chaos.settings import client_settings
from fairque.client import (
    QueueFull,
    RedisUnavailable,
    ResultExpired,
    TaskCanceled,
    TaskFailed,
    TaskHandle,
    TaskNotFound,
    TaskQueue,
)
from fairque.protocol.embedded.guard import die_with_parent
from fairque.protocol.errors import FairqueError

__all__ = ["PACE", "main"]

#: A file in the folder of the run: how many batches may be pushed by now.
PACE = "pace"

_RESULT_SECONDS = 20.0


class Producer:
    """One producer.

    Args:
        folder: Folder of the run.
        number: Number of the producer: it pushes every n-th batch.
        url: URL of its proxy.
    """

    def __init__(self, folder: Path, number: int, url: str) -> None:
        self._folder = folder
        self._plan = Plan.load(folder)
        self._number = number
        self._queue = TaskQueue(client_settings(self._plan, url))
        self._journal = Journal(folder / "history", f"producer-{number}")
        self._waited: queue.SimpleQueue[TaskHandle[Event] | None] = queue.SimpleQueue()

    def run(self) -> None:
        """Push all batches whose outcome is unknown."""
        settled = self._settled()
        waiter = threading.Thread(target=self._wait)
        waiter.start()
        for number in range(self._number, self._plan.batches, self._plan.producers):
            if number not in settled:
                self._await_pace(number)
                self._push(number)
        self._waited.put(None)
        waiter.join()
        self._queue.close()

    def _settled(self) -> set[int]:
        mine = read_history(self._folder / "history", self._journal.actor)
        return {event["batch"] for event in mine if event["op"] == "pushed"}

    def _await_pace(self, number: int) -> None:
        while number >= int((self._folder / PACE).read_text() or 0):
            time.sleep(0.02)

    def _push(self, number: int) -> None:
        draw = random.Random(f"{self._plan.seed}/{number}/producer")
        batch = self._plan.batch(number)
        self._journal.note("push", batch=number, tasks=batch)
        tasks = [task_of(event) for event in batch]
        while True:
            try:
                handles = self._queue.push_many(tasks)
            except QueueFull:
                # Nothing was stored. The queue drains, and then the server will have memory again.
                time.sleep(0.2)
            except RedisUnavailable:
                if self._plan.loose(number) and draw.random() < 0.5:
                    self._journal.note("pushed", batch=number, outcome="info", ids=[task.task_id for task in tasks])
                    return
                time.sleep(0.1)
            else:
                break
        self._journal.note(
            "pushed",
            batch=number,
            outcome="ok",
            ids=[task.task_id for task in tasks],
            stored=[handle.task_id for handle in handles],
        )
        self._waited.put(draw.choice(handles))
        if draw.random() < 0.3:
            self._cancel(draw.choice(handles))

    def _cancel(self, handle: "TaskHandle[Event]") -> None:
        self._journal.note("cancel", id=handle.task_id)
        try:
            handle.cancel()
        except FairqueError:
            return  # it may still have been canceled

    def _wait(self) -> None:
        while (handle := self._waited.get()) is not None:
            try:
                value = handle.result(timeout=_RESULT_SECONDS)
            except TaskFailed as error:
                self._journal.note("result", id=handle.task_id, state="FAILED", reason=error.reason)
            except TaskCanceled:
                self._journal.note("result", id=handle.task_id, state="CANCELED")
            except (TimeoutError, RedisUnavailable, ResultExpired, TaskNotFound):
                continue  # this says nothing about the task
            else:
                self._journal.note("result", id=handle.task_id, state="FINISHED", value=value)


def main() -> None:
    """Run one producer: ``producer.py FOLDER NUMBER URL``."""
    die_with_parent(signal.SIGKILL)
    folder, number, url = sys.argv[1:]
    Producer(Path(folder), int(number), url).run()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
