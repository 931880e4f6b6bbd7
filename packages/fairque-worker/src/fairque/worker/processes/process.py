"""A child process of a worker, seen from the worker: it is started, told, killed, and what it died of is said."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from socket import socketpair as pair_of_sockets
from typing import Any

from attrs import field, frozen

from fairque.protocol.errors import AttemptError, FairqueError
from fairque.protocol.model.tracebacks import error_text
from fairque.protocol.service.streams import fill_standard_numbers
from fairque.protocol.service.threads import BegunThread
from fairque.worker.jobs import Job
from fairque.worker.processes.channel import Channel
from fairque.worker.processes.surroundings import absolute_path, current_umask, working_folder

__all__ = ["Child", "ChildDied", "Recipe"]

#: A child imports the modules of the worker before it is ready.
_START_SECONDS = 60.0
#: A child that is ready answers at once; one that was stopped from outside does not.
_ANSWER_SECONDS = 5.0


class ChildDied(AttemptError):
    """The child process that ran a task has ended, and nobody but the task is to blame: a failed attempt."""


@frozen(kw_only=True)
class Recipe:
    """What a child needs to know to run the tasks of its worker.

    Attributes:
        worker: Name of the worker.
        modules: What it imports.
        handler: ``MODULE:ATTR`` of the task handler; None runs the functions of the modules.
        result_limit: Bytes of the largest result.
        input_limit: Bytes of all that a task takes from others.
        folder: Where it works; by default where this process does now, wherever a task goes to later.
        umask: Which rights the files that it makes do not get; by default those of now.
        environment: Its variables; by default those of now.
    """

    worker: str
    modules: tuple[str, ...]
    handler: str | None
    result_limit: int
    input_limit: int
    folder: str = field(factory=working_folder)
    umask: int = field(factory=current_umask)
    environment: Mapping[str, str] = field(factory=lambda: dict(os.environ), repr=False)


class Child:
    """One child. It ends with its worker, also when that is killed.

    Args:
        recipe: What it is to be.
        log: Level and form of its log; None leaves the log alone.

    Attributes:
        killed: Whether this worker killed it.
        free: Set while no task has it.
        talking: Whether it was told to do something and has not said all that there is to say: what comes next from
            it would belong to that.

    Raises:
        OSError: There is no descriptor left.
        RuntimeError: There is no thread left.
    """

    def __init__(self, recipe: Recipe, log: tuple[str, str] | None) -> None:
        # A task in a thread may have closed one of them.
        fill_standard_numbers()
        ours, theirs = pair_of_sockets()
        self.channel = Channel(ours)
        self.killed = self.talking = False
        self.free = threading.Event()
        self._recipe = recipe
        self._log = log
        self._ready = False
        self._popen: subprocess.Popen[bytes] | None = None
        self._reaped = False
        self._lock = threading.Lock()
        self._begun = threading.Event()
        self._ended = threading.Event()
        self._problem = ""
        # The kernel ends the child with the thread that began it, so this thread lives exactly as long as the child.
        self._keeper = BegunThread(self._keep, "fairque-child", theirs)
        try:
            self._keeper.start()
        except BaseException:
            self.channel.close()
            theirs.close()
            raise

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return not self._ended.is_set()

    @property
    def pid(self) -> int | None:
        """Its process, None when there never was one."""
        return None if self._popen is None else self._popen.pid

    def prepare(self) -> None:
        """Wait until it has imported what it needs.

        Raises:
            FairqueError: It cannot, and has ended.
        """
        self._begun.wait()
        try:
            if not self._problem:
                self._problem = self._greeted()
        except (OSError, ValueError):
            self._problem = f"its child process {self.cause()}"
        if self._problem:
            self.kill()
            self.join(_ANSWER_SECONDS)
            raise FairqueError(self._problem)
        self._ready = True

    def answers(self) -> bool:
        """Whether it is alive and waits for something to do."""
        try:
            self.channel.send({"kind": "ping"})
            # What threads of the task before may still say comes first.
            while (answer := self.channel.receive(_ANSWER_SECONDS)) is not None and answer["kind"] != "pong":
                self.decline(answer)
        except (OSError, ValueError, LookupError):
            # It is gone, or says what no child says.
            return False
        return answer is not None

    def decline(self, asked: Mapping[str, Any]) -> None:
        """Answer what is asked for an attempt that has ended, so that who asks does not wait forever.

        Raises:
            OSError: The child is gone.
        """
        if asked["kind"] == "read":
            problem = "the attempt that asks for it has ended: read while the task runs"
            self.channel.send({"kind": "left", "number": asked["number"], "problem": problem, "away": False})

    def tell(self, job: Job) -> None:
        """Tell the task that runs there to stop; it never waits, not for a child that does not listen either."""
        with suppress(OSError):
            self.channel.offer(
                {
                    "kind": "cancel",
                    "token": job.granted.token,
                    "reason": job.stop.reason,
                    "lease_lost": not job.lease.held(),
                }
            )

    def kill(self) -> None:
        """Kill it, and all that it started and that is still in its process group; safe to call twice."""
        self.killed = True
        self._begun.wait()
        self._send(signal.SIGKILL, os.killpg)
        # A task may have taken it into another group.
        self._send(signal.SIGKILL, os.kill)

    def dump(self) -> None:
        """Have it write to standard error what it does."""
        if self._ready:
            self._send(signal.SIGUSR1, os.kill)

    def _send(self, number: int, send: Callable[[int, int], None]) -> None:
        with self._lock:
            if self._popen is not None and not self._reaped:
                with suppress(ProcessLookupError, PermissionError):
                    send(self._popen.pid, number)

    def leave(self) -> None:
        """Have it end by itself: it does once nothing runs there."""
        self.channel.end()

    def join(self, seconds: float) -> bool:
        """Wait for its end, and return whether it has come."""
        self._keeper.join(max(0.0, seconds))
        return not self._keeper.is_alive()

    def cause(self) -> str:
        """Say how it ended, to follow the word process."""
        self._ended.wait(_ANSWER_SECONDS)
        code = None if self._popen is None else self._popen.returncode
        if code is None:
            return "has let go of its worker"
        if code >= 0:
            return f"ended with exit code {code}, as after os._exit({code}) or a failure of a library"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        hint = ", as the kernel does when the memory is used up" if -code == signal.SIGKILL else ""
        return f"was ended by {name}{hint}"

    def _greeted(self) -> str:
        """Greet a new child, and return what it has to complain about."""
        hello: dict[str, Any] = {
            "worker": self._recipe.worker,
            "modules": self._recipe.modules,
            "handler": self._recipe.handler,
            "result_limit": self._recipe.result_limit,
            "input_limit": self._recipe.input_limit,
            "log": self._log,
            "path": absolute_path(self._recipe.folder),
            "pythonpath": self._recipe.environment.get("PYTHONPATH"),
        }
        self.channel.send(hello)
        try:
            answer = self.channel.receive(_START_SECONDS)
        except TimeoutError:
            return f"its child process was not ready within {_START_SECONDS:g} s"
        return f"its child process {self.cause()}" if answer is None else str(answer.get("problem", ""))

    def _keep(self, theirs: socket.socket) -> None:
        with theirs:
            try:
                path = absolute_path(self._recipe.folder)
                self._popen = subprocess.Popen(  # noqa: S603 - our own module
                    [
                        sys.executable,
                        "-P",
                        "-m",
                        "fairque.worker.child",
                        str(theirs.fileno()),
                        str(os.getpid()),
                    ],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    # Out of reach of the terminal's Ctrl-C, and killed together with what it starts.
                    process_group=0,
                    # Only so that it finds this package: it takes over the path itself, and gives this back.
                    env={**self._recipe.environment, "PYTHONPATH": os.pathsep.join(path)},
                    # Where the worker began: a task may have left that folder, or removed the one where it is now.
                    cwd=self._recipe.folder,
                    umask=self._recipe.umask,
                )
            except OSError as error:
                what = f"{sys.executable!r} (sys.executable), in the folder {self._recipe.folder!r},"
                self._problem = f"{what} cannot be run: {error.strerror}"
            except Exception as error:  # noqa: BLE001 - whatever it is, it is said to those who wait for the child
                self._problem = f"its child process cannot be started: {error_text(error)}"
            finally:
                self._begun.set()
        try:
            if self._popen is not None:
                self._reap(self._popen)
        finally:
            self._ended.set()
            self.channel.end()

    def _reap(self, popen: "subprocess.Popen[bytes]") -> None:
        if hasattr(os, "waitid"):
            with suppress(OSError):
                os.waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOWAIT)
                # Not reaped yet, so that its number, which is the process group's, too, cannot be another one's.
                os.killpg(popen.pid, signal.SIGKILL)
        popen.wait()
        with self._lock:
            self._reaped = True
