"""Pushes that are made at the same time go in one call, and no caller notices."""

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from fairque.client import (
    AsyncTaskQueue,
    FairqueError,
    QueueFull,
    RedisUnavailable,
    Task,
    TaskConflict,
    TaskQueue,
    TaskState,
    UnknownDependency,
)
from fairque.client.settings import ClientSettings
from fairque.protocol.config import RedisSection
from fairque.protocol.wire.call import Call
from fairque.testing import PlainServer
from fairque.testing.internal import PATIENCE, eventually

pytestmark = [
    # A forked child of a process with threads is what these tests are about.
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


def task(task_id: str, user_id: str = "ann", **fields: Any) -> Task[Any]:
    return Task(task_id=task_id, user_id=user_id, **fields)


def tasks_in(call: Call[Any]) -> int:
    return (len(call.args) - 2) // 2


class Interruption(Exception):
    """Raised by the handler of a signal, in the middle of anything."""


class Gate:
    """A runner that notes how many tasks each push has, and holds the pushes until it is opened."""

    def __init__(self, runner: Any) -> None:
        self._runner = runner
        self.sizes: list[int] = []
        self.open = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)

    def run(self, call: Call[Any]) -> Any:
        if call.script == "push":
            self.sizes.append(tasks_in(call))
            assert self.open.wait(PATIENCE)
        return self._runner.run(call)


class AsyncGate(Gate):
    """The same for coroutines."""

    def __init__(self, runner: Any) -> None:
        super().__init__(runner)
        self.opened = asyncio.Event()

    async def run(self, call: Call[Any]) -> Any:
        if call.script == "push":
            self.sizes.append(tasks_in(call))
            await self.opened.wait()
        return await self._runner.run(call)


def gate_of(queue: TaskQueue) -> Gate:
    gate = Gate(queue._link._runner)
    queue._link._runner = gate  # type: ignore[assignment]  # it has what the link uses
    return gate


@pytest.fixture
def gate(queue: TaskQueue) -> Iterator[Gate]:
    queue.info()
    gate = gate_of(queue)
    yield gate
    gate.open.set()


@pytest.fixture
async def async_gate(async_queue: AsyncTaskQueue) -> AsyncIterator[AsyncGate]:
    await async_queue.info()
    gate = AsyncGate(async_queue._link._runner)
    async_queue._link._runner = gate  # type: ignore[assignment]  # it has what the link uses
    yield gate
    gate.opened.set()


class Pushing:
    """Pushes in threads, of which the first is under way while the others wait."""

    def __init__(self, queue: TaskQueue, gate: Gate, in_thread: Any) -> None:
        self._queue, self._gate, self._in_thread = queue, gate, in_thread
        self.threads: list[Any] = []

    def __call__(self, *pushes: Callable[[], Any]) -> list[Any]:
        for push in pushes:
            before = self._waiting()
            self.threads.append(self._in_thread(push))
            first = len(self.threads) == 1
            eventually(lambda: self._gate.sizes if first else self._waiting() > before, what="the push")  # noqa: B023 - at once
        return self.threads

    def _waiting(self) -> int:
        return len(self._queue._link._pushes._waiting)


@pytest.fixture
def pushing(queue: TaskQueue, gate: Gate, in_thread: Any) -> Pushing:
    return Pushing(queue, gate, in_thread)


class TestThreads:
    def test_a_single_one_sends_each_push_at_once(self, queue: TaskQueue, gate: Gate) -> None:
        gate.open.set()
        for number in range(3):
            queue.push(task(f"t{number}"))
        assert gate.sizes == [1, 1, 1]

    def test_those_that_come_while_a_push_is_under_way_go_together(
        self, queue: TaskQueue, gate: Gate, pushing: Pushing
    ) -> None:
        threads = pushing(
            lambda: queue.push(task("a")),
            lambda: queue.push(task("b")),
            lambda: queue.push_many([task("c"), task("d")]),
            lambda: queue.push(task("e") >> task("f")),
        )
        gate.open.set()
        a, b, c, pipeline = [thread.outcome() for thread in threads]
        assert gate.sizes == [1, 5]
        assert [a.task_id, b.task_id, [h.task_id for h in c], list(pipeline.tasks)] == [
            "a",
            "b",
            ["c", "d"],
            ["e", "f"],
        ]
        assert queue.info().tasks[TaskState.QUEUED] == 5

    def test_each_gets_the_answer_for_its_own_tasks(self, queue: TaskQueue, gate: Gate, pushing: Pushing) -> None:
        threads = pushing(
            lambda: queue.push(task("first")),
            lambda: queue.push(task("a", dedup_key="same")),
            lambda: queue.push(task("b", dedup_key="same")),
            lambda: queue.push(task("a", dedup_key="same")),
        )
        gate.open.set()
        assert [thread.outcome().task_id for thread in threads] == ["first", "a", "a", "a"]
        assert gate.sizes == [1, 3]

    def test_each_may_push_tasks_before_those_on_which_they_depend(
        self, queue: TaskQueue, gate: Gate, pushing: Pushing
    ) -> None:
        threads = pushing(
            lambda: queue.push(task("first")),
            lambda: queue.push_many([task("b", depends_on="a"), task("a"), task("c")]),
            lambda: queue.push(task("alone")),
            lambda: queue.push_many([task("f", depends_on=["d", "e"]), task("d"), task("e", depends_on="d")]),
        )
        gate.open.set()
        _, one, alone, other = [thread.outcome() for thread in threads]
        assert gate.sizes == [1, 7]
        assert [h.task_id for h in [*one, alone, *other]] == ["b", "a", "c", "alone", "f", "d", "e"]
        states = [h.state() for h in [*one, alone, *other]]
        assert [state is TaskState.DEFERRED for state in states] == [True, False, False, False, True, False, True]

    def test_those_of_one_user_are_stored_in_the_order_in_which_they_came(
        self, queue: TaskQueue, gate: Gate, pushing: Pushing, worker: Any
    ) -> None:
        threads = pushing(*(lambda number=number: queue.push(task(f"t{number}")) for number in range(6)))
        gate.open.set()
        for thread in threads:
            thread.outcome()
        assert [held.task_id for held in worker.take_many(6)] == [f"t{number}" for number in range(6)]

    def test_no_call_has_more_tasks_than_one_push_may_have(
        self, queue: TaskQueue, gate: Gate, pushing: Pushing
    ) -> None:
        def many(letter: str, number: int) -> Callable[[], Any]:
            return lambda: queue.push_many([task(f"{letter}{index}") for index in range(number)])

        threads = pushing(many("a", 1), many("b", 600), many("c", 400), many("d", 1), many("e", 1_000))
        gate.open.set()
        for thread in threads:
            thread.outcome()
        assert gate.sizes == [1, 1_000, 1, 1_000]

    def test_no_call_has_more_bytes_than_one_push_may_have(
        self, queue: TaskQueue, gate: Gate, pushing: Pushing
    ) -> None:
        def large(letter: str) -> Callable[[], Any]:
            return lambda: queue.push_many([task(f"{letter}{index}", payload="x" * 200_000) for index in range(5)])

        threads = pushing(*map(large, "abcdefg"))
        gate.open.set()
        for thread in threads:
            thread.outcome()
        assert gate.sizes == [5, 20, 10]

    def test_a_refused_one_gets_its_own_error_and_the_others_are_stored(
        self, queue: TaskQueue, gate: Gate, pushing: Pushing
    ) -> None:
        threads = pushing(
            lambda: queue.push(task("first")),
            lambda: queue.push(task("good")),
            lambda: queue.push(task("first", payload="different")),
            lambda: queue.push(task("orphan", depends_on="nobody")),
            lambda: queue.push(task("fine")),
        )
        gate.open.set()
        _, good, conflict, orphan, fine = threads
        with pytest.raises(TaskConflict, match="first"):
            conflict.outcome()
        with pytest.raises(UnknownDependency, match=r"orphan.*nobody"):
            orphan.outcome()
        assert [good.outcome().task_id, fine.outcome().task_id] == ["good", "fine"]
        assert gate.sizes == [1, 4, 1, 1, 1, 1]
        assert queue.info().tasks[TaskState.QUEUED] == 3

    def test_a_full_user_does_not_keep_the_tasks_of_others_out(
        self, queue: TaskQueue, gate: Gate, pushing: Pushing
    ) -> None:
        queue.users.set("bob", backlog=1)
        threads = pushing(
            lambda: queue.push(task("first")),
            lambda: queue.push_many([task("b1", "bob"), task("b2", "bob")]),
            lambda: queue.push(task("c", "cid")),
        )
        gate.open.set()
        with pytest.raises(QueueFull, match="user 'bob'"):
            threads[1].outcome()
        assert threads[2].outcome().task_id == "c"

    def test_two_that_disagree_about_a_task_are_decided_like_alone(
        self, queue: TaskQueue, gate: Gate, pushing: Pushing
    ) -> None:
        threads = pushing(
            lambda: queue.push(task("first")),
            lambda: queue.push(task("same", payload=1)),
            lambda: queue.push(task("same", payload=2)),
        )
        gate.open.set()
        outcomes = []
        for thread in threads[1:]:
            try:
                outcomes.append(thread.outcome().task_id)
            except TaskConflict:
                outcomes.append("conflict")
        assert sorted(outcomes) == ["conflict", "same"]

    def test_those_that_wait_when_the_queue_object_is_closed_are_refused(
        self, queue: TaskQueue, gate: Gate, pushing: Pushing
    ) -> None:
        threads = pushing(*(lambda number=number: queue.push(task(f"t{number}")) for number in range(3)))
        queue.close()
        gate.open.set()
        for thread in threads[1:]:
            with pytest.raises(FairqueError, match="is closed"):
                thread.outcome()

    def test_an_unexpected_error_of_the_one_that_sends_does_not_reach_the_others(
        self, queue: TaskQueue, gate: Gate, pushing: Pushing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        threads = pushing(*(lambda number=number: queue.push(task(f"t{number}")) for number in range(4)))
        run = gate._runner.run
        fails = [MemoryError("a test"), SystemExit("a test")]

        def failing(call: Call[Any]) -> Any:
            if tasks_in(call) > 1 and fails:
                raise fails.pop()
            return run(call)

        monkeypatch.setattr(gate._runner, "run", failing)
        gate.open.set()
        outcomes = []
        for thread in threads:
            try:
                outcomes.append(thread.outcome().task_id)
            except (SystemExit, MemoryError) as error:
                outcomes.append(type(error).__name__)
        assert outcomes == ["t0", "SystemExit", "MemoryError", "t3"]


class TestALostServer:
    @pytest.fixture
    def lost(self) -> Iterator[tuple[PlainServer, TaskQueue]]:
        with PlainServer("--appendfsync", "always") as server:
            settings = ClientSettings(redis=RedisSection(url=server.url, retries=20, socket_timeout=2))
            with TaskQueue(settings) as queue:
                queue.info()
                yield server, queue

    def test_the_same_call_is_sent_again_to_the_restarted_one(
        self, lost: tuple[PlainServer, TaskQueue], in_thread: Any
    ) -> None:
        server, queue = lost
        gate = gate_of(queue)
        threads = Pushing(queue, gate, in_thread)(
            *(lambda number=number: queue.push(task(f"t{number}")) for number in range(4))
        )
        server.kill()
        gate.open.set()
        server.start()
        assert [thread.outcome().task_id for thread in threads] == ["t0", "t1", "t2", "t3"]
        assert gate.sizes == [1, 3]
        assert queue.info().tasks[TaskState.QUEUED] == 4

    def test_each_gets_an_error_of_its_own_if_there_is_none(
        self, lost: tuple[PlainServer, TaskQueue], in_thread: Any
    ) -> None:
        server, queue = lost
        gate = gate_of(queue)
        gate._runner.settings = RedisSection(url=server.url, retries=0)
        threads = Pushing(queue, gate, in_thread)(
            *(lambda number=number: queue.push(task(f"t{number}")) for number in range(3))
        )
        server.kill()
        gate.open.set()
        errors = []
        for thread in threads:
            with pytest.raises(RedisUnavailable, match="Is it running") as caught:
                thread.outcome()
            errors.append(caught.value)
        assert gate.sizes == [1, 2]
        assert len({id(error) for error in errors}) == 3
        assert len({str(error) for error in errors}) == 1
        assert isinstance(errors[-1].__cause__, redis.ConnectionError)


class TestInterruptions:
    """Exceptions that signals raise: they arrive in the main thread, which here waits, or leads."""

    @contextmanager
    def interrupting(self) -> Iterator[Callable[[], None]]:
        def interrupt(*_: object) -> None:
            raise Interruption

        old = signal.signal(signal.SIGUSR2, interrupt)
        try:
            yield lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR2)
        finally:
            signal.signal(signal.SIGUSR2, old)

    def test_one_that_waits_is_not_sent_and_the_others_are(
        self, queue: TaskQueue, gate: Gate, pushing: Pushing, in_thread: Any
    ) -> None:
        threads = pushing(lambda: queue.push(task("a")), lambda: queue.push(task("b")))
        with self.interrupting() as interrupt:
            waits = in_thread(lambda: (eventually(lambda: pushing._waiting() == 2), interrupt()))
            with pytest.raises(Interruption):
                queue.push(task("interrupted"))
            waits.outcome()
        threads = pushing(lambda: queue.push(task("c")))
        gate.open.set()
        assert [thread.outcome().task_id for thread in threads] == ["a", "b", "c"]
        assert gate.sizes == [1, 2]

    def test_another_one_sends_if_the_first_is_interrupted(self, queue: TaskQueue, gate: Gate, in_thread: Any) -> None:
        pushing = Pushing(queue, gate, in_thread)
        pushing.threads.append(None)  # the main thread is the first

        def others() -> list[Any]:
            eventually(lambda: gate.sizes, what="the first push")
            return pushing(*(lambda number=number: queue.push(task(f"t{number}")) for number in range(3)))

        with self.interrupting() as interrupt:
            beside = in_thread(lambda: (others(), interrupt()))
            with pytest.raises(Interruption):
                queue.push(task("interrupted"))
            beside.outcome()
        gate.open.set()
        assert [thread.outcome().task_id for thread in pushing.threads[1:]] == ["t0", "t1", "t2"]

    def test_those_that_were_sent_by_an_interrupted_one_are_sent_again(
        self, queue: TaskQueue, gate: Gate, in_thread: Any
    ) -> None:
        """The main thread waits first, and then sends its own push and that of another thread."""
        pushing = Pushing(queue, gate, in_thread)
        (first,) = pushing(lambda: queue.push(task("first")))

        def others() -> None:
            eventually(lambda: pushing._waiting() == 1, what="the wait of the main thread")
            pushing(lambda: queue.push(task("other")))
            held, gate.open = gate.open, threading.Event()
            held.set()
            eventually(lambda: gate.sizes == [1, 2], what="the joint push")
            interrupt()
            gate.open.set()

        with self.interrupting() as interrupt:
            beside = in_thread(others)
            with pytest.raises(Interruption):
                queue.push(task("interrupted"))
            beside.outcome()
        assert first.outcome().task_id == "first"
        assert pushing.threads[1].outcome().task_id == "other"
        assert gate.sizes == [1, 2, 1]

    @pytest.mark.parametrize("leads", [True, False], ids=["under way", "waiting"])
    def test_the_handler_of_a_signal_pushes_while_a_push_of_its_thread_is(
        self, queue: TaskQueue, gate: Gate, pushing: Pushing, in_thread: Any, leads: Any
    ) -> None:
        pushed: list[str] = []

        def push(*_: object) -> None:
            gate.open.set()
            pushed.append(queue.push(task("of the handler")).task_id)

        def beside() -> None:
            eventually(lambda: gate.sizes if leads else pushing._waiting(), what="the push of the main thread")
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR2)

        if not leads:
            pushing(lambda: queue.push(task("first")))
        old = signal.signal(signal.SIGUSR2, push)
        try:
            aside = in_thread(beside)
            assert queue.push(task("of the thread")).task_id == "of the thread"
            aside.outcome()
        finally:
            signal.signal(signal.SIGUSR2, old)
        assert pushed == ["of the handler"]


def fork() -> int:
    """Fork; a child that hangs ends by itself."""
    child = os.fork()
    if not child:
        signal.alarm(60)
    return child


class TestForks:
    def test_a_child_pushes_while_threads_of_its_parent_push(
        self, queue: TaskQueue, gate: Gate, pushing: Pushing
    ) -> None:
        threads = pushing(lambda: queue.push(task("a")), lambda: queue.push(task("b")))
        child = fork()
        if not child:
            try:
                gate.open.set()
                queue.push(task("of the child"))
                os._exit(0)
            except BaseException:  # noqa: BLE001 - the test of the parent must not continue in the child
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        gate.open.set()
        assert [thread.outcome().task_id for thread in threads] == ["a", "b"]
        assert queue.info().tasks[TaskState.QUEUED] == 3

    def test_a_push_that_waits_in_the_thread_that_forks_continues_in_the_child(
        self, queue: TaskQueue, gate: Gate, pushing: Pushing, in_thread: Any
    ) -> None:
        """As in the handler of a signal: the thread that would have sent it does not exist there."""
        (first,) = pushing(lambda: queue.push(task("first")))
        children: list[int] = []

        def handler(*_: object) -> None:
            if not (child := fork()):
                gate.open.set()
            children.append(child)

        def beside() -> None:
            eventually(lambda: pushing._waiting() == 1, what="the wait of the main thread")
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR2)
            eventually(lambda: children, what="the child")
            gate.open.set()

        old = signal.signal(signal.SIGUSR2, handler)
        try:
            aside = in_thread(beside)
            code = 1
            try:
                code = 0 if queue.push(task("both")).task_id == "both" else 1
            finally:
                if children == [0]:
                    os._exit(code)
            aside.outcome()
        finally:
            signal.signal(signal.SIGUSR2, old)
        assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
        assert first.outcome().task_id == "first"

    def test_a_push_that_is_about_to_be_sent_by_the_thread_that_forks_continues_in_the_child(
        self, queue: TaskQueue, gate: Gate, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gate.open.set()
        pushes: Any = queue._link._pushes
        lead, children = pushes._lead, list[int]()

        def forking(entry: Any) -> None:
            if children:
                lead(entry)
            else:
                children.append(fork())

        monkeypatch.setattr(pushes, "_lead", forking)
        code = 1
        try:
            code = 0 if queue.push(task("both")).task_id == "both" else 1
        finally:
            if children == [0]:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0


async def until(condition: Callable[[], bool]) -> None:
    """Let the other coroutines run until a condition is true."""
    while not condition():  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0)


class TestCoroutines:
    async def test_a_single_one_sends_each_push_at_once(
        self, async_queue: AsyncTaskQueue, async_gate: AsyncGate
    ) -> None:
        async_gate.opened.set()
        for number in range(3):
            await async_queue.push(task(f"t{number}"))
        assert async_gate.sizes == [1, 1, 1]

    async def test_those_that_come_while_a_push_is_under_way_go_together(
        self, async_queue: AsyncTaskQueue, async_gate: AsyncGate
    ) -> None:
        async_gate.opened.set()
        handles = await asyncio.gather(*(async_queue.push(task(f"t{number}")) for number in range(50)))
        assert [handle.task_id for handle in handles] == [f"t{number}" for number in range(50)]
        assert async_gate.sizes == [1, 49]
        await async_queue.push(task("later"))
        assert async_gate.sizes == [1, 49, 1]

    async def test_a_refused_one_gets_its_own_error_and_the_others_are_stored(
        self, async_queue: AsyncTaskQueue, async_gate: AsyncGate
    ) -> None:
        async_gate.opened.set()
        pushes = [
            async_queue.push(task("first")),
            async_queue.push(task("good")),
            async_queue.push(task("first", payload="different")),
            async_queue.push(task("orphan", depends_on="nobody")),
        ]
        first, good, conflict, orphan = await asyncio.gather(*pushes, return_exceptions=True)
        assert [first.task_id, good.task_id] == ["first", "good"]  # type: ignore[union-attr]
        assert isinstance(conflict, TaskConflict)
        assert isinstance(orphan, UnknownDependency)
        assert async_gate.sizes == [1, 3, 1, 1, 1]

    async def test_one_that_waits_alone_gets_its_own_error(
        self, async_queue: AsyncTaskQueue, async_gate: AsyncGate
    ) -> None:
        async_gate.opened.set()
        pushes = [async_queue.push(task("first")), async_queue.push(task("orphan", depends_on="nobody"))]
        _, orphan = await asyncio.gather(*pushes, return_exceptions=True)
        assert isinstance(orphan, UnknownDependency)
        assert async_gate.sizes == [1, 1]

    @pytest.mark.parametrize("canceled", [0, 1, 2])
    async def test_a_canceled_one_does_not_stop_the_others(
        self, async_queue: AsyncTaskQueue, async_gate: AsyncGate, canceled: int
    ) -> None:
        pushes = [asyncio.create_task(async_queue.push(task(f"t{number}"))) for number in range(4)]
        await until(lambda: len(async_queue._link._pushes._waiting) == 3)
        pushes[canceled].cancel()
        await asyncio.wait([pushes[canceled]])
        async_gate.opened.set()
        outcomes = await asyncio.gather(*pushes, return_exceptions=True)
        assert [isinstance(outcome, asyncio.CancelledError) for outcome in outcomes] == [
            number == canceled for number in range(4)
        ]
        assert sum(async_gate.sizes) == (4 if canceled == 0 else 3)

    async def test_one_that_is_canceled_while_it_is_sent_with_others_does_not_stop_them(
        self, async_queue: AsyncTaskQueue, async_gate: AsyncGate
    ) -> None:
        pushes = [asyncio.create_task(async_queue.push(task(f"t{number}"))) for number in range(4)]
        held, async_gate.opened = async_gate.opened, asyncio.Event()
        await until(lambda: len(async_queue._link._pushes._waiting) == 3)
        pushes[0].cancel()
        await until(lambda: async_gate.sizes == [1, 3])
        pushes[2].cancel()
        held.set()
        async_gate.opened.set()
        outcomes = await asyncio.gather(*pushes, return_exceptions=True)
        assert [getattr(outcome, "task_id", None) for outcome in outcomes] == [None, "t1", None, "t3"]

    async def test_those_that_wait_when_the_task_that_sends_them_is_canceled_continue_alone(
        self, async_queue: AsyncTaskQueue, async_gate: AsyncGate
    ) -> None:
        pushes = [asyncio.create_task(async_queue.push(task(f"t{number}"))) for number in range(4)]
        await until(lambda: len(async_queue._link._pushes._waiting) == 3)
        pushes[0].cancel()
        await until(lambda: async_gate.sizes == [1, 3])
        (sending,) = (one for one in asyncio.all_tasks() if one.get_name() == "fairque-pushes")
        sending.cancel()
        async_gate.opened.set()
        outcomes = await asyncio.gather(*pushes, return_exceptions=True)
        assert [getattr(outcome, "task_id", None) for outcome in outcomes] == [None, "t1", "t2", "t3"]
        assert (await async_queue.push(task("later"))).task_id == "later"

    def test_another_event_loop_is_refused_while_a_push_is_under_way(self, settings: ClientSettings) -> None:
        queue = AsyncTaskQueue(settings)

        async def first() -> None:
            gate = AsyncGate(queue._link._runner)
            await queue.info()
            queue._link._runner = gate  # type: ignore[assignment]  # it has what the link uses
            push = asyncio.create_task(queue.push(task("a")))
            await until(lambda: bool(gate.sizes))
            with pytest.raises(FairqueError, match="another event loop"):
                await asyncio.to_thread(asyncio.run, queue.push(task("b")))
            gate.opened.set()
            await push
            await queue.close()

        asyncio.run(first())
