"""The thread of a scheduler does not die alone: what fails is retried, or ends the scheduler, which says so."""

import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from fairque.protocol.errors import FairqueError
from fairque.protocol.model.task import Task
from fairque.protocol.wire.scripts import script, script_names
from fairque.scheduler import Schedule, TaskScheduler
from fairque.testing.internal import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Bench


def failing(scheduler: TaskScheduler, error: BaseException, times: float) -> None:
    """Let the first turns of its loop fail."""
    engine: Any = scheduler._engine
    turn: Callable[[], float] = engine._turn
    left = times

    def fail() -> float:
        nonlocal left
        left -= 1
        if left >= 0:
            raise error
        return turn()

    engine._turn = fail


@pytest.mark.parametrize(
    "error",
    [MemoryError(), OSError(24, "Too many open files"), RuntimeError("can't start new thread")],
    ids=lambda error: type(error).__name__,
)
def test_a_shortage_that_passes_is_survived(bench: "Bench", error: Exception) -> None:
    scheduler = bench.scheduler(lease=600)
    failing(scheduler, error, 3)
    scheduler.start()
    scheduler.schedules.add(Schedule("a", Task(func="m:f", user_id="ann"), every=0.1))
    eventually(lambda: len(bench.times("a")) > 1, what="runs of the schedule")


@pytest.mark.parametrize(("error", "times"), [(MemoryError(), float("inf")), (SystemExit(0), 1), (GeneratorExit(), 1)])
def test_what_it_cannot_overcome_ends_it_as_a_crash(bench: "Bench", error: BaseException, times: float) -> None:
    scheduler = bench.scheduler(lease=0.3)
    failing(scheduler, error, times)
    with pytest.raises(FairqueError, match=f"the scheduler crashed: {type(error).__name__}"):
        scheduler.run()
    assert scheduler.state == "crashed"


def test_a_handler_of_the_log_that_exits_keeps_no_scheduler_that_has_crashed(bench: "Bench") -> None:
    scheduler = bench.scheduler(lease=0.3)
    failing(scheduler, MemoryError(), float("inf"))
    logger = logging.getLogger("fairque.scheduler")

    def exits(record: logging.LogRecord) -> bool:
        if record.levelno < logging.ERROR:
            return True
        raise SystemExit(1)

    logger.addFilter(exits)
    try:
        with pytest.raises(FairqueError, match="the scheduler crashed: MemoryError"):
            scheduler.run()
    finally:
        logger.removeFilter(exits)


def test_a_leader_that_crashes_leaves_the_lead_to_another_at_once(bench: "Bench") -> None:
    leader = bench.started(lease=600)
    eventually(lambda: leader.state == "leader", what="a leader")
    standby = bench.started(lease=600)
    eventually(lambda: standby.state == "standby", what="a standby")
    failing(leader, SystemExit(0), 1)
    leader._engine._service.ring()
    eventually(lambda: standby.state == "leader", what="the other one, before the lease is over")
    assert leader.state == "crashed"


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("way", ["stop", "with"])
def test_a_forked_child_does_not_resign_for_its_parent(bench: "Bench", way: str) -> None:
    leader = bench.started(lease=30)
    eventually(lambda: leader.state == "leader", timeout=60, what="a leader")
    before = leader.schedules.status()
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            if way == "with":
                with leader:
                    pass
            else:
                leader.stop()
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    after = leader.schedules.status()
    assert (after.leader, after.term) == (before.leader, before.term)


def test_a_scheduler_that_was_not_started_can_be_in_a_forked_child(bench: "Bench") -> None:
    scheduler = bench.scheduler()
    scheduler.start_over()
    scheduler.start()
    eventually(lambda: scheduler.state == "leader", timeout=60, what="a leader")


def test_all_scripts_are_read_at_the_start_since_later_ones_may_be_of_another_version(bench: "Bench") -> None:
    script.cache_clear()
    bench.started()
    assert script.cache_info().currsize == len(script_names())
