"""A process that a task forks is a copy of the worker: it ends together with the code of that task."""

import asyncio
import json
import multiprocessing
import os
import pty
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from fairque.protocol.model.states import TaskState
from fairque.testing import free_port
from fairque.testing.internal import PATIENCE, eventually
from fairque.worker import Task, TaskContext, TaskHandler, current_context

# Python warns of forks in processes with threads, which these tests make on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


class Quit(Exception):
    """The error that a copy raises."""


def code_of(pid: int) -> int:
    """Wait for the end of a process that a task has forked, so that the task fails if the copy does not end."""
    ended: list[int] = []
    waiter = threading.Thread(target=lambda: ended.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
    waiter.start()
    waiter.join(PATIENCE)
    if not ended:
        os.kill(pid, 9)
        waiter.join()
        return 1_000
    return ended[0]


def leaves(how: str) -> None:
    """The end of the copy."""
    if how == "raises":
        raise Quit
    if how == "exits":
        sys.exit(3)


WAYS = {"returns": 0, "raises": 1, "exits": 3}


def forks(how: str) -> list[int] | str:
    pid = os.fork()
    if pid == 0:
        leaves(how)
        return "the copy"
    return [code_of(pid)]


async def forks_later(how: str) -> list[int] | str:
    await asyncio.sleep(0)
    return forks(how)


def forks_a_terminal(how: str) -> list[int] | str:
    pid, end = pty.fork()
    if pid == 0:
        leaves(how)
        return "the copy"
    # Reading a terminal whose other end is gone is an error.
    with suppress(OSError):
        while os.read(end, 1_000):
            pass
    os.close(end)
    return [code_of(pid)]


async def forks_in_a_helper(how: str) -> list[int] | str:
    return await asyncio.to_thread(forks, how)


async def forks_in_a_task_of_its_own(how: str) -> list[int] | str:
    return await asyncio.gather(asyncio.ensure_future(forks_later(how)))  # type: ignore[return-value]


class TestWhateverACopyDoes:
    @pytest.mark.parametrize("how", WAYS)
    @pytest.mark.parametrize("work", [forks, forks_a_terminal, forks_later, forks_in_a_helper])
    def test_it_ends_as_python_would_and_the_task_and_its_neighbours_run_once(
        self, bench: Any, work: Callable[..., Any], how: str, tmp_path: Path
    ) -> None:
        def neighbour(number: int) -> int:
            with (tmp_path / "ran").open("a") as file:
                file.write(f"{number}\n")
            return number

        bench.start(work, neighbour, concurrency=2)
        ids = bench.push_all([bench.task(work, how), *(bench.task(neighbour, n) for n in range(50))])
        assert bench.result(ids[0]) == [WAYS[how]]
        assert [bench.result(one) for one in ids[1:]] == list(range(50))
        assert sorted(map(int, (tmp_path / "ran").read_text().split())) == list(range(50))
        assert bench.stats().finished == 51

    def test_a_coroutine_of_the_copy_that_waits_ends_with_it(self, bench: Any) -> None:
        async def waits() -> list[int] | str:
            pid = os.fork()
            if pid == 0:
                await asyncio.Event().wait()
            return [await asyncio.to_thread(code_of, pid)]

        bench.start(waits)
        assert bench.result(bench.push(waits)) == [1]

    def test_steps_of_neighbours_on_the_loop_are_not_taken_twice(self, bench: Any, tmp_path: Path) -> None:
        async def steps() -> int:
            for number in range(200):
                with (tmp_path / "steps").open("a") as file:
                    file.write(f"{number}\n")
                await asyncio.sleep(0)
            return 200

        async def forks_beside() -> list[int] | str:
            codes = []
            for _ in range(5):
                pid = os.fork()
                if pid == 0:
                    await asyncio.sleep(0)
                codes.append(await asyncio.to_thread(code_of, pid))
            return codes

        bench.start(steps, forks_beside, concurrency=2)
        ids = bench.push_all([bench.task(steps), bench.task(forks_beside)])
        assert bench.result(ids[1]) == [1] * 5
        assert bench.result(ids[0]) == 200
        assert len((tmp_path / "steps").read_text().split()) == 200

    def test_a_copy_of_a_copy_ends_too(self, bench: Any) -> None:
        def twice() -> list[int]:
            first = os.fork()
            if first == 0:
                second = os.fork()
                if second == 0:
                    return []
                sys.exit(10 + code_of(second))
            return [code_of(first)]

        bench.start(twice)
        assert bench.result(bench.push(twice)) == [10]

    def test_a_copy_in_a_thread_that_a_task_has_started_ends_with_that_thread(self, bench: Any) -> None:
        def in_a_thread() -> list[int]:
            pids: list[int] = []
            thread = threading.Thread(target=lambda: pids.append(os.fork()))
            thread.start()
            thread.join()
            return [code_of(pids[0])]

        bench.start(in_a_thread)
        assert bench.result(bench.push(in_a_thread)) == [0]

    def test_what_it_wrote_to_standard_output_is_not_lost(self, bench: Any, capfd: pytest.CaptureFixture[str]) -> None:
        def writes() -> list[int]:
            pid = os.fork()
            if pid == 0:
                os.write(1, b"by its descriptor, ")
                print("and by its stream")  # noqa: T201 - that is what is tried
                raise Quit("the end")
            return [code_of(pid)]

        bench.start(writes)
        assert bench.result(bench.push(writes)) == [1]
        assert "Quit: the end" in capfd.readouterr().err


class Hooked(TaskHandler):
    """Forks in one of its methods."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.codes: list[int] = []

    def handle(self, task: Task[Any], ctx: TaskContext) -> Any:  # noqa: ARG002 - the signature of the base
        if self.where == "handle":
            self.fork()
        if self.where == "encoding":
            return _Forks(self)
        if task.payload == "fails":
            raise _Unprintable(self)
        return task.payload

    def fork(self) -> None:
        pid = os.fork()
        if pid:
            self.codes.append(code_of(pid))

    def on_success(self, task: Task[Any], result: Any, ctx: TaskContext) -> None:  # noqa: ARG002 - as above
        if self.where == "on_success":
            self.fork()

    def on_failure(self, task: Task[Any], error: BaseException, ctx: TaskContext, *, final: bool) -> None:  # noqa: ARG002 - as above
        if self.where == "on_failure":
            self.fork()


class _Forks(dict[str, int]):
    """Forks while it is encoded."""

    def __init__(self, handler: Hooked) -> None:
        super().__init__(a=1)
        self._handler = handler

    def items(self) -> Any:
        self._handler.fork()
        return super().items()


class _Unprintable(Exception):
    """Forks while it is printed."""

    def __init__(self, handler: Hooked) -> None:
        self._handler = handler

    def __str__(self) -> str:
        if self._handler.where == "__str__" and not self._handler.codes:
            self._handler.fork()
        return "no luck"


@pytest.mark.parametrize("where", ["handle", "on_success", "on_failure", "encoding", "__str__"])
def test_a_copy_made_in_any_code_of_the_user_ends(bench: Any, where: str) -> None:
    handler = Hooked(where)
    bench.start(handler, concurrency=1)
    payload = "fails" if where in ("on_failure", "__str__") else "well"
    task_id = bench.push(None, payload=payload, retries=0)
    eventually(lambda: handler.codes, what="the end of the copy")
    assert set(handler.codes) <= {0, 1}
    assert 1_000 not in handler.codes
    assert bench.error(task_id) if payload == "fails" else bench.reaches(task_id, TaskState.FINISHED)
    assert bench.result(bench.push(None, payload="next")) in ("next", {"a": 1})


def test_an_asynchronous_hook_may_fork(bench: Any) -> None:
    codes: list[int] = []

    class Later(TaskHandler):
        def handle(self, task: Task[Any], ctx: TaskContext) -> Any:  # noqa: ARG002 - the signature of the base
            return task.payload

        async def on_success(self, task: Task[Any], result: Any, ctx: TaskContext) -> None:  # noqa: ARG002 - as above
            pid = os.fork()
            if pid:
                codes.append(await asyncio.to_thread(code_of, pid))

    bench.start(Later(), concurrency=1)
    assert bench.result(bench.push(None, payload="a")) == "a"
    eventually(lambda: codes == [0], what="the end of the copy")
    assert bench.result(bench.push(None, payload="b")) == "b"


class TestHelpers:
    """Processes that libraries fork for a task."""

    def test_a_process_of_multiprocessing_ends_with_zero(self, bench: Any) -> None:
        def starts() -> int | None:
            process = multiprocessing.get_context("fork").Process(target=int)
            process.start()
            process.join(PATIENCE)
            return process.exitcode

        async def starts_later() -> int | None:
            return starts()

        async def starts_in_a_helper() -> int | None:
            return await asyncio.to_thread(starts)

        bench.start(starts, starts_later, starts_in_a_helper)
        assert [bench.result(bench.push(one)) for one in (starts, starts_later, starts_in_a_helper)] == [0, 0, 0]

    def test_pools_of_processes_work(self, bench: Any) -> None:
        def pools() -> list[int]:
            with multiprocessing.get_context("fork").Pool(2) as pool:
                first = pool.map(abs, [-1, -2])
            with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as executor:
                return [*first, *executor.map(abs, [-3, -4])]

        bench.start(pools)
        assert bench.result(bench.push(pools)) == [1, 2, 3, 4]

    def test_a_program_with_code_before_it_runs(self, bench: Any) -> None:
        def runs() -> int:
            return subprocess.run([sys.executable, "-c", "raise SystemExit(5)"], preexec_fn=os.getpid).returncode  # noqa: PLW1510 - what is tried

        bench.start(runs)
        assert bench.result(bench.push(runs)) == 5

    def test_a_pool_of_threads_of_the_users_own_may_fork(self, bench: Any) -> None:
        def pools() -> list[int]:
            def fork() -> int:
                pid = os.fork()
                if pid == 0:
                    os._exit(4)
                return code_of(pid)

            with ThreadPoolExecutor(1) as executor:
                return [executor.submit(fork).result(PATIENCE)]

        bench.start(pools)
        assert bench.result(bench.push(pools)) == [4]


def open_sockets() -> list[tuple[str, str]]:
    """The own and the other address of each socket that is connected or listens."""
    found = []
    for number in Path("/proc/self/fd").iterdir():
        with suppress(OSError), socket.socket(fileno=os.dup(int(number.name))) as one:
            listens = one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            other = "" if listens else str(one.getpeername())
            # A pair of sockets has no addresses, and neither has the replacement of a dropped socket.
            if listens or other:
                found.append((str(one.getsockname()), other))
    return sorted(found)


def test_a_helper_inherits_no_socket_of_the_worker(bench: Any) -> None:
    def helper() -> list[Any]:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(writer, json.dumps(open_sockets()).encode())
            os._exit(0)
        found = json.loads(os.read(reader, 65_536))
        assert code_of(pid) == 0
        os.close(reader)
        os.close(writer)
        return [found, open_sockets()]

    bench.client.ping()
    # Sockets that this test and earlier ones have opened.
    before = {tuple(one) for one in open_sockets()}
    worker = bench.start(helper, http_port=0)
    # A client that sends nothing yet, so that a connection is open.
    with socket.create_connection(("127.0.0.1", worker.http_port)) as client:
        accepted = (str(client.getpeername()), str(client.getsockname()))
        eventually(lambda: accepted in open_sockets(), what="a connection")
        in_copy, in_worker = bench.result(bench.push(helper))
        # Of the sockets opened since, only that of the test is there.
        own = (str(client.getsockname()), str(client.getpeername()))
        assert {tuple(one) for one in in_copy} - before == {own}
    assert len(in_worker) >= len(in_copy) + 4


def test_the_port_of_a_worker_is_free_when_it_has_ended_though_a_helper_lives_on(bench: Any) -> None:
    helpers: list[int] = []
    begun, begins = os.pipe()

    def leaves_a_helper() -> None:
        pid = os.fork()
        if pid == 0:
            os.write(begins, b"x")
            threading.Event().wait(PATIENCE * 3)
            os._exit(0)
        # What a copy does first, it does before this.
        os.read(begun, 1)
        helpers.append(pid)

    port = free_port()
    worker = bench.start(leaves_a_helper, http_port=port)
    bench.reaches(bench.push(leaves_a_helper), TaskState.FINISHED)
    worker.stop(0)
    try:
        again = bench.start(leaves_a_helper, http_port=port)
        assert again.http_port == port
    finally:
        for pid in helpers:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
        os.close(begun)
        os.close(begins)


def test_a_copy_that_uses_its_context_affects_nothing(bench: Any) -> None:
    def tells() -> list[int] | None:
        pid = os.fork()
        current_context().progress(1, message="both")
        return [code_of(pid)] if pid else None

    bench.start(tells)
    assert bench.result(bench.push(tells)) == [0]
    assert bench.result(bench.push(tells)) == [0]
