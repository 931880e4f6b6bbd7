"""Forked children can use a queue object that they inherit, and never disturb the waits of their parent."""

import asyncio
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from fairque.client import AsyncTaskQueue, ClientSettings, FairqueError, TaskQueue, task
from fairque.protocol.runners.subscription import Subscription
from fairque.testing.internal import PATIENCE, eventually

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]

Action = Callable[[], object]
Connections = Callable[[], set[int]]


@task
def add(a: int, b: int) -> int:
    return a + b


def exit_code_of_child(action: Action) -> int:
    """Run a function in a forked child, and return its exit code: 0 if it returned."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            action()
            code = 0
        except BaseException:  # noqa: BLE001 - the test of the parent must not continue in the child
            traceback.print_exc()
        finally:
            os._exit(code)
    try:
        (status,) = eventually(lambda: ended(child), what="the child's end")
    except AssertionError:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    return os.waitstatus_to_exitcode(status)


def ended(child: int) -> tuple[int, ...]:
    done, status = os.waitpid(child, os.WNOHANG)
    return (status,) if done else ()


def closes(queue: TaskQueue) -> None:
    queue.close()


def leaves_the_with_block(queue: TaskQueue) -> None:
    with queue:
        pass


def closes_its_subscription(queue: TaskQueue) -> None:
    assert queue._link._subscription is None
    subscriptions = [found for found in gc.get_objects() if isinstance(found, Subscription)]
    for subscription in subscriptions:
        subscription.close()
    assert subscriptions


def drops_everything(queue: TaskQueue) -> None:
    link: Any = queue._link
    vars(link).clear()
    vars(queue).clear()
    gc.collect()


def uses_it_and_closes(queue: TaskQueue) -> None:
    queue.push(add.task(1, 1))
    assert queue.info().totals["pushed"] >= 1
    queue.close()


ACTIONS = [closes, leaves_the_with_block, closes_its_subscription, drops_everything, uses_it_and_closes]


@pytest.fixture
def connections(settings: ClientSettings) -> Iterator[Connections]:
    """Returns the ids of all subscribed connections of the server."""
    with redis.Redis.from_url(settings.redis.url) as client:
        yield lambda: {int(row["id"]) for row in client.client_list(_type="pubsub")}


def registered(worker: Any, task_id: str) -> bool:
    return bool(worker.run.__self__._get_client().exists(f"{worker.keys.prefix}w:{task_id}"))


@pytest.mark.parametrize("action", ACTIONS)
def test_a_wait_of_the_parent_ends_whatever_a_child_does(
    queue: TaskQueue, worker: Any, in_thread: Any, connections: Connections, action: Callable[[TaskQueue], None]
) -> None:
    handle = queue.push(add.options(user_id="parent").task(1, 2))
    waiting = in_thread(lambda: handle.result(timeout=PATIENCE))
    eventually(lambda: registered(worker, handle.task_id), what="a wait of the parent")
    before = connections()
    assert exit_code_of_child(lambda: action(queue)) == 0
    worker.finish_all(3)
    assert waiting.outcome() == 3
    assert connections() >= before  # it did not have to connect again


def test_a_child_waits_on_its_own_channel(queue: TaskQueue, worker: Any, in_thread: Any) -> None:
    queue.push(add.task(1, 2)).wait(timeout=0.01)
    handle = queue.push(add.options(user_id="child").task(1, 2))

    def in_child() -> None:
        assert handle.result(timeout=PATIENCE) == 3

    child = in_thread(lambda: exit_code_of_child(in_child))
    eventually(lambda: registered(worker, handle.task_id), what="a wait of the child")
    worker.finish_all(3)
    assert child.outcome() == 0


def test_a_wait_in_progress_continues_in_both_processes(queue: TaskQueue, worker: Any, in_thread: Any) -> None:
    handles = [queue.push(add.task(n, 0)) for n in range(3)]
    waiting = queue.as_completed(handles, timeout=60)
    worker.finish_all(0, most=1)
    next(waiting)
    go_on, continues = os.pipe()

    def in_child() -> None:
        os.write(continues, b"!")
        assert len(list(waiting)) == 2

    child = in_thread(lambda: exit_code_of_child(in_child))
    assert os.read(go_on, 1) == b"!"
    worker.finish_all(0)
    assert len(list(waiting)) == 2
    assert child.outcome() == 0
    os.close(go_on)
    os.close(continues)


def test_a_child_can_use_a_queue_whose_locks_were_held_at_the_fork(queue: TaskQueue) -> None:
    queue.push(add.task(1, 2)).wait(timeout=0.01)
    runner: Any = queue._link._runner
    held, released = threading.Event(), threading.Event()

    def hold() -> None:
        with runner._lock, queue._link._subscribing, queue._link._waiters._lock:
            held.set()
            released.wait()

    threading.Thread(target=hold, daemon=True).start()
    held.wait()
    try:
        assert exit_code_of_child(lambda: queue.push(add.task(1, 2)).wait(timeout=0.01)) == 0
    finally:
        released.set()


def test_children_of_multiprocessing_may_share_a_queue_of_their_parent(
    queue: TaskQueue, worker: Any, in_thread: Any
) -> None:
    handle = queue.push(add.task(1, 2))
    waiting = in_thread(lambda: handle.result(timeout=PATIENCE))
    eventually(lambda: registered(worker, handle.task_id), what="a wait of the parent")
    forking = multiprocessing.get_context("fork")
    children = [forking.Process(target=uses_it_and_closes, args=(queue,)) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join(PATIENCE)
    assert [child.exitcode for child in children] == [0, 0, 0]
    worker.finish_all(3)
    assert waiting.outcome() == 3


PROGRAM = """
import os, sys, threading
from fairque.client import Task, TaskQueue

queue = TaskQueue.from_url(sys.argv[1], queue=sys.argv[2], default_user_id="ann")
handle = queue.push(Task(func="f"))
results = []
waiting = threading.Thread(target=lambda: results.append(handle.result(timeout=60)))
waiting.start()
sys.stdin.readline()
child = os.fork()
if child == 0:
    {end}
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == {code}
print("forked", flush=True)
waiting.join()
print(results, flush=True)
queue.close()
"""

ENDS = {
    "sys.exit(0)": 0,
    "queue.close(); sys.exit(0)": 0,
    "queue.__enter__().push(Task(func='f')); sys.exit(0)": 0,
    "raise SystemExit(3)": 3,
    "os._exit(5)": 5,
    "os.execv(sys.executable, [sys.executable, '-c', ''])": 0,
}


@pytest.mark.parametrize("end", ENDS)
def test_a_child_that_exits_normally_does_not_disturb_the_wait_of_its_parent(
    settings: ClientSettings, worker: Any, tmp_path: Path, end: str
) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(end=end, code=ENDS[end]))
    command = [sys.executable, "-X", "dev", "-W", "ignore::DeprecationWarning", str(program)]
    with subprocess.Popen(  # noqa: S603 - our own lines
        [*command, settings.redis.url, settings.queue.name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        client = worker.run.__self__._get_client()
        eventually(lambda: client.keys(f"{worker.keys.prefix}w:*"), what="a wait of the parent")
        parent.stdin.write("\n")
        parent.stdin.flush()
        assert parent.stdout.readline() == "forked\n"
        worker.finish_all(3)
        assert parent.stdout.readline() == "[3]\n"
        _, errors = parent.communicate(timeout=PATIENCE)
    assert (parent.returncode, errors) == (0, "")


class TestAsync:
    """An asynchronous queue in forked children."""

    async def waiting(self, queue: AsyncTaskQueue, worker: Any) -> "asyncio.Task[Any]":
        handle = await queue.push(add.options(user_id="parent").task(1, 2))
        waiting = asyncio.create_task(handle.result(timeout=PATIENCE))
        await asyncio.to_thread(eventually, lambda: registered(worker, handle.task_id), what="a wait of the parent")
        return waiting

    @pytest.mark.parametrize("how", ["in place", "on a loop of its own", "by the end of a with block"])
    async def test_a_wait_of_the_parent_ends_after_a_child_closes_its_copy(
        self, async_queue: AsyncTaskQueue, worker: Any, connections: Connections, how: str
    ) -> None:
        waiting = await self.waiting(async_queue, worker)
        before = connections()

        def in_child() -> None:
            if how == "in place":
                with pytest.raises(StopIteration):
                    async_queue.close().send(None)
            elif how == "on a loop of its own":
                asyncio.run(async_queue.close())
            else:
                asyncio.run(use_in_a_with_block(async_queue))

        assert exit_code_of_child(in_child) == 0
        worker.finish_all(3)
        assert await waiting == 3
        assert connections() >= before

    async def test_connections_that_a_child_closes_or_collects_stay_open_in_the_parent(
        self, async_queue: AsyncTaskQueue, worker: Any, connections: Connections
    ) -> None:
        waiting = await self.waiting(async_queue, worker)
        before = connections()
        writers = [found for found in gc.get_objects() if isinstance(found, asyncio.StreamWriter)]
        assert writers

        def in_child() -> None:
            for writer in writers:
                # This also removes its socket from the epoll that the parent's event loop shares.
                writer.close()
            gc.collect()

        assert exit_code_of_child(in_child) == 0
        worker.finish_all(3)
        assert await waiting == 3
        assert connections() >= before

    async def test_a_child_uses_it_on_its_own_event_loop(self, async_queue: AsyncTaskQueue, worker: Any) -> None:
        waiting = await self.waiting(async_queue, worker)
        assert exit_code_of_child(lambda: asyncio.run(use_in_a_with_block(async_queue))) == 0
        worker.finish_all(3)
        assert await waiting == 3

    async def test_the_error_in_a_child_that_continues_the_coroutine_says_what_to_do(
        self, async_queue: AsyncTaskQueue
    ) -> None:
        await async_queue.info()

        def in_child() -> None:
            with pytest.raises(FairqueError, match=r"forked child .*asyncio\.run\(\)"):
                async_queue.info().send(None)

        assert exit_code_of_child(in_child) == 0


async def use_in_a_with_block(queue: AsyncTaskQueue) -> None:
    async with queue:
        assert await (await queue.push(add.task(1, 2))).wait(timeout=0.05) is not None
