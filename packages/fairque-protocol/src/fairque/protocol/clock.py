"""The only place that reads a clock. Times are integers; safety never rests on a client's clock.

Libraries that freeze time for tests put functions of their own in the place of `time.monotonic` and its like, in the
module `time` and wherever one of them is an attribute of a module. A wait by such a clock never ends. So the clocks are
read where freezegun and time-machine leave them alone, also when this module is imported while time is frozen:
`time.clock_gettime` by the number of a clock, inside of a partial. (Where that is missing, on Windows, this must be
imported before time is frozen. time-machine moves the wall clock there, too; it decides nothing here.)
"""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial

__all__ = ["monotonic", "now_ms", "thread_seconds", "timeout"]

_HAS_CLOCKS = hasattr(time, "clock_gettime_ns")
# The one that is time.monotonic there, which a task may read by itself: on macOS it has another name.
_STEADY = getattr(time, "CLOCK_UPTIME_RAW", getattr(time, "CLOCK_MONOTONIC", 0))

_wall_ns = partial(time.clock_gettime_ns, time.CLOCK_REALTIME) if _HAS_CLOCKS else partial(time.time_ns)


def now_ms() -> int:
    """Return the wall clock in milliseconds since the epoch, for what people read and for sortable ids."""
    return _wall_ns() // 1_000_000


#: Seconds of a clock that never steps back, for durations and deadlines: that of `time.monotonic`.
monotonic = partial(time.clock_gettime, _STEADY) if _HAS_CLOCKS else partial(time.monotonic)

#: Seconds for which the current thread has computed.
thread_seconds = partial(time.clock_gettime, time.CLOCK_THREAD_CPUTIME_ID) if _HAS_CLOCKS else partial(time.thread_time)

#: Seconds by which the clock of an event loop may differ from the true one.
_LAG = 60.0


@asynccontextmanager
async def timeout(seconds: float | None) -> AsyncGenerator[None, None]:
    """Do what `asyncio.timeout` does, also on an event loop whose clock stands still."""
    loop = asyncio.get_running_loop()
    if seconds is None or abs(loop.time() - monotonic()) < _LAG:
        async with asyncio.timeout(seconds):
            yield
        return
    async with asyncio.timeout(None) as limit:

        def end() -> None:
            with suppress(RuntimeError):  # it has ended already
                limit.reschedule(loop.time())

        timer = threading.Timer(seconds, loop.call_soon_threadsafe, (end,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
