"""Pushes and waits continue whatever interrupts one: an exception of a signal, its handler, or a canceled task."""

import asyncio
import ctypes
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

import pytest

from fairque.client import AsyncTaskQueue, FairqueError, Task, TaskQueue, waiting
from fairque.protocol.runners.connection import CONCURRENT_CALLS
from fairque.testing.internal import PATIENCE, eventually


def task() -> "Task[Any]":
    return Task(func="m:f", user_id="u")


async def test_pushes_continue_after_all_tasks_of_the_loop_were_canceled(
    fairque_server_url: str, fairque_queue_name: str
) -> None:
    """Also the one that pushes what has waited, before its first step."""
    main = asyncio.current_task()
    async with AsyncTaskQueue.from_url(fairque_server_url, queue=fairque_queue_name) as queue:
        await queue.push(task())

        async def shut_down() -> None:
            await queue.push(task())
            for other in asyncio.all_tasks():
                if other not in (asyncio.current_task(), main):
                    other.cancel()

        await asyncio.gather(shut_down(), queue.push(task()), return_exceptions=True)
        assert (await asyncio.wait_for(queue.push(task()), PATIENCE)).task_id


async def test_waits_hear_of_endings_after_all_tasks_of_the_loop_were_canceled(
    async_queue: AsyncTaskQueue, async_spy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the one that listens. One wait continues, and another one begins then."""
    monkeypatch.setattr(waiting, "_RENEW_SECONDS", 10 * PATIENCE)
    handles = await async_queue.push_many([task() for _ in range(3)])
    ends = aiter(async_queue.as_completed(handles[:2]))
    await handles[0].cancel()
    assert (await anext(ends)).task_id == handles[0].task_id
    for other in asyncio.all_tasks() - {asyncio.current_task()}:
        other.cancel()
    for handle, ending in ((handles[1], anext(ends)), (handles[2], handles[2].wait())):
        before = async_spy.scripts.count("watch")
        async with asyncio.timeout(PATIENCE):
            wait = asyncio.ensure_future(ending)
            await asyncio.to_thread(eventually, lambda seen=before: async_spy.scripts.count("watch") > seen)
            await handle.cancel()
            await wait


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_waits_of_threads_hear_of_endings_after_the_thread_that_listens_was_ended(
    queue: TaskQueue, spy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_RENEW_SECONDS", 10 * PATIENCE)
    handles = queue.push_many([task() for _ in range(3)])
    before = set(threading.enumerate())
    ends = queue.as_completed(handles[:2])
    handles[0].cancel()
    assert next(ends).task_id == handles[0].task_id
    (listener,) = set(threading.enumerate()) - before
    # It arrives with the next message, which is lost.
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(listener.ident or 0), ctypes.py_object(SystemExit))
    with ThreadPoolExecutor() as pool:
        wait = pool.submit(next, ends)
        handles[1].cancel()
        assert wait.result(PATIENCE).task_id == handles[1].task_id
        seen = spy.scripts.count("watch")
        other = pool.submit(handles[2].wait)
        eventually(lambda: spy.scripts.count("watch") > seen)
        handles[2].cancel()
        other.result(PATIENCE)


def test_a_wait_for_which_no_thread_can_be_started_says_so_and_leaves_no_connection_behind(
    queue: TaskQueue, server: Any, fairque_queue_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    handle = queue.push(task())
    channels = server.pubsub_channels(f"*{fairque_queue_name}*")
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(FairqueError, match="nothing can be waited for: can't start new thread"):
            handle.result(PATIENCE)
    eventually(lambda: server.pubsub_channels(f"*{fairque_queue_name}*") == channels)
    handle.cancel()
    assert handle.wait(PATIENCE)


def test_another_thread_leads_after_an_exception_before_the_leader_could_hand_over(
    fairque_server_url: str, fairque_queue_name: str
) -> None:
    def interrupt(frame: FrameType, *_: Any) -> None:
        if frame.f_code.co_name == "_leave":
            sys.settrace(None)
            raise KeyboardInterrupt

    with TaskQueue.from_url(fairque_server_url, queue=fairque_queue_name) as queue:
        before = sys.gettrace()
        sys.settrace(interrupt)
        try:
            with pytest.raises(KeyboardInterrupt):
                queue.push(task())
        finally:
            sys.settrace(before)
        pushed: list[str] = []
        others = [threading.Thread(target=lambda: pushed.append(queue.push(task()).task_id)) for _ in range(2)]
        for other in others:
            other.start()
        pushed.append(queue.push(task()).task_id)
        for other in others:
            other.join(PATIENCE)
        assert len(pushed) == 3


def test_bulk_pushes_whose_sources_push_wait_for_nobody(fairque_server_url: str, fairque_queue_name: str) -> None:
    sources = CONCURRENT_CALLS + 6
    with TaskQueue.from_url(fairque_server_url, queue=fairque_queue_name) as queue:
        all_begun = threading.Barrier(sources)

        def source() -> Iterator["Task[Any]"]:
            for number in range(1_100):
                if number == 1_001:
                    all_begun.wait(PATIENCE)
                    queue.push(task())
                yield task()

        threads = [
            threading.Thread(target=lambda: queue.push_many(source(), chunked=True), daemon=True)
            for _ in range(sources)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert queue.info().totals["pushed"] == sources * 1_101


HANDLER_PUSHES = """
import signal, sys
from fairque.client import Task, TaskQueue
with TaskQueue.from_url(sys.argv[1], queue=sys.argv[2], default_user_id="u") as queue:
    queue.push(Task(func="m:f"))
    pushed = []
    signal.signal(signal.SIGALRM, lambda *_: pushed.append(queue.push(Task(func="m:f")).task_id))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.003)
    while len(pushed) < 300:
        queue.push(Task(func="m:f"))
    signal.setitimer(signal.ITIMER_REAL, 0)
    print("done")
"""


def test_the_handler_of_a_signal_may_push_at_any_moment(fairque_server_url: str, fairque_queue_name: str) -> None:
    command = [sys.executable, "-c", HANDLER_PUSHES, fairque_server_url, fairque_queue_name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603 - our own lines
    assert (done.stdout, done.stderr) == ("done\n", "")
