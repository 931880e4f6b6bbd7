"""Short tasks in the lane under every order of events: each ends once, none is lost, and none runs twice.

The threads are real, but only one runs at a time: each stops at every point where another could be faster, and the test
decides which continues. It walks all decisions with at most a few switches away from a thread that could continue.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from fairque.protocol.calls.pop import Granted
from fairque.protocol.model.registry import Registry
from fairque.protocol.model.stopping import StopReason
from fairque.protocol.wire.codec import encode_task
from fairque.testing.internal import only_thorough
from fairque.worker import FunctionTaskHandler, Task
from fairque.worker.handling.inputs import Inputs
from fairque.worker.jobs import Ending, Failure, Job, Lease, Success
from fairque.worker.running import lane as module
from fairque.worker.running.executor import Executor
from fairque.worker.running.lane import STUCK_SECONDS, Lane, Lanes
from fairque.worker.running.places import Places
from fairque.worker.running.threads import Slot

#: Most switches from a thread that could continue to another one.
SWITCHES = 2


class Thrown(BaseException):
    """An exception that a library throws into a thread."""


class Actor:
    """A thread that runs from one point to the next on request."""

    def __init__(self, stage: "Stage", work: Callable[[], None]) -> None:
        self.stage = stage
        self.done = self.blocked = False
        self.throws: BaseException | None = None
        self._go = threading.Semaphore(0)
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def advance(self) -> None:
        self._go.release()
        self.stage.stopped.acquire()

    def stop_here(self) -> None:
        self.stage.stopped.release()
        self._go.acquire()
        error, self.throws = self.throws, None
        if error is not None:
            raise error

    def _run(self) -> None:
        self._go.acquire()
        here.actor = self
        try:
            self._work()
        finally:
            self.done = True
            self.stage.stopped.release()


class Here(threading.local):
    actor: Actor | None = None


here = Here()


def point() -> None:
    """A place where other threads may be faster."""
    if here.actor is not None:
        here.actor.stop_here()


class Queue(deque[Any]):
    """A deque that may be overtaken before each step."""

    #: Whether an exception may come between an item and the code that gets it.
    breaks = False

    def popleft(self) -> Any:
        point()
        item = super().popleft()
        if self.breaks:
            point()
        return item

    def append(self, item: Any) -> None:
        point()
        super().append(item)


class Stage:
    """An executor, its threads, and the decisions that are made in turn.

    Args:
        decisions: The first decisions; all later ones are the first of the possible ones.
    """

    shortage = ""

    def __init__(self, decisions: list[int]) -> None:
        self.decisions = decisions
        self.made: list[tuple[int, int]] = []
        self.switches = 0
        self.now = 0.0
        self.stopped = threading.Semaphore(0)
        self.actors: list[Actor] = []
        self.last: Actor | None = None
        self.slots: list[Slot] = []
        self.ended: list[Ending] = []
        self.ran: list[str] = []
        self.inside = self.most_inside = 0
        self.released = False
        self.registry = Registry()
        self.handler = FunctionTaskHandler(registry=self.registry)
        self.executor = Executor(
            self.handler,
            3,
            1_000,
            self.ended.append,
            inputs=Inputs(lambda *_: [], 1_000),
        )
        self.executor._threads = self.executor._lanes._threads = self  # type: ignore[assignment]
        self.jobs: list[Job] = []

    # The pool of threads, of which each piece of work gets a new one.

    def monotonic(self) -> float:
        return self.now

    def grow(self) -> int:
        return 1

    def put(self, work: Callable[[Slot], None]) -> None:
        slot = Slot()
        self.slots.append(slot)
        self.actors.append(Actor(self, lambda: work(slot)))

    def replace(self, slot: Slot) -> None:
        slot.given_up = True

    # What the test sets up.

    def job(self, name: str, ends: Callable[[], Any]) -> Job:
        """A task of a function that is known to be short; it may be overtaken while it runs."""

        def function() -> Any:
            self.ran.append(name)
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
            try:
                point()
                return ends()
            finally:
                self.inside -= 1

        function.__qualname__ = function.__name__ = name
        self.registry.register(function, name)
        self.handler._plan(name)
        self.executor._short_functions.measures(name)
        self.executor._short_functions.note(name, 1.0, 0.0, in_lane=False)
        message = encode_task(Task(task_id=name, func=name, user_id="ann")).data
        granted = Granted(name, message, f"7:{name}", 1, 0, solo=False, pushed_at=0)
        job = Job(granted, Lease(1e12))
        self.jobs.append(job)
        return job

    def hangs(self) -> None:
        """The end of a task that never returns, as long as the test runs."""
        while not self.released:
            assert here.actor is not None
            here.actor.blocked = True
            point()

    def act(self, work: Callable[[], None]) -> Actor:
        actor = Actor(self, work)
        self.actors.append(actor)
        return actor

    def look(self) -> None:
        """The courier looks twice, and finds the same task."""
        self.executor.watch()
        point()
        self.now += 2 * STUCK_SECONDS
        self.executor.watch()

    # The decisions.

    def run(self) -> None:
        """Let threads continue in the decided order until all have ended, or hang."""
        while able := [actor for actor in self.actors if not actor.done and not actor.blocked]:
            if self.last in able:
                # To let it continue is the first possibility.
                able.remove(self.last)
                able.insert(0, self.last)
                if self.switches >= SWITCHES:
                    del able[1:]
            chosen = 0
            if len(able) > 1:
                chosen = self.decisions[len(self.made)] if len(self.made) < len(self.decisions) else 0
                self.made.append((chosen, len(able)))
            self.switches += able[chosen] is not self.last and self.last in able
            self.last = able[chosen]
            self.last.advance()

    def settle(self) -> None:
        """Look again and again, as the courier does, until nothing happens any longer."""
        for _ in range(6):
            self.run()
            self.act(self.look)
        self.run()

    def release(self) -> None:
        """Let those return that hang."""
        self.released = True
        for actor in self.actors:
            actor.blocked = False
        self.run()


@pytest.fixture(autouse=True)
def overtaken(monkeypatch: pytest.MonkeyPatch) -> None:
    """All queues of the lane may be overtaken."""
    monkeypatch.setattr(module, "deque", Queue)


def schedules(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """Yield stages that differ in one decision after the other, until there are no others."""
    decisions: list[int] = []
    while True:
        stage = Stage(decisions)
        monkeypatch.setattr(module, "clock", stage)
        yield stage
        made = stage.made
        while made and made[-1][0] + 1 >= made[-1][1]:
            made.pop()
        if not made:
            return
        decisions = [chosen for chosen, _ in made[:-1]] + [made[-1][0] + 1]


def check(stage: Stage, *, all_ran: bool = True) -> None:
    names = [job.granted.task_id for job in stage.jobs]
    assert sorted(ending.job.granted.task_id for ending in stage.ended) == names, "each ends once"
    assert len(stage.ran) == len(set(stage.ran)), "none runs twice"
    assert not all_ran or sorted(stage.ran) == names, "all run"
    assert stage.executor._places.waiting() == []
    assert stage.most_inside <= len(names)


def nothing() -> None:
    """The usual end of a task."""


def raises() -> None:
    raise ValueError("of the task")


def exits() -> None:
    raise SystemExit(3)


def stop_all(stage: Stage) -> None:
    for job in stage.jobs:
        job.request_stop(StopReason.WORKER_STOPS)


#: What may happen to the first task or to its thread at any point, and whether all tasks run nevertheless.
DISTURBANCES: dict[str, tuple[Callable[[Stage], None], bool]] = {
    "nothing": (lambda _: None, True),
    "it is canceled": (lambda stage: stage.jobs[0].request_stop(StopReason.CANCELED), True),
    "its lease is lost": (lambda stage: stage.jobs[0].request_stop(StopReason.LEASE_LOST), False),
    "its timeout is over": (lambda stage: stage.executor.enforce(stage.jobs[0]), False),
    "the worker stops": (stop_all, False),
}


def walk(monkeypatch: pytest.MonkeyPatch, disturbance: str, ends: Callable[[], None]) -> int:
    disturbs, all_ran = DISTURBANCES[disturbance]
    walked = 0
    for stage in schedules(monkeypatch):
        first = stage.job("a", ends)
        others = [stage.job(name, nothing) for name in "bc"]

        def gives(stage: Stage = stage, first: Job = first, others: Any = others) -> None:
            # The courier looks at any moment, and gives the others at any later one.
            stage.executor.submit_all([first])
            point()
            stage.look()
            point()
            stage.executor.submit_all(others)

        stage.act(gives)
        stage.act(lambda stage=stage: disturbs(stage))  # type: ignore[misc]
        stage.settle()
        check(stage, all_ran=all_ran)
        walked += 1
    return walked


def walk_with_one_that_hangs(monkeypatch: pytest.MonkeyPatch, disturbance: str) -> None:
    disturbs, all_ran = DISTURBANCES[disturbance]
    for stage in schedules(monkeypatch):
        first = stage.job("a", stage.hangs)
        others = [stage.job(name, nothing) for name in "bc"]

        def gives(stage: Stage = stage, first: Job = first, others: Any = others) -> None:
            stage.executor.submit_all([first, others[0]])
            point()
            stage.executor.submit_all(others[1:])

        stage.act(gives)
        stage.act(lambda stage=stage: disturbs(stage))  # type: ignore[misc]
        stage.settle()
        ended = {ending.job.granted.task_id for ending in stage.ended}
        assert {"b", "c"} <= ended, "the others wait for it"
        stage.release()
        check(stage, all_ran=all_ran)


@pytest.mark.parametrize("disturbance", DISTURBANCES)
@pytest.mark.parametrize("ends", [nothing, *only_thorough(raises, exits)], ids=lambda ends: ends.__name__)
def test_short_tasks_end_once_whatever_happens_at_any_point(
    monkeypatch: pytest.MonkeyPatch, disturbance: str, ends: Callable[[], None]
) -> None:
    assert walk(monkeypatch, disturbance, ends) > 10


@pytest.mark.parametrize("disturbance", DISTURBANCES)
def test_a_task_that_never_returns_holds_up_no_other_and_ends_when_it_returns(
    monkeypatch: pytest.MonkeyPatch, disturbance: str
) -> None:
    walk_with_one_that_hangs(monkeypatch, disturbance)


def test_an_exception_that_is_thrown_into_the_thread_at_any_point_costs_no_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Queue, "breaks", True)
    for stage in schedules(monkeypatch):
        jobs = [stage.job(name, nothing) for name in "ab"]

        def throws(stage: Stage = stage) -> None:
            # Into the first thread that serves the queue.
            for actor in stage.actors[2:3]:
                actor.throws = Thrown()

        stage.act(lambda stage=stage, jobs=jobs: stage.executor.submit_all(jobs))  # type: ignore[misc]
        stage.act(throws)
        with suppress(Thrown):
            stage.settle()
        check(stage, all_ran=False)


def test_a_task_that_turns_out_long_makes_its_function_long_and_the_next_ones_get_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for stage in schedules(monkeypatch):
        first, other = stage.job("a", stage.hangs), stage.job("b", nothing)
        stage.act(lambda stage=stage, first=first: stage.executor.submit_all([first]))  # type: ignore[misc]
        stage.settle()
        assert not stage.executor._short_functions.is_short("a")
        assert stage.executor._short_functions.is_short("b")
        stage.act(lambda stage=stage, other=other: stage.executor.submit_all([other]))  # type: ignore[misc]
        stage.settle()
        assert [type(ending) for ending in stage.ended] == [Success]
        stage.release()
        check(stage)


def test_what_a_task_raises_is_its_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    for stage in schedules(monkeypatch):
        jobs = [stage.job("a", exits), stage.job("b", nothing)]
        stage.act(lambda stage=stage, jobs=jobs: stage.executor.submit_all(jobs))  # type: ignore[misc]
        stage.settle()
        assert {ending.job.granted.task_id: type(ending) for ending in stage.ended} == {"a": Failure, "b": Success}


def ends_twice(places: Places, job: Job) -> bool:
    """A seeded bug: closing an attempt does not exclude that it is closed again."""
    places._places.pop(job, None)
    return True


def drops_the_queue(lanes: Lanes, lane: Lane, _: Job | None) -> None:
    """A seeded bug: what waits behind a task that hangs goes with its lane."""
    lane.retired = True
    lanes._lane = None
    lanes._queue.clear()


def does_not_look_again(lane: Lane) -> bool:
    """A seeded bug: a task that comes while the thread leaves is not noticed."""
    lane._announce_endings()
    lane._entry_token.append(None)
    return False


@pytest.mark.parametrize(
    ("of", "name", "bug"),
    [
        *only_thorough((Places, "take_out", ends_twice)),
        (Lanes, "_retire", drops_the_queue),
        (Lane, "_stay_or_leave", does_not_look_again),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_seeded_bug_is_found(monkeypatch: pytest.MonkeyPatch, of: type, name: str, bug: Any) -> None:
    def walk_all() -> None:
        for disturbance in DISTURBANCES:
            walk(monkeypatch, disturbance, nothing)
            walk_with_one_that_hangs(monkeypatch, disturbance)

    monkeypatch.setattr(of, name, bug)
    with pytest.raises(AssertionError):
        walk_all()
