"""Short tasks in the lane, in real threads: they see no difference, and whatever one does, the others run."""

import contextvars
import decimal
import math
import os
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import pytest

from fairque.protocol.errors import LeaseLost, TaskTimeout
from fairque.protocol.model.stopping import StopReason
from fairque.testing.internal import PATIENCE
from fairque.worker import TaskContext, current_context
from fairque.worker.jobs import Success

# Python warns of forks in processes with threads.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

LOCAL: contextvars.ContextVar[int] = contextvars.ContextVar("LOCAL", default=0)


def raises(*_: object) -> None:
    raise SystemExit(3)


#: What an attempt sets, and how another one sees it.
STATES: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "tracing of new threads": (lambda: threading.settrace(raises), threading.gettrace),
    "profiling": (lambda: sys.setprofile(lambda *_: None), sys.getprofile),
    "first iteration": (lambda: sys.set_asyncgen_hooks(firstiter=raises), lambda: sys.get_asyncgen_hooks()[0]),
    "origins": (lambda: sys.set_coroutine_origin_tracking_depth(3), sys.get_coroutine_origin_tracking_depth),
    "name": (lambda: setattr(threading.current_thread(), "name", "x"), lambda: threading.current_thread().name == "x"),
    "context variable": (lambda: LOCAL.set(1), LOCAL.get),
    "decimal context": (lambda: setattr(decimal.getcontext(), "prec", 3), lambda: decimal.getcontext().prec),
}


@pytest.mark.parametrize("what", STATES)
def test_what_one_task_sets_is_not_there_for_the_next(lane_bench: Any, what: str) -> None:
    sets, sees = STATES[what]
    here = SimpleQueue[str]()

    def sees_here() -> None:
        here.put(repr(sees()))

    lane_bench.run(sees_here)
    lane_bench.run(lambda: str(sets()))
    lane_bench.run(sees_here)
    assert here.get_nowait() == here.get_nowait()


def test_a_task_runs_in_a_thread_with_the_usual_name_and_its_own_context(lane_bench: Any) -> None:
    seen: list[tuple[str, str]] = []

    def looks(_: int) -> None:
        seen.append((threading.current_thread().name, current_context().func or ""))

    lane_bench.run(looks, 1)
    lane_bench.run(looks, 2)
    assert all(name.startswith("fairque-task_") for name, _ in seen)
    assert [func for _, func in seen] == ["f0", "f1"]


def test_a_task_that_takes_the_context_gets_it(lane_bench: Any) -> None:
    def takes(number: int, context: TaskContext) -> str:
        return f"{number} {context.func}"

    assert lane_bench.run(takes, 1).result == b'"1 f0"'


def test_a_task_that_forks_gets_a_copy_that_ends_and_takes_no_other_task(lane_bench: Any) -> None:
    ran: SimpleQueue[int] = SimpleQueue()

    def forks() -> int:
        pid = os.fork()
        if pid == 0:
            return 1
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    jobs = [lane_bench.submit(forks), *(lane_bench.submit(ran.put, number) for number in range(3))]
    endings = [lane_bench.ending() for _ in jobs]
    assert {type(ending) for ending in endings} == {Success}
    assert b"0" in {ending.result for ending in endings}
    assert sorted(ran.get_nowait() for _ in range(3)) == [0, 1, 2]


def test_a_task_that_was_canceled_before_its_turn_sees_the_request(lane_bench: Any, gate: threading.Event) -> None:
    lane_bench.submit(gate.wait, PATIENCE)
    job = lane_bench.submit(lambda: current_context().should_stop)
    job.request_stop(StopReason.CANCELED)
    gate.set()
    assert [lane_bench.ending().result for _ in range(2)] == [b"true", b"true"]


def test_a_task_whose_lease_was_lost_before_its_turn_does_not_run(lane_bench: Any, gate: threading.Event) -> None:
    ran: list[int] = []
    lane_bench.submit(gate.wait, PATIENCE)
    job = lane_bench.submit(ran.append, 1)
    job.request_stop(StopReason.LEASE_LOST)
    gate.set()
    endings = [lane_bench.ending() for _ in range(2)]
    assert [ending.kind for ending in endings if not isinstance(ending, Success)] == [LeaseLost]
    assert ran == []


def test_a_task_that_exceeds_its_timeout_fails_and_the_others_run(lane_bench: Any, gate: threading.Event) -> None:
    begun = threading.Event()

    def hangs() -> None:
        begun.set()
        gate.wait(PATIENCE)

    job = lane_bench.submit(hangs)
    lane_bench.submit(int)
    assert begun.wait(PATIENCE)
    job.limit = -math.inf
    lane_bench._watch._alarm.ring()
    endings = [lane_bench.ending() for _ in range(2)]
    assert {getattr(ending, "kind", None) for ending in endings} == {TaskTimeout, None}
    gate.set()
