"""The child process: ``python -m fairque.worker.child SOCKET PARENT`` runs one task after the other.

Tasks run in the main thread, since some libraries want it; a second thread listens to the worker.
"""

import faulthandler
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

from fairque.protocol.calls import Granted, Reported
from fairque.protocol.embedded.guard import die_with_parent
from fairque.protocol.errors import FairqueError, RedisUnavailable
from fairque.protocol.model.outputs import Left
from fairque.protocol.model.states import Priority, TaskState
from fairque.protocol.model.stopping import StopReason
from fairque.protocol.model.tracebacks import error_text
from fairque.protocol.service.log import configure_log
from fairque.protocol.service.signals import ignore_until_fork
from fairque.worker.handling.handler import FunctionTaskHandler, TaskHandler
from fairque.worker.handling.inputs import Inputs
from fairque.worker.jobs import Ending, GivenBack, Job, Lease, Success
from fairque.worker.keeping.progress import ProgressSender
from fairque.worker.loading import import_task_modules, load_handler
from fairque.worker.log import log
from fairque.worker.processes.channel import Channel
from fairque.worker.processes.surroundings import Surroundings
from fairque.worker.running.executor import Executor

__all__ = ["main"]

#: How long a task may clean up whose worker has gone.
_LINGER_SECONDS = 1.0
#: Of 1000: when the memory is used up the kernel ends a child before its worker.
_OUT_OF_MEMORY_SCORE = "500"


class _Office:
    """What the two threads share.

    Args:
        channel: To the worker.
    """

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._job: Job | None = None
        self._asking = threading.Lock()
        self._numbers = count(1)
        self._left: SimpleQueue[dict[str, Any] | None] = SimpleQueue()

    def read(self, token: str, _: str, task_ids: Sequence[str]) -> list[Left]:
        """Have the worker read a piece of what tasks have left, for the attempt with this token.

        Raises:
            RedisUnavailable: The server did not answer it.
            FairqueError: It cannot, the attempt has ended, or the worker is gone.
        """
        with self._asking:
            number = next(self._numbers)
            asked = {"kind": "read", "token": token, "number": number, "task_ids": list(task_ids)}
            try:
                self.channel.send(asked)
            except OSError as error:
                raise FairqueError("the worker is gone") from error
            # An answer that nobody waited for, since a signal's handler raised meanwhile, is not this one's.
            while (answer := self._left.get()) is not None and answer["number"] != number:
                continue
            if answer is None:
                self._left.put(None)
        if answer is None or "problem" in answer:
            kind = RedisUnavailable if answer is not None and answer["away"] else FairqueError
            raise kind("the worker is gone" if answer is None else answer["problem"])
        return [
            Left(TaskState(state) if state else None, _bytes(result), _bytes(xcom))
            for state, result, xcom in answer["left"]
        ]

    def progress(self, reports: Sequence[Reported]) -> None:
        """Tell the worker how far tasks have come.

        Raises:
            FairqueError: It is gone.
        """
        for report in reports:
            said = report.progress
            told = {"done": said.done, "total": said.total, "message": said.message}
            try:
                self.channel.send({"kind": "progress", "token": report.token, **told})
            except OSError as error:
                raise FairqueError("the worker is gone") from error

    def listen(self) -> None:
        """Take frames until the worker is gone."""
        while (frame := self.channel.receive()) is not None:
            if frame["kind"] == "ping":
                self.channel.send({"kind": "pong"})
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
        # A task that hangs must not outlive its worker. A process without one ends before this.
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
        heritage=None if frame["heritage"] is None else (frame["heritage"][0], Priority(frame["heritage"][1])),
    )
    # The worker watches the clock, and says when the lease or the time is over.
    return Job(granted, Lease(math.inf))


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _answer(ending: Ending) -> dict[str, Any]:
    # Each names its attempt: what comes late must not become the ending of the next task.
    told = {"token": ending.job.granted.token}
    if isinstance(ending, Success):
        return told | {"kind": "done", "result": ending.result.decode(), "xcom": ending.xcom.decode()}
    if isinstance(ending, GivenBack):
        return told | {"kind": "unstarted", "why": ending.why, "pause_seconds": ending.pause_seconds}
    return told | {
        "kind": "failed",
        "type": ending.told.kind,
        "error": ending.told.text,
        "traceback": ending.told.traceback,
        "verdict": ending.decision.verdict,
        "pause_ms": ending.decision.pause_ms,
        "reason": ending.decision.reason,
    }


def _handler(hello: dict[str, Any]) -> TaskHandler:
    """Become like the worker: the same path, modules and handler.

    Raises:
        FairqueError: A module or the handler cannot be had.
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
    """End this process, whose main thread would wait for the ending of a coroutine forever."""
    with suppress(BaseException):
        log.error("a child process ends: one of its threads died", service_thread=name, error=error_text(error))
    os._exit(1)


def main(descriptor: int, parent: int) -> None:
    """Run tasks until the worker lets go.

    Args:
        descriptor: Of the socket to the worker.
        parent: Its process.
    """
    os.set_inheritable(descriptor, False)  # noqa: FBT003 - it takes no keyword
    die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        return
    # Systems that stop a service signal all its processes: the worker decides when this one ends.
    ignore_until_fork(signal.SIGTERM, signal.SIGINT)
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
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
    office = _Office(channel)
    # A task may tell of its progress in a tight loop: the worker hears the latest word only, a few times a second.
    sender = ProgressSender(office)
    inputs = Inputs(partial(office.read, ""), hello["input_limit"])
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
    threading.Thread(target=office.listen, name="fairque-child", daemon=True).start()
    surroundings = Surroundings()
    channel.send({"kind": "ready"})
    while (job := office.jobs.get()) is not None:
        # Its context keeps this one: a thread that a task leaves behind asks for that task, whichever runs by then.
        inputs.read = partial(office.read, job.granted.token)
        executor.run_here(job)
        ending = endings.get()
        sender.flush()
        channel.send(_answer(ending))
        if left := surroundings.put_back():
            log.warning("a child process ends: what a task has changed in it cannot be undone", changed=left)
            channel.end()
            break
    executor.stop()


if __name__ == "__main__":
    with suppress(OSError):  # the worker is gone
        main(int(sys.argv[1]), int(sys.argv[2]))
