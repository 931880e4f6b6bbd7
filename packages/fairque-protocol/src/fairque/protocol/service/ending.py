"""The end of a process: in bounded time, whatever threads, pools and processes of its users still run.

The interpreter joins every thread that is not a daemon, and the threads of every pool, before it calls what was
registered with `atexit`. One that hangs would keep a service alive that has stopped and given all of its work back.
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

__all__ = ["ProgramEnd", "run_command"]

#: Seconds that other threads have to end by themselves, as those of a pool do that have nothing to do.
_THREADS_SECONDS: Final = 1.0
#: Seconds that the functions registered with `atexit` have then.
_HANDLERS_SECONDS: Final = 2.0


def run_command(command: Callable[[], object]) -> NoReturn:
    """Run the command of a service in the main thread, and end the process with its exit code.

    What was registered with `atexit` is called, streams and logs are flushed, and child processes that multiprocessing
    has started are ended; but a thread that still runs after a second is not waited for, and what is registered has two
    seconds.
    """
    code: Any = 0
    keep_hearing()
    try:
        command()
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - it is shown, and ends the process as the interpreter would
        call_aside("what shows an error", partial(sys.excepthook, *sys.exc_info()))
        code = 1
    if code is not None and not isinstance(code, int):
        say(str(code))  # as the interpreter does
        code = 1
    _leave(code or 0)


def _leave(code: int) -> NoReturn:
    ignore_from_now_on()
    end = _End(code)
    atexit.register(end.take_turn)
    helper = BegunThread(end.call_handlers, "fairque-exit-handlers")
    watcher = BegunThread(end.insist, "fairque-exit")
    try:
        # Both now: an interpreter that ends begins no threads any more.
        helper.start()
        watcher.start()
    except RuntimeError:
        if _others():
            end.call_handlers(at_once=True)
            os._exit(code)
    flush_streams()
    sys.exit(code)


class _End:
    """The end of this process, of which the interpreter takes care as long as nothing is in its way.

    Args:
        code: The exit code.
    """

    def __init__(self, code: int) -> None:
        self.code = code
        self._turn = threading.Lock()
        self._stuck, self._called = threading.Event(), threading.Event()

    def insist(self) -> None:
        """End the process although threads, or the functions registered with `atexit`, do not end."""
        threading.Event().wait(_THREADS_SECONDS)
        # For those as well the interpreter waits, before it calls what else is registered.
        _end_children()
        self._stuck.set()
        self._called.wait(_HANDLERS_SECONDS)
        _end_children()
        os._exit(self.code)

    def call_handlers(self, *, at_once: bool = False) -> None:
        """Call what is registered with `atexit`, once the interpreter is stuck before that."""
        if not at_once:
            self._stuck.wait()
        atexit._run_exitfuncs()  # noqa: SLF001 - there is no public way, and nobody else will call them
        flush_streams()
        self._called.set()

    @property
    def goes_on(self) -> bool:
        """Whether what is registered is being called."""
        return self._turn.locked()

    def take_turn(self) -> None:
        """Registered last, and so called first: let only the first caller continue with what else is registered."""
        if not self._turn.acquire(blocking=False):
            threading.Event().wait()


class ProgramEnd:
    """Calls a function when the program ends, in good time: also if the threads of a pool do not let it end.

    A program continues while a thread of its own runs that is not a daemon. What tasks have begun is different: their
    threads are daemons, and so are those of a pool to which they were the first to give something. If nothing else is
    left, the process ends with 0, or with 1 after an exception that nobody caught.

    Args:
        function: What is called, once, from any thread. It is over in a few seconds.
    """

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._calling = threading.Lock()
        self._called = False
        self._pid = 0
        self._canceled = False
        self._end = _End(0)
        self._told = threading.Event()
        self._pool: ThreadPoolExecutor | None = None

    def watch(self) -> None:
        """Begin.

        Raises:
            RuntimeError: The system has no thread left.
        """
        self._pid = os.getpid()
        atexit.register(self._call)
        # The interpreter tells the threads of pools to end before it joins any, so one that only waits ends then.
        self._pool = ThreadPoolExecutor(1, "fairque-program")
        self._pool.submit(_Farewell.leave_in_this_thread, self._tell)
        BegunThread(self._wait, "fairque-program-end").start()

    def cancel(self) -> None:
        """Call nothing any more; safe to call twice."""
        self._canceled = True
        # The function itself may cancel; then the interpreter has yet to wait for its end.
        if not self._called:
            atexit.unregister(self._call)
        if self._pool is not None:
            self._pool.shutdown(wait=False)

    def _tell(self) -> None:
        if self._pid != os.getpid():
            return  # a forked child throws the threads of its parent away
        if not self._canceled:
            atexit.register(self._end.take_turn)
        self._told.set()

    def _wait(self) -> None:
        self._told.wait()
        while (others := _others()) and not self._canceled:
            others[0].join()
        if self._canceled:
            return
        self._call()
        threading.Event().wait(_THREADS_SECONDS)
        if self._end.goes_on:
            # The interpreter waits for nothing but what it would wait for without a worker, or for a handler of the
            # log that hangs, whose lock it wants.
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
        # Whoever comes second waits until it was called, or the process would be over before.
        with self._calling:
            if not (self._canceled or self._called):
                self._called = True
                self._function()


class _Farewell:
    """Tells when the thread ends in which it was left."""

    _place = threading.local()

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell

    @classmethod
    def leave_in_this_thread(cls, tell: Callable[[], None]) -> None:
        cls._place.farewell = cls(tell)

    def __del__(self) -> None:
        self._tell()


def _code_of_program() -> int:
    return 0 if getattr(sys, "last_value", None) is None else 1


def _others() -> list[threading.Thread]:
    """Return the threads for which the interpreter waits."""
    main = threading.main_thread()
    return [thread for thread in threading.enumerate() if thread is not main and not thread.daemon]


def _end_children() -> None:
    multiprocessing: Any = sys.modules.get("multiprocessing")
    if multiprocessing is None:
        return
    for child in multiprocessing.active_children():
        with suppress(OSError, ValueError):
            child.kill()
