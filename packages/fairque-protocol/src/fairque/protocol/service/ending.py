"""The end of a process in bounded time, whatever threads, pools and processes of user code still run.

The interpreter joins every thread that is not a daemon, and the threads of every pool, before it calls the functions
registered with `atexit`. A thread that hangs would keep a service alive that has stopped and given back all its work.
"""

import atexit
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, Final, NoReturn

from fairque.protocol.service.aside import call_aside, hangs, say
from fairque.protocol.service.signals import ignore_from_now_on, keep_hearing
from fairque.protocol.service.streams import flush_streams
from fairque.protocol.service.threads import BegunThread

__all__ = ["ProgramEnd", "end_process", "run_command"]

#: Seconds that other threads have to end by themselves, as idle threads of a pool do.
_THREADS_SECONDS: Final = 1.0
#: Seconds that the functions registered with `atexit` then have.
_HANDLERS_SECONDS: Final = 2.0


def run_command(command: Callable[[], object]) -> NoReturn:
    """Run the command of a service in the main thread, and end the process with its exit code.

    Functions registered with `atexit` are called, streams and logs are flushed, and child processes that
    multiprocessing has started are ended; but the end waits at most one second for threads, and two for the functions.
    """
    keep_hearing()
    try:
        command()
    except BaseException as error:  # noqa: BLE001 - it ends the process as the interpreter would
        end_process(error)
    end_process()


def end_process(error: BaseException | None = None) -> NoReturn:
    """End the process from its main thread, in bounded time as `run_command` does.

    Args:
        error: The error to end with: that of `sys.exit` has the exit code, and others are shown and end it with 1.
    """
    code: Any = 0
    if isinstance(error, SystemExit):
        code = error.code
    elif error is not None:
        call_aside("what shows an error", partial(sys.excepthook, type(error), error, error.__traceback__))
        code = 1
    if code is not None and not isinstance(code, int):
        say(str(code))  # as the interpreter does
        code = 1
    _leave(code or 0)


def _leave(code: int) -> NoReturn:
    ignore_from_now_on()
    end = _End(code)
    atexit.register(end.take_turn)
    try:
        # Both now: an interpreter that is ending starts no threads.
        BegunThread(end.call_handlers, "fairque-exit-handlers").start()
        BegunThread(end.insist, "fairque-exit").start()
    except (RuntimeError, MemoryError):
        if _others():
            end.call_handlers(at_once=True)
            os._exit(code)
    flush_streams()
    sys.exit(code)


class _End:
    """The end of this process, which is left to the interpreter as long as nothing blocks it.

    Args:
        code: The exit code.
    """

    def __init__(self, code: int) -> None:
        self.code = code
        self._turn = threading.Lock()
        self._stuck, self._called = threading.Event(), threading.Event()

    def insist(self) -> None:
        """End the process even if threads, or the functions registered with `atexit`, do not end."""
        threading.Event().wait(_THREADS_SECONDS)
        # The interpreter waits for child processes, too, before it calls other registered functions.
        _end_children()
        self._stuck.set()
        self._called.wait(_HANDLERS_SECONDS)
        _end_children()
        os._exit(self.code)

    def call_handlers(self, *, at_once: bool = False) -> None:
        """Call the functions registered with `atexit`, once the interpreter is stuck before them."""
        if not at_once:
            self._stuck.wait()
        atexit._run_exitfuncs()  # noqa: SLF001 - there is no public way, and nothing else will call them
        flush_streams()
        self._called.set()

    @property
    def continues(self) -> bool:
        """Whether the registered functions are being called."""
        return self._turn.locked()

    def take_turn(self) -> None:
        """Let only the first caller continue; registered last, and so called before all other functions."""
        if not self._turn.acquire(blocking=False):
            threading.Event().wait()


class ProgramEnd:
    """Calls a function when the program ends, in time, even if the threads of a pool block its end.

    A program continues while one of its threads runs that is not a daemon. Threads that tasks have started are daemons,
    and so are those of a pool that tasks used first. If no others are left, the process ends with 0, or with 1 after an
    uncaught exception.

    Args:
        function: Called once, from any thread. It must return within a few seconds.
    """

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._calling = threading.Lock()
        self._called = False
        self._pid = 0
        self._canceled = False
        self._end = _End(0)
        self._ending = threading.Event()
        self._pool: ThreadPoolExecutor | None = None

    def watch(self) -> None:
        """Start to watch for the end of the program.

        Raises:
            RuntimeError: The system has no thread left.
        """
        self._pid = os.getpid()
        atexit.register(self._call)
        _call_at_the_end_of_a_process(self._call)
        # The interpreter asks the threads of pools to end before it joins any, so an idle one ends then.
        self._pool = ThreadPoolExecutor(1, "fairque-program")
        self._pool.submit(_Farewell.leave_in_this_thread, self._note_end)
        BegunThread(self._wait, "fairque-program-end").start()

    def cancel(self) -> None:
        """Do not call the function; safe to call twice."""
        self._canceled = True
        # The function itself may cancel; then the interpreter must still wait for its end.
        if not self._called:
            atexit.unregister(self._call)
        if self._pool is not None:
            self._pool.shutdown(wait=False)

    def _note_end(self) -> None:
        if self._pid != os.getpid():
            return  # a forked child throws the threads of its parent away
        if not self._canceled:
            atexit.register(self._end.take_turn)
        self._ending.set()

    def _wait(self) -> None:
        self._ending.wait()
        while (others := _others()) and not self._canceled:
            others[0].join()
        if self._canceled:
            return
        self._call()
        threading.Event().wait(_THREADS_SECONDS)
        if self._end.continues:
            # The interpreter waits only for what it would wait for without a worker, or for the lock of a log handler
            # that hangs.
            if not hangs():
                return
            threading.Event().wait(_HANDLERS_SECONDS)
            os._exit(_code_of_program())
        _end_children()
        self._end.call_handlers(at_once=True)
        os._exit(_code_of_program())

    def _call(self) -> None:
        if self._pid != os.getpid():
            return
        # A second caller waits until the function has returned, or the process would end before.
        with self._calling:
            if not (self._canceled or self._called):
                self._called = True
                self._function()


class _Farewell:
    """Calls a function when the thread ends in which it was left."""

    _place = threading.local()

    def __init__(self, on_end: Callable[[], None]) -> None:
        self._on_end = on_end

    @classmethod
    def leave_in_this_thread(cls, on_end: Callable[[], None]) -> None:
        cls._place.farewell = cls(on_end)

    def __del__(self) -> None:
        self._on_end()


def _code_of_program() -> int:
    return 0 if getattr(sys, "last_value", None) is None else 1


def _others() -> list[threading.Thread]:
    """Return the threads for which the interpreter waits."""
    main = threading.main_thread()
    return [thread for thread in threading.enumerate() if thread is not main and not thread.daemon]


def _call_at_the_end_of_a_process(function: Callable[[], None]) -> None:
    """Call a function when this process ends, if `multiprocessing` has started it: it ends without `atexit`."""
    multiprocessing: Any = sys.modules.get("multiprocessing")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        multiprocessing.util.Finalize(None, function, exitpriority=0)


def _end_children() -> None:
    multiprocessing: Any = sys.modules.get("multiprocessing")
    if multiprocessing is None:
        return
    for child in multiprocessing.active_children():
        with suppress(OSError, ValueError):
            child.kill()
