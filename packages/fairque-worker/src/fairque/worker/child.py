"""The child process: ``python -m fairque.worker.child SOCKET PARENT`` runs one task after another.

Tasks run in the main thread, since some libraries require it; a second thread receives frames from the worker.
"""

import math
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from fairque.protocol.calls.pop import Granted
from fairque.protocol.calls.progress import Reported
from fairque.protocol.embedded.guard import die_with_parent
from fairque.protocol.errors import FairqueError, RedisUnavailable
from fairque.protocol.model.outputs import StoredOutputs
from fairque.protocol.model.states import Priority, TaskState
from fairque.protocol.model.stopping import StopReason
from fairque.protocol.model.tracebacks import error_text
from fairque.protocol.service.log import configure_log
from fairque.protocol.service.signals import STOPPING, ignore_until_fork
from fairque.protocol.service.threads import BegunThread
from fairque.worker.handling.handler import FunctionTaskHandler, TaskHandler
from fairque.worker.handling.inputs import Inputs
from fairque.worker.jobs import Ending, Job, Lease, Postponed, Success
from fairque.worker.keeping.progress import ProgressSender
from fairque.worker.loading import import_task_modules, load_handler
from fairque.worker.log import log
from fairque.worker.processes.channel import Channel
from fairque.worker.processes.surroundings import Surroundings, keep_dumps
from fairque.worker.running.executor import Executor

__all__ = ["main"]

#: Seconds that a task may clean up when its worker is gone.
_LINGER_SECONDS = 1.0
#: Of 1000: when memory runs out the kernel ends a child before its worker.
_OUT_OF_MEMORY_SCORE = "500"


#: Answered by the main thread: only once the state of the process is restored can it run the next task.
_PING = object()


class _Desk:
    """The state that the two threads share.

    Args:
        channel: The connection to the worker.
    """

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        # None is the end, and _PING asks whether this process can run the next task.
        self.jobs: SimpleQueue[Job | object | None] = SimpleQueue()
        self._job: Job | None = None
        self._asking = threading.Lock()
        self._numbers = count(1)
        self._left: SimpleQueue[dict[str, Any] | None] = SimpleQueue()

    def read(self, token: str, _: str, task_ids: Sequence[str]) -> list[StoredOutputs]:
        """Ask the worker to read a part of the outputs of tasks, for the attempt with this token.

        Raises:
            RedisUnavailable: The server did not answer the worker.
            FairqueError: The worker cannot read them, the attempt has ended, or the worker is gone.
        """
        with self._asking:
            number = next(self._numbers)
            asked = {"kind": "read", "token": token, "number": number, "task_ids": list(task_ids)}
            try:
                self.channel.send(asked)
            except OSError as error:
                raise FairqueError("the worker is gone") from error
            # Skip an answer to an earlier request whose wait was interrupted when a signal handler raised.
            while (answer := self._left.get()) is not None and answer["number"] != number:
                continue
            if answer is None:
                self._left.put(None)
        if answer is None or "problem" in answer:
            kind = RedisUnavailable if answer is not None and answer["away"] else FairqueError
            raise kind("the worker is gone" if answer is None else answer["problem"])
        return [
            StoredOutputs(TaskState(state) if state else None, _bytes(result), _bytes(xcom))
            for state, result, xcom in answer["left"]
        ]

    def progress(self, reports: Sequence[Reported]) -> None:
        """Send the progress of tasks to the worker.

        Raises:
            FairqueError: The worker is gone.
        """
        for report in reports:
            progress = report.progress
            fields = {"done": progress.done, "total": progress.total, "message": progress.message}
            try:
                self.channel.send({"kind": "progress", "token": report.token, **fields})
            except OSError as error:
                raise FairqueError("the worker is gone") from error

    def serve(self) -> None:
        """Receive frames until the worker is gone; the process ends if that fails."""
        try:
            self._listen()
        except BaseException as error:  # noqa: BLE001 - such as a MemoryError: a task would wait forever for an answer
            _die("fairque-child", error)

    def _listen(self) -> None:
        while (frame := self.channel.receive()) is not None:
            if frame["kind"] == "ping":
                self.jobs.put(_PING)
            elif frame["kind"] == "run":
                self._job = _job(frame)
                self.jobs.put(self._job)
            elif frame["kind"] == "left":
                self._left.put(frame)
            elif self._job is not None and frame["token"] == self._job.granted.token:
                if frame["lease_lost"]:
                    self._job.lease.lost = True
                self._job.request_stop(StopReason(frame["reason"]))
        self.jobs.put(None)
        self._left.put(None)
        if self._job is not None:
            self._job.request_stop(StopReason.WORKER_STOPS)
        # A task that hangs must not outlive its worker. Without a task the process ends before this.
        threading.Event().wait(_LINGER_SECONDS)
        os._exit(1)


def _job(frame: dict[str, Any]) -> Job:
    granted = Granted(
        frame["task_id"],
        _bytes(frame["message"]),
        frame["token"],
        frame["attempt"],
        frame["failures"],
        solo=False,
        pushed_at=0,
        user_id=frame["user_id"],
        priority=None if frame["priority"] is None else Priority(frame["priority"]),
    )
    # The worker watches the clock, and reports when the lease or the timeout is over.
    return Job(granted, Lease(math.inf))


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _answer(ending: Ending) -> dict[str, Any]:
    # Each names its attempt: a late ending must not become that of the next task.
    attempt = {"token": ending.job.granted.token}
    if isinstance(ending, Success):
        return attempt | {"kind": "done", "result": ending.result.decode(), "xcom": ending.xcom.decode()}
    if isinstance(ending, Postponed):
        return attempt | {"kind": "unstarted", "why": ending.why, "pause_seconds": ending.pause_seconds}
    return attempt | {
        "kind": "failed",
        "type": ending.summary.kind,
        "error": ending.summary.text,
        "traceback": ending.summary.traceback,
        "verdict": ending.decision.verdict,
        "pause_ms": ending.decision.pause_ms,
        "reason": ending.decision.reason,
    }


def _handler(hello: dict[str, Any]) -> TaskHandler:
    """Set up this process like the worker, with the same path and modules, and return its handler.

    Raises:
        FairqueError: A module or the handler cannot be imported.
    """
    sys.path[:] = hello["path"]
    os.environ.pop("PYTHONPATH", None)
    if hello["pythonpath"] is not None:
        os.environ["PYTHONPATH"] = hello["pythonpath"]
    if hello["log"] is not None:
        configure_log(*hello["log"])
    import_task_modules(hello["modules"])
    return FunctionTaskHandler(hello["modules"]) if hello["handler"] is None else load_handler(hello["handler"])


def _die(name: str, error: BaseException) -> None:
    """End this process, since its main thread would wait forever: for the end of a coroutine, or for a frame."""
    with suppress(BaseException):
        log.error("a child process ends: one of its threads died", service_thread=name, error=error_text(error))
    os._exit(1)


def main(descriptor: int, parent: int) -> None:
    """Run tasks until the worker closes the connection.

    Args:
        descriptor: The descriptor of the socket to the worker.
        parent: The number of the worker's process.
    """
    os.set_inheritable(descriptor, False)  # noqa: FBT003 - it takes no keyword
    die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        return
    # Service managers signal all processes of a service to stop it: here the worker decides when this one ends.
    ignore_until_fork(*STOPPING)
    keep_dumps()
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OUT_OF_MEMORY_SCORE)
    channel = Channel(socket.socket(fileno=descriptor))
    hello = channel.receive()
    if hello is None:
        return
    try:
        handler = _handler(hello)
    except FairqueError as error:
        channel.send({"problem": error_text(error)})
        return
    endings: SimpleQueue[Ending] = SimpleQueue()
    desk = _Desk(channel)
    # A task may report progress in a tight loop: the worker gets only the latest, a few times a second.
    sender = ProgressSender(desk, _die)
    inputs = Inputs(partial(desk.read, ""), hello["input_limit"])
    executor = Executor(
        handler,
        1,
        hello["result_limit"],
        endings.put,
        inputs=inputs,
        on_progress=sender.note,
        on_death=_die,
        shared=False,
    )
    BegunThread(desk.serve, "fairque-child").start()
    surroundings = Surroundings()
    channel.send({"kind": "ready"})
    while (job := desk.jobs.get()) is not None:
        if not isinstance(job, Job):
            channel.send({"kind": "pong"})
            continue
        channel.send({"kind": "begun", "token": job.granted.token})
        # The context of the task keeps this: a thread that the task leaves behind still reads with its token.
        inputs.read = partial(desk.read, job.granted.token)
        executor.run_here(job)
        ending = endings.get()
        sender.flush()
        channel.send(_answer(ending))
        if changed := surroundings.put_back():
            log.warning("a child process ends: what a task has changed in it cannot be undone", changed=changed)
            channel.end()
            break
    executor.stop()


if __name__ == "__main__":
    with suppress(OSError):  # the worker is gone
        main(int(sys.argv[1]), int(sys.argv[2]))
