"""Progress as a producer sees it: read, watched, and drawn."""

import asyncio
import io
import sys
from typing import Any

import pytest
from rich.console import Console

from fairque.client import (
    AsyncTaskQueue,
    Progress,
    ResultExpired,
    TaskNotFound,
    TaskQueue,
    task,
)
from fairque.client.progress import show_progress
from fairque.protocol.errors import CannotImport
from fairque.testing.internal import PATIENCE, eventually


@task
def add(a: int, b: int) -> int:
    return a + b


def watches(spy: Any, number: int = 1) -> None:
    eventually(lambda: spy.scripts.count("read_progress") >= number, what=f"{number} read_progress calls")


def test_a_handle_reads_the_progress_of_its_task_also_after_its_end(queue: TaskQueue, worker: Any) -> None:
    handle = queue.push(add.task(1, 2))
    assert handle.progress() is None
    held = worker.take()
    worker.report(held, 3, 10, "reading")
    found = handle.progress()
    assert found is not None
    assert (found.done, found.total, found.message, found.fraction) == (3, 10, "reading", 0.3)
    worker.end(held, result=1)
    assert handle.progress() == found


def test_an_unknown_task_has_no_progress(queue: TaskQueue) -> None:
    assert queue.task("unknown").progress() is None


def test_a_watcher_sees_each_report_at_once_until_the_end(
    queue: TaskQueue, worker: Any, in_thread: Any, spy: Any
) -> None:
    handle = queue.push(add.task(1, 2))
    held = worker.take()
    worker.report(held, 1)
    seen: list[float] = []

    def watch() -> None:
        seen.extend(progress.done for progress in handle.watch_progress())

    watching = in_thread(watch)
    watches(spy)
    worker.report(held, 2)
    worker.report(held, 3)
    worker.end(held, result=5)
    watching.outcome()
    assert seen == [1, 2, 3]
    assert spy.scripts == ["push", "watch", "read_progress"]
    assert handle.result() == 5


def test_progress_during_a_lost_connection_is_read_after_the_reconnect(
    queue: TaskQueue, worker: Any, in_thread: Any, server: Any
) -> None:
    handle = queue.push(add.task(1, 2))
    held = worker.take()
    reports = handle.watch_progress(timeout=10)
    worker.report(held, 1)
    assert next(reports).done == 1
    first_missed = in_thread(lambda: next(reports).done)
    key = f"{worker.keys.prefix}p:{held.task_id}"
    with server.pipeline(transaction=True) as at_once:
        at_once.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        at_once.set(key, b'9000000000000\n{"done":2}')
        at_once.execute()
    assert first_missed.outcome() == 2


def test_watching_an_ended_task_yields_its_last_progress(queue: TaskQueue, worker: Any) -> None:
    handle = queue.push(add.task(1, 2))
    held = worker.take()
    worker.report(held, 4, 4)
    worker.end(held, result=1)
    assert [progress.done for progress in handle.watch_progress()] == [4]


def test_watching_a_task_that_does_not_end_in_time_raises_a_timeout(queue: TaskQueue, worker: Any) -> None:
    handle = queue.push(add.task(1, 2))
    worker.take()
    with pytest.raises(TimeoutError, match=rf"task {handle.task_id} is still STARTED after 0\.05 s"):
        list(handle.watch_progress(timeout=0.05))
    with pytest.raises(TypeError, match="timeout must be"):
        handle.watch_progress(timeout="1")  # type: ignore[arg-type]  # what this tests


def test_an_unknown_task_cannot_be_watched(queue: TaskQueue, server: Any) -> None:
    with pytest.raises(TaskNotFound):
        list(queue.task("unknown").watch_progress())
    gone = queue.push(add.task(1, 2))
    server.delete(f"{queue._link.keys.prefix}t:{gone.task_id}")
    with pytest.raises(ResultExpired):
        list(gone.watch_progress())


def test_a_wait_for_the_result_does_not_receive_progress(
    queue: TaskQueue, worker: Any, in_thread: Any, spy: Any
) -> None:
    handle = queue.push(add.task(1, 2))
    waiting = in_thread(handle.result)
    eventually(lambda: "watch" in spy.scripts)
    held = worker.take()
    worker.report(held, 1)
    worker.end(held, result=3)
    assert waiting.outcome() == 3
    assert spy.scripts == ["push", "watch"]


async def test_the_asynchronous_queue_does_the_same(async_queue: AsyncTaskQueue, worker: Any) -> None:
    handle = await async_queue.push(add.task(1, 2))
    assert await handle.progress() is None
    held = worker.take()
    worker.report(held, 1, 2)
    seen: list[Progress] = []
    async for progress in handle.watch_progress(timeout=10):
        seen.append(progress)
        await asyncio.to_thread(worker.report if len(seen) == 1 else worker.end, held, **_second(len(seen)))
    assert [progress.done for progress in seen] == [1, 2]
    assert await handle.progress() == seen[-1]
    with pytest.raises(TaskNotFound):
        await anext(async_queue.task("unknown").watch_progress())


def _second(seen: int) -> dict[str, Any]:
    return {"done": 2, "total": 2} if seen == 1 else {"result": 1}


class Screen:
    """A console that records what a terminal would show."""

    def __init__(self) -> None:
        self.file = io.StringIO()
        self.console = Console(file=self.file, force_terminal=True, width=100)

    def shows(self, *texts: str) -> None:
        eventually(lambda: all(text in self.file.getvalue() for text in texts), what=f"{texts} on the screen")


def test_bars_are_drawn_until_all_have_ended(queue: TaskQueue, worker: Any, in_thread: Any, spy: Any) -> None:
    handles = queue.push_many([add.task(n, n) for n in range(3)])
    screen = Screen()
    drawing = in_thread(lambda: show_progress(*handles, timeout=PATIENCE, console=screen.console))
    watches(spy)
    first, second, third = (worker.take() for _ in handles)
    worker.report(first, 30, 40, "reading [rows]")
    screen.shows("3 tasks", first.task_id, "75%", "reading [rows]")
    worker.end(first, result=1)
    screen.shows("33%")
    worker.end(second, third, result=2)
    assert drawing.outcome() is None
    screen.shows("100%")
    assert queue.gather(*handles) == [1, 2, 2]


def test_a_single_handle_has_a_single_bar(queue: TaskQueue, worker: Any, in_thread: Any) -> None:
    handle = queue.push(add.task(1, 2))
    held = worker.take()
    worker.report(held, 1, 4)
    screen = Screen()
    drawing = in_thread(lambda: show_progress(handle, console=screen.console))
    screen.shows(held.task_id, "25%")
    worker.end(held, result=3)
    assert drawing.outcome() is None
    assert "1 tasks" not in screen.file.getvalue()


def test_the_number_of_lines_is_limited(queue: TaskQueue, worker: Any) -> None:
    handles = queue.push_many([add.task(n, n) for n in range(30)])
    for held in worker.take_many(30):
        worker.report(held, 1, 2)
    screen = Screen()
    with pytest.raises(TimeoutError, match="30 of 30 tasks have not ended"):
        show_progress(*handles, timeout=0.2, console=screen.console)
    last = screen.file.getvalue().rpartition("30 tasks")[2]
    assert last.count("50%") == 10


def test_without_handles_nothing_is_drawn(queue: TaskQueue, worker: Any) -> None:
    show_progress()
    handle = queue.push(add.task(1, 2))
    worker.finish(3)
    handle.result()
    show_progress(handle)


def test_without_rich_the_error_names_the_extra(queue: TaskQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    with pytest.raises(CannotImport, match=r"pip install 'fairque-client\[progress\]'"):
        show_progress(queue.push(add.task(1, 2)))


def test_nothing_else_needs_rich(run_python: Any) -> None:
    done = run_python("-c", "import sys, fairque.client, fairque.client.progress; print('rich' in sys.modules)")
    assert done.stdout == "False\n", done.stderr
