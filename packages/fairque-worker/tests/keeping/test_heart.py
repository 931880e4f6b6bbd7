"""What a heartbeat makes of each answer, and when the next sweep is due; without a server."""

from collections.abc import Callable, Sequence
from unittest.mock import MagicMock

import pytest

from fairque.protocol import clock
from fairque.protocol.calls import Granted, Swept
from fairque.protocol.wire.status import Status
from fairque.worker import StopReason, WorkerSettings
from fairque.worker.consumer import Consumer
from fairque.worker.jobs import Job, Lease
from fairque.worker.keeping.leases import SWEEP_SECONDS, Heart
from fairque.worker.metrics import Metrics

LONG = 7_200.0


class Stub(Consumer):
    """Answers what it is told to, and a task of which it was told nothing with OK; any answer takes some time."""

    def __init__(self, pass_time: Callable[[], None]) -> None:
        super().__init__(WorkerSettings())
        self.answers: dict[str, Status] = {}
        self.asked: list[str] = []
        self.more = False
        self._pass_time = pass_time

    def beat(self, held: Sequence[tuple[str, str]]) -> list[Status]:
        self._pass_time()
        self.asked += [task_id for task_id, _ in held]
        return [self.answers.get(task_id, Status.OK) for task_id, _ in held]

    def sweep(self, guard_ms: int) -> Swept | None:  # noqa: ARG002 - the signature of the base
        self._pass_time()
        return Swept(0, 0, 0, 0, self.more)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Stub:
    late, monotonic = 0.0, clock.monotonic

    def pass_time() -> None:
        nonlocal late
        late += LONG

    monkeypatch.setattr(clock, "monotonic", lambda: monotonic() + late)
    return Stub(pass_time)


def job(task_id: str) -> Job:
    granted = Granted(task_id, b"", "1:t", attempt=1, failures=0, solo=False, pushed_at=0)
    return Job(granted, Lease(held_until=0.0))


def beaten(stub: Stub, *jobs: Job) -> None:
    Heart(stub, 1.0, lambda: jobs, MagicMock(spec=Metrics), lambda *_: None).beat()


def renewed(one: Job) -> bool:
    return one.lease.held_until > 0.0


def test_a_lease_counts_from_before_the_beat(stub: Stub) -> None:
    one, before = job("t"), clock.monotonic()
    beaten(stub, one)
    assert before + stub.lease_ms / 1000 <= one.lease.held_until < before + LONG


def test_a_task_that_is_to_stop_keeps_its_lease_until_it_has(stub: Stub) -> None:
    one = job("t")
    stub.answers["t"] = Status.REQUESTED
    beaten(stub, one)
    assert (renewed(one), one.canceled, one.stop.reason, one.lease.lost) == (True, True, StopReason.CANCELED, False)


def test_a_lost_lease_is_told(stub: Stub) -> None:
    one = job("t")
    stub.answers["t"] = Status.LOST
    beaten(stub, one)
    assert (renewed(one), one.canceled, one.stop.reason, one.lease.lost) == (False, False, StopReason.LEASE_LOST, True)


def test_a_task_whose_time_is_over_is_left_to_the_watch_of_its_timeout(stub: Stub) -> None:
    one = job("t")
    stub.answers["t"] = Status.OVERDUE
    beaten(stub, one)
    assert (renewed(one), one.stop.reason, one.lease.lost) == (False, None, False)


def test_every_task_is_renewed_however_many_there_are(stub: Stub) -> None:
    jobs = [job(str(number)) for number in range(1_001)]
    beaten(stub, *jobs)
    assert stub.asked == [str(number) for number in range(1_001)]
    assert all(map(renewed, jobs))


@pytest.mark.parametrize("more", [True, False])
def test_the_next_sweep_is_as_far_as_this_one_was_long_while_there_is_more_to_do(stub: Stub, *, more: bool) -> None:
    heart = Heart(stub, 1.0, tuple, MagicMock(spec=Metrics), lambda *_: None)
    stub.more = more
    pause = heart._sweep()
    assert LONG <= pause < 2 * LONG if more else pause == SWEEP_SECONDS
    assert heart.silence < LONG
