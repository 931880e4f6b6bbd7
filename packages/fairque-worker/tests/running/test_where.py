"""The place of a task in a dump, for operators of a worker that seems to do nothing."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fairque.testing.internal import PATIENCE
from fairque.worker.jobs import Unstarted


class LateChildren:
    """Child processes whose start blocks until the test releases it, and then fails."""

    impossible = ""

    def __init__(self) -> None:
        self.start_requested, self.released = threading.Event(), threading.Event()

    @contextmanager
    def lend(self) -> Iterator[Any]:
        self.start_requested.set()
        if self.released.wait(PATIENCE):
            raise Unstarted("none here", 1.0)
        yield

    def stop(self) -> None:
        self.released.set()


def test_a_task_whose_child_process_still_starts_is_shown_as_waiting_for_it(make_bench: Callable[..., Any]) -> None:
    children = LateChildren()
    bench = make_bench(threads=1, children=children)
    job = bench.submit(print, isolation="process")
    assert children.start_requested.wait(PATIENCE)
    assert bench.executor.where(job) == ("waits for a child process", [])
    children.released.set()
    bench.ending()
