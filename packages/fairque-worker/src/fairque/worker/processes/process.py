"""A child process of a worker, seen from the worker: it is started, called, and killed, and its end is explained."""

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

from fairque.protocol.descriptors import fill_standard_numbers
from fairque.protocol.errors import AttemptError, FairqueError
from fairque.protocol.model.tracebacks import error_text
from fairque.protocol.service.threads import BegunThread
from fairque.worker.jobs import Job
from fairque.worker.processes.channel import Channel
from fairque.worker.processes.interpreter import interpreter_options
from fairque.worker.processes.process_state import current_umask
from fairque.worker.processes.surroundings import absolute_path, working_folder

__all__ = ["Child", "ChildDied", "Recipe"]

#: Seconds until a child must be ready; it imports the modules of the worker before.
_START_SECONDS = 60.0
#: Seconds until a child that is ready must answer; one that was stopped from outside does not.
_ANSWER_SECONDS = 5.0


class ChildDied(AttemptError):
    """The child process that ran a task has ended, and not by the worker: a failed attempt."""


@frozen(kw_only=True)
class Recipe:
    """What a child needs to know to run the tasks of its worker.

    Attributes:
        worker: Name of the worker.
        modules: The modules that it imports.
        handler: ``MODULE:ATTR`` of the task handler; None runs the functions of the modules.
        result_limit: Bytes of the largest result.
        input_limit: Most bytes of the outputs that a task reads.
        folder: The working folder; by default the current one of this process at its creation.
        umask: The umask; by default the current one.
        environment: The environment variables; by default the current ones.
        path: `sys.path` with absolute folders; by default the current one.
    """

    worker: str
    modules: tuple[str, ...]
    handler: str | None
    result_limit: int
    input_limit: int
    folder: str = field(factory=working_folder)
    umask: int = field(factory=current_umask)
    environment: Mapping[str, str] = field(factory=lambda: dict(os.environ), repr=False)
    path: tuple[str, ...] = field(repr=False)

    @path.default
    def _current_path(self) -> tuple[str, ...]:
        return tuple(absolute_path(self.folder))


class Child:
    """One child. It ends with its worker, also when that is killed.

    Args:
        recipe: What it needs to run tasks.
        log: Level and format of its log; None leaves the log alone.

    Attributes:
        killed: Whether this worker killed it.
        free: Set while no task uses it.
        talking: Whether it has a request that it has not fully answered: its next frame would belong to that request.
        begun: Whether the task that it was last given has begun.
        used: Whether it has run a task.

    Raises:
        OSError: There is no descriptor left.
        RuntimeError: There is no thread left.
    """

    def __init__(self, recipe: Recipe, log: tuple[str, str] | None) -> None:
        # A task in a thread may have closed one of them.
        fill_standard_numbers()
        ours, theirs = pair_of_sockets()
        self.channel = Channel(ours)
        self.killed = self.talking = self.begun = self.used = False
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
        # The kernel ends the child together with the thread that started it, so this thread lives as long as the child.
        try:
            self._keeper = BegunThread(self._keep, "fairque-child", theirs)
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
        """The number of its process; None if none was started."""
        return None if self._popen is None else self._popen.pid

    def prepare(self) -> None:
        """Wait until it has imported its modules.

        Raises:
            FairqueError: It could not, and has ended.
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
        """Whether it is alive and waits for a task."""
        try:
            self.channel.send({"kind": "ping"})
            # Frames from threads that the task before has left behind may come first.
            while (answer := self.channel.receive(_ANSWER_SECONDS)) is not None and answer["kind"] != "pong":
                self.decline(answer)
        except (OSError, ValueError, LookupError):
            # It is gone, or has sent an invalid frame.
            return False
        return answer is not None

    def decline(self, asked: Mapping[str, Any]) -> None:
        """Refuse a request of an attempt that has ended, so that its thread does not wait forever.

        Raises:
            OSError: The child is gone.
        """
        if asked["kind"] == "read":
            problem = "the attempt that asks for it has ended: read while the task runs"
            self.channel.send({"kind": "left", "number": asked["number"], "problem": problem, "away": False})

    def request_stop(self, job: Job) -> None:
        """Ask its task to stop; it never blocks, not even when the child does not read."""
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
        """Kill it, and everything that it started in its process group; safe to call twice."""
        self.killed = True
        self._begun.wait()
        self._send(signal.SIGKILL, os.killpg)
        # A task may have moved it to another group.
        self._send(signal.SIGKILL, os.kill)

    def dump(self) -> None:
        """Make it write its stacks to standard error."""
        if self._ready:
            self._send(signal.SIGUSR1, os.kill)

    def _send(self, number: int, send: Callable[[int, int], None]) -> None:
        with self._lock:
            if self._popen is not None and not self._reaped:
                with suppress(ProcessLookupError, PermissionError):
                    send(self._popen.pid, number)

    def leave(self) -> None:
        """Let it end by itself, as soon as nothing runs there."""
        self.channel.end()

    def join(self, seconds: float) -> bool:
        """Wait for it to end, and return whether it has."""
        self._keeper.join(max(0.0, seconds))
        return not self._keeper.is_alive()

    def cause(self) -> str:
        """Return how it ended, as a text that follows the word process."""
        self._ended.wait(_ANSWER_SECONDS)
        code = None if self._popen is None else self._popen.returncode
        if code is None:
            return "has closed the connection to its worker"
        if code >= 0:
            return f"ended with exit code {code}, as after os._exit({code}) or a failure of a library"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        hint = ", as the kernel does when memory runs out" if -code == signal.SIGKILL else ""
        return f"was ended by {name}{hint}"

    def _greeted(self) -> str:
        """Send a new child what it needs, and return its problem; empty if there is none."""
        hello: dict[str, Any] = {
            "worker": self._recipe.worker,
            "modules": self._recipe.modules,
            "handler": self._recipe.handler,
            "result_limit": self._recipe.result_limit,
            "input_limit": self._recipe.input_limit,
            "log": self._log,
            "path": self._recipe.path,
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
                self._popen = subprocess.Popen(  # noqa: S603 - our own module
                    [
                        sys.executable,
                        # With -E it would not read the path from its environment.
                        *(option for option in interpreter_options() if option != "-E"),
                        "-P",
                        "-m",
                        "fairque.worker.child",
                        str(theirs.fileno()),
                        str(os.getpid()),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=_inherited(1),
                    stderr=_inherited(2),
                    pass_fds=[theirs.fileno()],
                    # Out of reach of the terminal's Ctrl-C, and killed together with what it starts.
                    process_group=0,
                    # Only so that it finds this package: it sets the path itself, and restores this variable.
                    env={**self._recipe.environment, "PYTHONPATH": os.pathsep.join(self._recipe.path)},
                    # The folder of the worker at its start: a task may have changed or removed the current one.
                    cwd=self._recipe.folder,
                    umask=self._recipe.umask,
                )
            except OSError as error:
                what = f"{sys.executable!r} (sys.executable), in the folder {self._recipe.folder!r},"
                self._problem = f"{what} cannot be run: {error.strerror}"
            except Exception as error:  # noqa: BLE001 - `prepare` raises it
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
                # Before it is reaped: until then its number, also that of the process group, cannot be reused.
                os.killpg(popen.pid, signal.SIGKILL)
        popen.wait()
        with self._lock:
            self._reaped = True


def _inherited(number: int) -> int | None:
    """Return what a child gets as its standard output or error: that of this process, if it is one.

    A task in a thread may have closed it, and then it is whatever file or connection was opened next.
    """
    try:
        return None if os.get_inheritable(number) else subprocess.DEVNULL
    except OSError:
        return subprocess.DEVNULL
