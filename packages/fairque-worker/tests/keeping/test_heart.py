"""How the heartbeat handles each answer, when each step is due, and what is logged of late or failed ones."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from queue import SimpleQueue
from typing import Any
from unittest.mock import MagicMock

import pytest

from fairque.protocol import clock
from fairque.protocol.calls.pop import Granted
from fairque.protocol.calls.sweep import Swept
from fairque.protocol.config import FairnessSection, RedisSection
from fairque.protocol.model.limits import Limits
from fairque.protocol.wire.status import Status
from fairque.testing.internal import PATIENCE, eventually
from fairque.worker import StopReason, Task, WorkerSettings
from fairque.worker.consumer import Consumer
from fairque.worker.jobs import Job, Lease
from fairque.worker.keeping.leases import LIMITS_CHECK_SECONDS, SWEEP_SECONDS, Heartbeat
from fairque.worker.metrics import Metrics

LONG = 7_200.0
LIMITS = FairnessSection(user_defaults=Limits(cap=5))


class Stub(Consumer):
    """Gives the answers that a test sets, and otherwise OK; each answer takes some time."""

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
    Heartbeat(stub, 1.0, lambda: jobs, MagicMock(spec=Metrics), lambda *_: None).beat()


def messages(caplog: pytest.LogCaptureFixture, text: str) -> list[Any]:
    return [record for record in caplog.records if record.msg == text]


def renewed(one: Job) -> bool:
    return one.lease.held_until > 0.0


def test_a_lease_counts_from_before_the_beat(stub: Stub) -> None:
    one, before = job("t"), clock.monotonic()
    beaten(stub, one)
    assert before + stub.lease_ms / 1000 <= one.lease.held_until < before + LONG


def test_a_task_that_was_asked_to_stop_keeps_its_lease_until_it_has_stopped(stub: Stub) -> None:
    one = job("t")
    stub.answers["t"] = Status.REQUESTED
    beaten(stub, one)
    assert (renewed(one), one.canceled, one.stop.reason, one.lease.lost) == (True, True, StopReason.CANCELED, False)


def test_a_task_is_notified_of_a_lost_lease(stub: Stub) -> None:
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
    heart = Heartbeat(stub, 1.0, tuple, MagicMock(spec=Metrics), lambda *_: None)
    stub.more = more
    pause = heart._sweep()
    assert LONG <= pause < 2 * LONG if more else pause == SWEEP_SECONDS
    assert heart.silence < LONG


class Hands:
    """Clocks that stand still until a test moves them: the steady one, and the processor time of the process."""

    now = 1_000.0
    used = 0.0


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    hands = Hands()
    monkeypatch.setattr(clock, "monotonic", lambda: hands.now)
    monkeypatch.setattr(time, "process_time", lambda: hands.used)
    return hands


class TestSteps:
    """When each step is due, by clocks that a test moves. A beat is due every second, unless a test sets another."""

    @pytest.fixture
    def quick(self) -> Stub:
        """Answers at once."""
        return Stub(lambda: None)

    @pytest.fixture
    def rests(self) -> list[float]:
        """The seconds that the steps wanted to rest: they do not wait."""
        return []

    @pytest.fixture
    def heart(
        self,
        hands: Hands,  # noqa: ARG002 - it moves the clocks from the beginning
        rests: list[float],
        monkeypatch: pytest.MonkeyPatch,
    ) -> Iterator[Callable[..., Heartbeat]]:
        """Makes hearts, with a consumer that answers at once unless another one is given."""
        with ExitStack() as made:

            def make(*jobs: Job, consumer: Consumer | None = None, heartbeat: float = 1.0) -> Heartbeat:
                heart = Heartbeat(
                    consumer or Stub(lambda: None), heartbeat, lambda: jobs, MagicMock(spec=Metrics), lambda *_: None
                )
                monkeypatch.setattr(heart.service, "rest", rests.append)
                made.callback(heart.stop)
                return heart

            yield make

    @pytest.fixture
    def away(self) -> Consumer:
        """The server does not answer."""
        return Consumer(WorkerSettings(redis=RedisSection(url="unix:///nowhere/s", retries=0), fairness=LIMITS))

    def test_the_first_beat_is_sent_at_the_start_and_earlier_time_counts_neither_as_lateness_nor_as_silence(
        self, hands: Hands, quick: Stub, caplog: pytest.LogCaptureFixture
    ) -> None:
        heart = Heartbeat(quick, 1.0, lambda: [job("t")], MagicMock(spec=Metrics), lambda *_: None)
        hands.now += LONG
        heart.start()
        try:
            assert heart.silence == 0.0
            eventually(lambda: quick.asked == ["t"], what="the first beat")
        finally:
            heart.stop()
        assert messages(caplog, "the heartbeat was late") == []

    def test_beats_are_sent_as_often_as_they_are_due(self, heart: Any, hands: Hands, quick: Stub) -> None:
        one = heart(job("t"), consumer=quick)
        asked = []
        for seconds in (0.0, 0.9, 0.1, 0.9):
            hands.now += seconds
            one.step()
            asked.append(len(quick.asked))
        assert asked == [1, 1, 2, 2]

    @pytest.mark.parametrize(("late", "told"), [(0.9, 0), (1.0, 1)])
    def test_a_beat_is_late_when_another_one_would_have_been_due(
        self, heart: Any, hands: Hands, caplog: pytest.LogCaptureFixture, late: float, told: int
    ) -> None:
        one = heart()
        one.step()
        hands.now += 1.0 + late
        one.step()
        assert len(messages(caplog, "the heartbeat was late")) == told

    @pytest.mark.parametrize(
        ("used", "cause"),
        [
            (1.0, 'a task kept the interpreter to itself: give such tasks isolation="process"'),
            (0.9, "the process, its machine or the server stood still"),
        ],
    )
    def test_the_warning_of_a_late_beat_names_its_cause_by_the_processor_time_since_the_last_beat(
        self, heart: Any, hands: Hands, caplog: pytest.LogCaptureFixture, used: float, cause: str
    ) -> None:
        one = heart()
        hands.used += 60.0
        one.step()
        hands.now += 3.0
        hands.used += used
        one.step()
        (said,) = messages(caplog, "the heartbeat was late")
        assert (said.late_seconds, said.cause) == (2.0, cause)

    def test_the_warning_of_a_late_beat_names_ended_leases_and_running_tasks(
        self, heart: Any, hands: Hands, caplog: pytest.LogCaptureFixture
    ) -> None:
        jobs = [job(str(number)) for number in range(3)]
        # The message of the fourth cannot be read.
        one = heart(*jobs, job("3"))
        one.step()
        hands.now += 3.0
        for each, left, func in zip(jobs, (-0.1, 0.0, 0.1), ("b", "a", "b"), strict=True):
            each.lease.held_until = hands.now + left
            each.task = Task(user_id="ann", func=func)
        one.step()
        (said,) = messages(caplog, "the heartbeat was late")
        assert (said.leases_over, list(said.functions), list(said.tasks)) == (2, ["a", "b"], ["0", "1", "2", "3"])

    def test_the_warning_of_a_late_beat_names_only_the_first_tasks(
        self, heart: Any, hands: Hands, caplog: pytest.LogCaptureFixture
    ) -> None:
        jobs = [job(str(number)) for number in range(21)]
        for each in jobs:
            each.task = Task(user_id="ann", func=f"f{each.granted.task_id}")
        one = heart(*jobs)
        one.step()
        hands.now += 3.0
        one.step()
        (said,) = messages(caplog, "the heartbeat was late")
        assert (len(said.functions), len(said.tasks)) == (20, 20)

    def test_a_beat_without_an_answer_is_logged_and_retried(
        self, heart: Any, hands: Hands, away: Consumer, caplog: pytest.LogCaptureFixture
    ) -> None:
        jobs = job("t"), job("u")
        one = heart(*jobs, consumer=away)
        for seconds in (0.0, 0.9, 0.1):
            hands.now += seconds
            one.step()
        said = messages(caplog, "heartbeat failed")
        assert [record.tasks for record in said] == [2, 2]
        assert "nothing listens there" in said[0].error
        assert not any(map(renewed, jobs))

    def test_a_sweep_without_an_answer_is_logged_and_retried_and_the_silence_grows(
        self, heart: Any, hands: Hands, away: Consumer, caplog: pytest.LogCaptureFixture
    ) -> None:
        one = heart(consumer=away)
        said = []
        for seconds in (0.0, SWEEP_SECONDS - 0.5, 0.5):
            hands.now += seconds
            one.step()
            said.append(len(messages(caplog, "sweep failed")))
        assert said == [1, 1, 2]
        assert one.silence == SWEEP_SECONDS

    def test_an_answer_to_a_sweep_ends_the_silence(self, heart: Any, hands: Hands, bench: Any) -> None:
        one, other = (heart(consumer=Consumer(bench.settings())) for _ in range(2))
        hands.now += 1.0
        one.step()
        # Also the answer that another worker has just swept.
        other.step()
        assert (one.silence, other.silence) == (0.0, 0.0)

    def test_a_failed_check_of_limits_is_logged_and_retried(
        self, heart: Any, hands: Hands, away: Consumer, caplog: pytest.LogCaptureFixture
    ) -> None:
        one = heart(consumer=away)
        said = []
        for seconds in (0.0, LIMITS_CHECK_SECONDS - 0.5, 0.5):
            hands.now += seconds
            one.step()
            said.append(len(messages(caplog, "the limits of the file cannot be looked at")))
        assert said == [1, 1, 2]

    @pytest.mark.parametrize(("heartbeat", "rest"), [(1.0, 1.0), (5.0, SWEEP_SECONDS)])
    def test_it_rests_until_the_next_beat_or_sweep_whichever_comes_first(
        self, heart: Any, rests: list[float], heartbeat: float, rest: float
    ) -> None:
        heart(heartbeat=heartbeat).step()
        assert rests == [rest]

    def test_it_does_not_rest_when_a_sweep_has_taken_longer_than_until_the_next_beat(
        self, heart: Any, hands: Hands, rests: list[float]
    ) -> None:
        def pass_time() -> None:
            hands.now += LONG

        heart(consumer=Stub(pass_time)).step()
        assert rests == [0.0]


def test_a_heart_that_fails_until_the_leases_would_be_over_at_the_next_beat_dies(hands: Hands) -> None:
    died: SimpleQueue[str] = SimpleQueue()
    # For a lease of 30 seconds and 10 between two beats; the last ones only matter to a more patient heart.
    passing = iter([0.0, 19.0, 1.0, LONG])
    calls = 0

    def jobs() -> list[Job]:
        nonlocal calls
        calls += 1
        hands.now += next(passing)
        raise MemoryError

    consumer = Stub(lambda: None)
    assert consumer.lease_ms == 30_000
    heart = Heartbeat(consumer, 10.0, jobs, MagicMock(spec=Metrics), lambda name, _: died.put(name))
    heart.start()
    try:
        assert died.get(timeout=PATIENCE) == "fairque-heart"
    finally:
        heart.stop()
    assert calls == 3
