"""The state of a whole process: recorded once, and restored after a task has changed it."""

import asyncio
import faulthandler
import gc
import os
import random
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from fairque.worker.processes.process_state import parts_of_process

__all__ = ["Surroundings", "absolute_path", "keep_dumps", "working_folder"]


def working_folder() -> str:
    """Return the working folder of this process; the root if it was removed."""
    try:
        return str(Path.cwd())
    except OSError:
        return "/"


def absolute_path(folder: str) -> list[str]:
    """Return `sys.path` with absolute folders, which stay valid when the working folder changes."""
    return [os.path.normpath(os.path.join(folder, entry)) for entry in map(str, sys.path)]  # noqa: PTH118 - not a Path: zip files and the empty entry


def keep_dumps() -> None:
    """Write stacks to standard error on SIGUSR1 and after a fatal error, and at no other time.

    Whatever code of this process has changed about that is undone. For the main thread.
    """
    faulthandler.cancel_dump_traceback_later()
    faulthandler.enable()
    # Python does not know this handler, and `faulthandler` does not notice when it is replaced. Without it the signal
    # is ignored, since it would end the process.
    faulthandler.unregister(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    faulthandler.register(signal.SIGUSR1, all_threads=True)


def _policy_of_its_own() -> Any:
    """Return the event loop policy that the application has set; None if it is Python's own."""
    if sys.version_info >= (3, 14):
        return None
    policy = asyncio.get_event_loop_policy()
    return None if type(policy) is asyncio.DefaultEventLoopPolicy else policy


class Surroundings:
    """The present state of this process. For its main thread, since only that one may set signal handlers."""

    def __init__(self) -> None:
        self._noted = []
        for part in parts_of_process():
            # Not every system has all of them, or lets a process read them.
            with suppress(OSError):
                self._noted.append((part, part.read()))
        self._policy = _policy_of_its_own()
        # To count frozen objects takes long if there are many.
        self._thaws = gc.get_freeze_count() == 0

    def put_back(self) -> str:
        """Restore the state, and return the name of a part that cannot be restored; empty if all could be."""
        for part, wanted in self._noted:
            try:
                with suppress(Exception):
                    if part.read() == wanted:
                        continue
                part.write(wanted)
            except Exception:  # noqa: BLE001 - objects that a task has put there can raise anything
                return part.name
        # Always, since a change of these cannot be noticed. A task may have made random numbers predictable.
        for name, restore in (
            ("random numbers", random.seed),
            ("frozen objects", self._thaw),
            ("dumps of stacks", keep_dumps),
            ("event loop", self._unset_loop),
        ):
            try:
                restore()
            except Exception:  # noqa: BLE001 - as above
                return name
        return ""

    def _thaw(self) -> None:
        if self._thaws:
            gc.unfreeze()

    def _unset_loop(self) -> None:
        """Unset the loop of this thread, whichever it is, with what a task has left on it."""
        if sys.version_info < (3, 14):
            # None is a new policy of Python's own, which gives the next task a new loop.
            asyncio.set_event_loop_policy(self._policy)
        if self._policy is not None or sys.version_info >= (3, 14):
            asyncio.set_event_loop(None)
