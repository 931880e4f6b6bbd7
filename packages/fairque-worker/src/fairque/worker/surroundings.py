"""What belongs to a whole process and not to a task: noted once, and put back behind a task that has changed it."""

import gc
import locale
import os
import random
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import frozen

__all__ = ["Surroundings", "absolute_path", "current_umask", "working_folder"]

_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
_SIGNALS = tuple(sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}))
_LIMITS = tuple(getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_"))


def working_folder() -> str:
    """Return the folder in which this process works; the root where it was removed."""
    try:
        return str(Path.cwd())
    except OSError:
        return "/"


def absolute_path(folder: str) -> list[str]:
    """Return `sys.path` with absolute folders: the same ones wherever the process works later."""
    return [os.path.normpath(os.path.join(folder, entry)) for entry in map(str, sys.path)]  # noqa: PTH118 - not a Path: zip files and the empty entry


def current_umask() -> int:
    """Return which rights new files do not get."""
    # There is no other way to ask. Meanwhile a file that another thread makes gets fewer rights, never more.
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


@frozen
class _Part:
    """Something of the process, which can be read and set."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]


def _set_environment(wanted: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(wanted)
    time.tzset()


def _handlers() -> dict[int, Any]:
    # None stands for a handler that is not Python's, and cannot be set again.
    found = {number: signal.getsignal(number) for number in _SIGNALS}
    return {number: handler for number, handler in found.items() if handler is not None}


def _set_handlers(wanted: dict[int, Any]) -> None:
    for number, handler in wanted.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


def _set_timers(_: object) -> None:
    # Nothing of the worker's uses one, and an alarm of one task must not go off in the next one.
    for timer in _TIMERS:
        signal.setitimer(timer, 0)


def _set_path(wanted: list[str]) -> None:
    sys.path[:] = wanted


def _set_arguments(wanted: list[str]) -> None:
    sys.argv[:] = wanted


def _set_streams(wanted: tuple[Any, Any, Any]) -> None:
    sys.stdin, sys.stdout, sys.stderr = wanted


def _set_hooks(wanted: tuple[Any, ...]) -> None:
    sys.excepthook, sys.unraisablehook, threading.excepthook, trace, profile = wanted
    sys.settrace(trace)
    sys.setprofile(profile)


def _set_interpreter(wanted: tuple[int, float]) -> None:
    sys.setrecursionlimit(wanted[0])
    sys.setswitchinterval(wanted[1])


def _set_collector(wanted: tuple[bool, tuple[int, int, int]]) -> None:
    (gc.enable if wanted[0] else gc.disable)()
    gc.set_threshold(*wanted[1])


def _set_limits(wanted: dict[int, tuple[int, int]]) -> None:
    for limit, values in wanted.items():
        if resource.getrlimit(limit) != values:
            resource.setrlimit(limit, values)


_PARTS = [
    _Part("working folder", os.getcwd, os.chdir),
    _Part("umask", current_umask, os.umask),
    _Part("environment", lambda: dict(os.environ), _set_environment),
    _Part("timers", lambda: [signal.getitimer(timer) for timer in _TIMERS], _set_timers),
    _Part("signal handlers", _handlers, _set_handlers),
    _Part(
        "blocked signals",
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        lambda wanted: signal.pthread_sigmask(signal.SIG_SETMASK, wanted),
    ),
    _Part("module path", lambda: list(sys.path), _set_path),
    _Part("arguments", lambda: list(sys.argv), _set_arguments),
    _Part("standard streams", lambda: (sys.stdin, sys.stdout, sys.stderr), _set_streams),
    _Part(
        "hooks",
        lambda: (sys.excepthook, sys.unraisablehook, threading.excepthook, sys.gettrace(), sys.getprofile()),
        _set_hooks,
    ),
    _Part("interpreter", lambda: (sys.getrecursionlimit(), sys.getswitchinterval()), _set_interpreter),
    _Part("garbage collector", lambda: (gc.isenabled(), gc.get_threshold()), _set_collector),
    _Part("locale", lambda: locale.setlocale(locale.LC_ALL), lambda wanted: locale.setlocale(locale.LC_ALL, wanted)),
    _Part("timeout of sockets", socket.getdefaulttimeout, socket.setdefaulttimeout),
    _Part("limits", lambda: {limit: resource.getrlimit(limit) for limit in _LIMITS}, _set_limits),
    _Part(
        "priority",
        lambda: os.getpriority(os.PRIO_PROCESS, 0),
        lambda wanted: os.setpriority(os.PRIO_PROCESS, 0, wanted),
    ),
]
if hasattr(os, "sched_getaffinity"):
    _PARTS.append(_Part("processors", lambda: os.sched_getaffinity(0), lambda wanted: os.sched_setaffinity(0, wanted)))


class Surroundings:
    """The state of this process as it is now. For its main thread, which alone may set handlers of signals."""

    def __init__(self) -> None:
        self._noted = [(part, part.read()) for part in _PARTS]

    def put_back(self) -> str:
        """Make everything as it was, and return the name of what cannot be; empty when all could be."""
        # Nobody can say whether this was changed: a task may have made the numbers of the next one predictable.
        random.seed()
        for part, wanted in self._noted:
            with suppress(OSError):
                if part.read() == wanted:
                    continue
            try:
                part.write(wanted)
            except (OSError, ValueError, locale.Error):
                return part.name
        return ""
