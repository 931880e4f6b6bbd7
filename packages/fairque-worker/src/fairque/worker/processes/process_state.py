"""The parts of the state of a process that a task can change, such as its folder: how each is read and set."""

import decimal
import gc
import locale
import logging
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
import time
import tracemalloc
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from attrs import frozen

if TYPE_CHECKING:
    from _typeshed import StrOrBytesPath

__all__ = ["Part", "current_umask", "parts_of_process"]

_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
_SIGNALS = tuple(sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}))
#: The loggers that tasks use without creating them: the root logger, that of fairque, and that of contexts of tasks.
_LOGGERS = ("", "fairque", "fairque.task")
#: Identifiers that `sys.monitoring` gives to tools.
_MOST_TOOLS = 6
_LIMITS = tuple(getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_"))


def current_umask() -> int:
    """Return the umask of this process."""
    # It can only be read by setting it. A file that another thread creates now gets fewer permissions, never more.
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


@frozen
class Part:
    """A part of the state, which can be read and set."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]


def _cannot(_: object) -> None:
    raise ValueError("another object cannot be what it was")


def _environment() -> tuple[Any, ...]:
    return dict(os.environ), time.tzname, time.timezone, time.altzone, time.daylight


def _set_environment(wanted: tuple[Any, ...]) -> None:
    os.environ.clear()
    os.environ.update(wanted[0])
    time.tzset()


def _hidden_variables() -> Part:
    """Names of the variables that were changed by `os.putenv` and `os.unsetenv`, which `os.environ` does not notice."""
    names: set[bytes] = set()
    put, unset = os.putenv, os.unsetenv

    # `os.environ` calls them, too, which does no harm.
    def putenv(name: "StrOrBytesPath", value: "StrOrBytesPath", /) -> None:
        put(name, value)
        names.add(os.fsencode(name))

    def unsetenv(name: "StrOrBytesPath", /) -> None:
        unset(name)
        names.add(os.fsencode(name))

    def write(_: object) -> None:
        for name in names:
            if name in os.environb:
                put(name, os.environb[name])
            else:
                unset(name)
        names.clear()
        # One of them may be the time zone.
        time.tzset()

    os.putenv, os.unsetenv = putenv, unsetenv
    return Part("variables that os.environ does not show", lambda: set(names), write)


def _handlers() -> dict[int, Any]:
    # None stands for a handler that is not Python's, and cannot be set again.
    found = {number: signal.getsignal(number) for number in _SIGNALS}
    return {number: handler for number, handler in found.items() if handler is not None}


def _set_handlers(wanted: dict[int, Any]) -> None:
    for number, handler in wanted.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


def _wakeup_descriptor() -> int:
    # It can only be read by setting it.
    number = signal.set_wakeup_fd(-1)
    with suppress(OSError, ValueError):  # a task may have closed it
        signal.set_wakeup_fd(number)
        return number
    return -2


def _identity() -> tuple[int, ...]:
    return *os.getresuid(), *os.getresgid(), *os.getgroups()


def _scheduling() -> tuple[int, int]:
    return os.sched_getscheduler(0), os.sched_getparam(0).sched_priority


def _set_timers(_: object) -> None:
    # The worker uses none, and an alarm of one task must not go off in the next one.
    for timer in _TIMERS:
        signal.setitimer(timer, 0)


def _set_path(wanted: list[str]) -> None:
    sys.path[:] = wanted


def _set_arguments(wanted: list[str]) -> None:
    sys.argv[:] = wanted


def _streams() -> tuple[Any, ...]:
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return streams, [stream is None or stream.closed for stream in streams]


def _set_streams(wanted: tuple[Any, ...]) -> None:
    sys.stdin, sys.stdout, sys.stderr = wanted[0]
    if _streams() != wanted:
        raise ValueError("a closed stream cannot be opened again")


def _standard_descriptors() -> Part:
    """The targets of the three standard descriptors. Copies of the descriptors are kept to restore them."""
    kept: dict[int, int] = {}
    for number in range(3):
        with suppress(OSError):
            kept[number] = os.dup(number)

    # The worker shares this flag of them: a task that changes it would change it there, too.
    blocking = {number: os.get_blocking(number) for number in kept}

    def read() -> list[tuple[int, int, bool]]:
        found = [(os.fstat(number), os.get_blocking(number)) for number in kept]
        return [(status.st_dev, status.st_ino, blocks) for status, blocks in found]

    def write(_: object) -> None:
        for number, copy in kept.items():
            os.dup2(copy, number)
            os.set_blocking(number, blocking[number])

    return Part("standard descriptors", read, write)


def _hooks() -> tuple[Any, ...]:
    of_sys = (sys.excepthook, sys.unraisablehook, sys.displayhook, sys.breakpointhook)
    of_threads = (threading.excepthook, threading.gettrace(), threading.getprofile())
    return *of_sys, *of_threads, sys.gettrace(), sys.getprofile()


def _set_hooks(wanted: tuple[Any, ...]) -> None:
    sys.excepthook, sys.unraisablehook, sys.displayhook, sys.breakpointhook, threading.excepthook = wanted[:5]
    threading.settrace(wanted[5])
    threading.setprofile(wanted[6])
    sys.settrace(wanted[7])
    sys.setprofile(wanted[8])


def _set_name(wanted: str) -> None:
    threading.current_thread().name = wanted


def _set_asynchronous(wanted: tuple[tuple[Any, Any], int]) -> None:
    sys.set_asyncgen_hooks(*wanted[0])
    sys.set_coroutine_origin_tracking_depth(wanted[1])


def _interpreter() -> tuple[Any, ...]:
    return (sys.getrecursionlimit(), sys.getswitchinterval(), sys.get_int_max_str_digits(), threading.stack_size())


def _set_traceback_limit(wanted: object) -> None:
    if wanted is None:
        del sys.tracebacklimit
    else:
        sys.tracebacklimit = wanted  # type: ignore[assignment]  # whatever the modules have set


def _set_interpreter(wanted: tuple[int, float, int, int]) -> None:
    sys.setrecursionlimit(wanted[0])
    sys.setswitchinterval(wanted[1])
    sys.set_int_max_str_digits(wanted[2])
    threading.stack_size(wanted[3])


def _warnings() -> tuple[Any, ...]:
    return list(warnings.filters), warnings.showwarning, logging._warnings_showwarning  # type: ignore[attr-defined]  # noqa: SLF001


def _set_warnings(wanted: tuple[Any, ...]) -> None:
    # Unlike a change of the list, this makes Python forget its decisions by the old filters.
    warnings.resetwarnings()
    warnings.filters[:], warnings.showwarning, captured = wanted  # type: ignore[index]  # a list that is called a sequence
    # What `logging.captureWarnings` keeps: there is no public way to set it.
    logging._warnings_showwarning = captured  # type: ignore[attr-defined]  # noqa: SLF001


def _levels(logger: logging.Logger) -> list[int]:
    return [handler.level for handler in logger.handlers]


def _logging() -> tuple[Any, ...]:
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    of_loggers = [
        (logger.level, [*logger.handlers], [*logger.filters], logger.propagate, logger.disabled, _levels(logger))
        for logger in loggers
    ]
    of_all = (logging.root.manager.disable, logging.raiseExceptions)
    return *of_all, logging.getLogRecordFactory(), logging.getLoggerClass(), of_loggers


def _set_logging(wanted: tuple[Any, ...]) -> None:
    logging.disable(wanted[0])
    logging.raiseExceptions = wanted[1]
    logging.setLogRecordFactory(wanted[2])
    logging.setLoggerClass(wanted[3])
    for name, (level, handlers, filters, propagate, disabled, levels) in zip(_LOGGERS, wanted[4], strict=True):
        logger = logging.getLogger(name)
        logger.setLevel(level)
        logger.handlers[:], logger.filters[:] = handlers, filters
        logger.propagate, logger.disabled = propagate, disabled
        for handler, its_level in zip(handlers, levels, strict=True):
            handler.setLevel(its_level)


def _decimals() -> tuple[Any, ...]:
    # New contexts are copies of this one.
    base = decimal.DefaultContext
    return base.prec, base.rounding, base.Emin, base.Emax, base.capitals, base.clamp, dict(base.traps)


def _set_decimals(wanted: tuple[Any, ...]) -> None:
    base = decimal.DefaultContext
    base.prec, base.rounding, base.Emin, base.Emax, base.capitals, base.clamp = wanted[:6]
    base.traps.update(wanted[6])


def _set_tempdir(wanted: str | None) -> None:
    tempfile.tempdir = wanted


def _start_method() -> str | None:
    # Not imported for this alone: if it is not loaded, no method was chosen.
    loaded = sys.modules.get("multiprocessing")
    return None if loaded is None else loaded.get_start_method(allow_none=True)


def _set_start_method(wanted: str | None) -> None:
    sys.modules["multiprocessing"].set_start_method(wanted, force=True)


def _collector() -> tuple[Any, ...]:
    return gc.isenabled(), gc.get_threshold(), gc.get_debug(), list(gc.callbacks)


def _set_collector(wanted: tuple[Any, ...]) -> None:
    (gc.enable if wanted[0] else gc.disable)()
    gc.set_threshold(*wanted[1])
    gc.set_debug(wanted[2])
    gc.callbacks[:] = wanted[3]
    # What was kept there for debugging is never freed otherwise.
    gc.garbage.clear()


def _set_limits(wanted: dict[int, tuple[int, int]]) -> None:
    for limit, values in wanted.items():
        if resource.getrlimit(limit) != values:
            resource.setrlimit(limit, values)


_PARTS = [
    Part("working folder", os.getcwd, os.chdir),
    Part("umask", current_umask, os.umask),
    Part("environment", _environment, _set_environment),
    Part("kind of os.environ", lambda: id(os.environ), _cannot),
    Part("timers", lambda: [signal.getitimer(timer) for timer in _TIMERS], _set_timers),
    Part("signal handlers", _handlers, _set_handlers),
    Part(
        "blocked signals",
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        lambda wanted: signal.pthread_sigmask(signal.SIG_SETMASK, wanted),
    ),
    Part("descriptor that signals wake", _wakeup_descriptor, signal.set_wakeup_fd),
    Part("module path", lambda: list(sys.path), _set_path),
    Part("arguments", lambda: list(sys.argv), _set_arguments),
    Part("standard streams", _streams, _set_streams),
    Part("hooks", _hooks, _set_hooks),
    Part("name of the thread", lambda: threading.current_thread().name, _set_name),
    Part(
        "hooks of asynchronous generators",
        lambda: (tuple(sys.get_asyncgen_hooks()), sys.get_coroutine_origin_tracking_depth()),
        _set_asynchronous,
    ),
    Part("length of tracebacks", lambda: getattr(sys, "tracebacklimit", None), _set_traceback_limit),
    Part("interpreter", _interpreter, _set_interpreter),
    Part("warnings", _warnings, _set_warnings),
    Part("logging", _logging, _set_logging),
    Part("default of decimals", _decimals, _set_decimals),
    Part("folder of temporary files", lambda: tempfile.tempdir, _set_tempdir),
    Part("start method of multiprocessing", _start_method, _set_start_method),
    Part("garbage collector", _collector, _set_collector),
    Part("tracing of memory", tracemalloc.is_tracing, lambda _: tracemalloc.stop()),
    Part("locale", lambda: locale.setlocale(locale.LC_ALL), lambda wanted: locale.setlocale(locale.LC_ALL, wanted)),
    Part("timeout of sockets", socket.getdefaulttimeout, socket.setdefaulttimeout),
    Part("limits", lambda: {limit: resource.getrlimit(limit) for limit in _LIMITS}, _set_limits),
    Part(
        "priority",
        lambda: os.getpriority(os.PRIO_PROCESS, 0),
        lambda wanted: os.setpriority(os.PRIO_PROCESS, 0, wanted),
    ),
]
if sys.version_info >= (3, 12):

    def _tools() -> list[str | None]:
        """The tools that see what code runs, such as profilers."""
        return [sys.monitoring.get_tool(number) for number in range(_MOST_TOOLS)]

    def _set_tools(wanted: list[str | None]) -> None:
        for number, tool in enumerate(_tools()):
            if tool is not None and wanted[number] is None:
                sys.monitoring.set_events(number, 0)
                sys.monitoring.free_tool_id(number)
        if _tools() != wanted:
            raise ValueError("nothing knows the functions of a tool that was removed")

    _PARTS.append(Part("monitoring", _tools, _set_tools))
if hasattr(os, "getresuid"):
    _PARTS.append(Part("user and groups", _identity, _cannot))
if hasattr(os, "sched_getscheduler"):
    _PARTS.append(Part("kind of scheduling", _scheduling, _cannot))
if hasattr(os, "sched_getaffinity"):
    _PARTS.append(Part("processors", lambda: os.sched_getaffinity(0), lambda wanted: os.sched_setaffinity(0, wanted)))


def parts_of_process() -> list[Part]:
    """Return all parts. From now on this process notes what it needs to restore some of them."""
    return [*_PARTS, _hidden_variables(), _standard_descriptors()]
