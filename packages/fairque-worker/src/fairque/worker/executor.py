"""Runs tasks: in the threads of a ThreadPoolExecutor, and coroutines on an event loop of its own thread."""

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any

from fairque.protocol import clock
from fairque.protocol.errors import InvalidTask, LeaseLost
from fairque.protocol.model.context import running_in
from fairque.protocol.model.progress import Progress
from fairque.protocol.wire.jsonvalue import check_json, dumps
from fairque.worker.handler import TaskHandler
from fairque.worker.inputs import Inputs, task_of
from fairque.worker.jobs import Ending, Failure, Job, LeasedContext, Success

__all__ = ["Executor"]


class Executor:
    """Runs jobs and hands each one's ending to ``on_end``, from whichever thread it ended in.

    The threads wait on one plain queue instead of getting a future for each task: that is what makes handing over a
    task cheap. Whatever a task raises, SystemExit and CancelledError included, is its ending; no thread is lost.

    Args:
        handler: Runs the tasks.
        threads: How many run at a time.
        result_limit: Bytes of the largest result.
        on_end: Gets the endings.
        inputs: Reads what other tasks have left for them.
        on_progress: Gets what running tasks say of how far they have come; it must not block.
    """

    def __init__(
        self,
        handler: TaskHandler,
        threads: int,
        result_limit: int,
        on_end: Callable[[Ending], None],
        *,
        inputs: Inputs,
        on_progress: Callable[[Job, Progress], None] = lambda *_: None,
    ) -> None:
        self._handler = handler
        self._threads = threads
        self._result_limit = result_limit
        self._on_end = on_end
        self._inputs = inputs
        self._on_progress = on_progress
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="fairque-task")
        self._slots: list[Future[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread: threading.Thread | None = None
        self._loop_lock = threading.Lock()
        self._stopped = threading.Event()

    def submit(self, job: Job) -> None:
        """Run a job as soon as a thread is free."""
        self.call(lambda: self._run(job))

    def wait_for(self, awaitable: Awaitable[Any]) -> None:
        """Await something on the event loop of the coroutines, from one of the threads, and raise what it raises."""

        async def run() -> None:
            await awaitable

        loop = self._event_loop()
        with self._loop_lock:
            # Before the loop is told to stop, so that it ends this, too, one way or the other.
            if self._stopped.is_set():
                raise RuntimeError("the worker has stopped: its event loop is closed")
            future = asyncio.run_coroutine_threadsafe(run(), loop)
        future.result()

    def call(self, work: Callable[[], None]) -> None:
        """Run any function in one of the threads; it must not raise."""
        if len(self._slots) < self._threads:
            self._slots.append(self._pool.submit(self._slot))
        self._work.put(work)

    def stop(self, seconds: float = 0.0) -> bool:
        """Let the threads end when they are free, then cancel the coroutines that still run; safe to call twice.

        Args:
            seconds: How long to wait for that: for hooks, and for tasks that were given back but do not end.

        Returns:
            Whether all threads have ended.
        """
        until = clock.monotonic() + seconds
        first = not self._stopped.is_set()
        if first:
            for _ in self._slots:
                self._work.put(None)
            self._pool.shutdown(wait=False)
        busy = wait(self._slots, timeout=seconds).not_done
        if first:
            # The loop last: a hook may wait for it in a thread.
            with self._loop_lock:
                self._stopped.set()
                if self._loop is not None:
                    self._loop.call_soon_threadsafe(self._loop.stop)
        if self._loop_thread is None:
            return not busy
        self._loop_thread.join(max(0.0, until - clock.monotonic()))
        return not busy and not self._loop_thread.is_alive()

    def _slot(self) -> None:
        while (work := self._work.get()) is not None:
            # An exception that raises while it is logged gets this far: not even that may cost a thread.
            with suppress(BaseException):
                work()

    def _run(self, job: Job) -> None:
        started = clock.monotonic()
        try:
            if not job.lease.held():
                raise LeaseLost(job.granted.task_id)  # noqa: TRY301 - it is an ending like any other
            job.task = task_of(job.granted)
            task = job.task = self._inputs.filled(job.task)
            context = job.context = LeasedContext(
                task,
                job.lease,
                attempt=job.granted.attempt,
                fence=job.granted.fence,
                deadline=started + task.timeout_ms / 1000,
                read=self._inputs.read,
            )
            context.when_progress(partial(self._on_progress, job))
            if job.cancel_reason:
                context.request_cancel(job.cancel_reason)
            running_in(context)
            value = self._handler.handle(task, context)
            if inspect.isawaitable(value):
                self._await(job, context, value, started)
                return
        except BaseException as error:  # noqa: BLE001 - whatever a task raises is the ending of its attempt
            self._on_end(Failure(job, error, _us_since(started)))
        else:
            self._on_end(self._success(job, value, started))

    def _success(self, job: Job, value: Any, started: float) -> Ending:
        ran_us = _us_since(started)
        try:
            xcom = b"" if job.context is None else job.context.xcom_blob
            return Success(job, value, self._encoded(value), ran_us, xcom)
        except BaseException as error:  # noqa: BLE001 - a result that cannot be stored is a failed attempt
            return Failure(job, error, ran_us)

    def _encoded(self, value: Any) -> bytes:
        if value is None:
            return b""
        check_json(value, "the result")
        result = dumps(value)
        if len(result) > self._result_limit:
            raise InvalidTask(
                f"the result has {len(result):,} bytes, allowed are {self._result_limit:,}: "
                "store it elsewhere and return its address, or raise queue.message_limit"
            )
        return result

    def _await(self, job: Job, context: LeasedContext, awaitable: Awaitable[Any], started: float) -> None:
        loop = self._event_loop()

        async def attempt() -> Any:
            # The context of this thread came along: current_context() is right here, too.
            async with asyncio.timeout(context.seconds_left):
                return await awaitable

        async def run() -> None:
            # Caught here, inside the coroutine: a SystemExit that left it would end the loop for all others.
            try:
                value = await attempt()
            except BaseException as error:  # noqa: BLE001 - whatever a task raises is the ending of its attempt
                self._on_end(Failure(job, error, _us_since(started)))
            else:
                self._on_end(self._success(job, value, started))

        def begin() -> None:
            running = loop.create_task(run(), name=f"fairque-{context.task_id}")

            def cancel() -> None:
                loop.call_soon_threadsafe(running.cancel)

            context.when_cancelled(cancel)

        loop.call_soon_threadsafe(begin)

    def _event_loop(self) -> asyncio.AbstractEventLoop:
        with self._loop_lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._loop_thread = threading.Thread(
                    target=_run_loop, args=(self._loop, self._stopped), name="fairque-loop", daemon=True
                )
                self._loop_thread.start()
            return self._loop


def _run_loop(loop: asyncio.AbstractEventLoop, stopped: threading.Event) -> None:
    asyncio.set_event_loop(loop)
    try:
        while not stopped.is_set():
            # asyncio lets these two through from a task that a coroutine started; that coroutine gets them, too.
            with suppress(SystemExit, KeyboardInterrupt):
                loop.run_forever()
        left = asyncio.all_tasks(loop)
        for task in left:
            # Not twice: the second time would break off the cleaning up that the first one began.
            if not task.cancelling():
                task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=1))
    finally:
        loop.close()


def _us_since(started: float) -> int:
    return int((clock.monotonic() - started) * 1_000_000)
