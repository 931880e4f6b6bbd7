"""sweep: due tasks, lost leases, old records and idle users, a hundred of each at a time."""

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from fairque.protocol.calls.reclaimed import Reclaimed
from fairque.protocol.calls.sweep import Swept
from fairque.protocol.model.states import TaskState
from fairque.protocol.wire.status import Status
from fairque.testing.internal import amend_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.scripts.conftest import Bench


def test_a_sweep_of_an_empty_queue_does_nothing(queue: "Bench") -> None:
    assert queue.sweep() == Swept(0, 0, 0, 0)


def test_due_tasks_become_runnable(queue: "Bench") -> None:
    queue.push(queue.task(delay_ms=100), queue.task(delay_ms=101))
    queue.advance(100)
    assert queue.sweep().promoted == 1
    assert queue.state("t1") is TaskState.QUEUED
    assert queue.state("t2") is TaskState.SCHEDULED


def test_at_most_a_hundred_are_promoted_at_once(queue: "Bench") -> None:
    queue.fill("ann", 130, delay_ms=100)
    queue.advance(100)
    assert queue.sweep().promoted == 100
    assert queue.sweep().promoted == 30


def test_lost_leases_are_reclaimed(queue: "Bench") -> None:
    queue.fill("ann", 2)
    queue.pop(2)
    queue.advance(30_000)
    assert queue.sweep().reclaimed == 2
    assert not queue.snapshot("running")
    assert [t.solo for t in queue.pop(2)] == [True, True]


def test_a_lost_lease_keeps_its_charge(queue: "Bench") -> None:
    granted = queue.started()
    queue.advance(20_000)
    queue.beat(granted)
    queue.advance(30_000)
    queue.sweep()
    assert queue.snapshot("u:")["u:ann"]["S"] == "20000000"


@pytest.mark.parametrize("canceled", [False, True])
def test_after_its_last_lost_worker_a_task_ends(queue: "Bench", canceled: bool) -> None:  # noqa: FBT001 - a parameter of pytest
    queue.started()
    if canceled:
        queue.cancel("t1")
    queue.advance(30_000)
    queue.sweep(max_lost_workers=1)
    state, blob = queue.outcome("t1")
    if canceled:
        assert state is TaskState.CANCELED
    else:
        assert state is TaskState.FAILED
        assert b'"reason":"deliveries"' in blob


def test_records_expire_after_their_retention(queue: "Bench") -> None:
    queue.finish(queue.started(), result=b"1")
    queue.fail(queue.started(), verdict="dead")
    queue.advance(59_999)
    assert queue.sweep().forgotten == 0
    queue.advance(1)
    assert queue.sweep().forgotten == 1
    assert sorted(queue.snapshot("t:", "m:", "r:")) == ["m:t2", "r:t2", "t:t2"]
    queue.advance(60_000)
    assert queue.sweep().forgotten == 1
    assert not queue.snapshot("t:", "m:", "r:", "kept", "dead")


def test_users_without_work_are_forgotten_with_their_debts_if_no_user_waits(queue: "Bench") -> None:
    queue.push(*(queue.task(user) for user in ("ann", "bob", "cleo")))
    queue.finish(*queue.pop(3))
    assert len(queue.snapshot("u:")) == 3
    assert queue.sweep().users == 3
    assert not queue.snapshot("u:", "owe")


def test_a_debt_is_kept_while_other_users_wait(queue: "Bench") -> None:
    queue.finish(queue.started(user="ann"))
    queue.push(queue.task("bob"), queue.task("cleo"))
    queue.finish(*queue.pop(1))
    queue.sweep()
    assert "u:bob" in queue.snapshot("u:")


def test_a_debt_is_kept_while_tasks_run(queue: "Bench") -> None:
    queue.fill("ann", 1)
    queue.fill("bob", 1)
    ann, _ = queue.pop(2)
    queue.finish(ann)
    queue.sweep()
    assert "u:ann" in queue.snapshot("u:")


def test_tasks_promoted_by_a_sweep_are_runnable_after_users_were_forgotten(queue: "Bench") -> None:
    queue.push(queue.task("ann"), queue.task("bob"), queue.task("ann", delay_ms=10))
    ann, _ = queue.pop(2)
    queue.finish(ann)
    queue.advance(30_000)
    swept = queue.sweep()
    assert (swept.reclaimed, swept.promoted) == (1, 1)
    assert sorted(queue.pop_ids(3)) == ["t2", "t3"]


def test_virtual_time_and_all_tags_are_reset_before_digits_are_lost(queue: "Bench") -> None:
    """Or it could not be read one day, and whoever came then would begin at 0, long before all others."""
    queue.amend_globals(V=2**51)
    for user in ("ann", "bob"):
        queue.fill(user, 20, cost=0.25)
    held = queue.pop(3)
    found = queue.snapshot("g", "ready")
    queue.sweep()
    lowered = [(user, tag - float(found["g"]["V"])) for user, tag in found["ready"]]
    assert queue.snapshot("ready")["ready"] == lowered
    assert queue.snapshot("g")["g"]["V"] == "0"
    queue.finish(*held, ran_us=250_000)
    for user in ("new", "newer"):
        queue.fill(user, 20, cost=0.25)
    served = Counter(queue.info(task_id).user_id for task_id in queue.pop_ids(40))
    assert min(served.values()) >= 9


def test_virtual_time_is_reset_for_any_number_of_users(queue: "Bench") -> None:
    queue.amend_globals(V=2**51)
    for batch in range(2):
        queue.push(*(queue.task(f"user{batch}.{number}") for number in range(600)))
    queue.sweep()
    assert Counter(record["S"] for record in queue.snapshot("u:").values()) == {"0": 1_200}


def test_the_service_of_a_user_is_counted_up_to_the_largest_exact_number(queue: "Bench") -> None:
    """Its record would not be readable otherwise."""
    held = queue.started(cost=1.0)
    queue.fill("ann", 1)
    amend_record(queue.client, f"{queue.keys.prefix}u:ann", served=2**53 - 1_000)
    queue.advance(2_000)
    queue.finish(held, ran_us=2_000_000)
    assert queue.snapshot("u:ann")["u:ann"]["served"] == "9007199254740991"
    assert queue.pop_ids() == ["t2"]


def test_a_delayed_task_whose_record_is_gone_is_dropped(queue: "Bench") -> None:
    queue.push(queue.task(delay_ms=100), queue.task(delay_ms=100))
    queue.client.delete(f"{queue.keys.prefix}t:t1")
    queue.client.hdel(f"{queue.keys.prefix}a", "t1")
    queue.advance(100)
    queue.sweep()
    assert not queue.snapshot("delayed")
    assert queue.pop_ids(2) == ["t2"]


def test_a_running_task_whose_record_is_gone_is_a_dead_letter(queue: "Bench") -> None:
    queue.started()
    queue.client.hdel(f"{queue.keys.prefix}a", "t1")
    queue.advance(30_000)
    queue.sweep()
    assert not queue.snapshot("running")
    state, error = queue.outcome("t1")
    assert (state, b"its record is gone" in error) == (TaskState.FAILED, True)


def test_one_sweep_at_a_time(queue: "Bench") -> None:
    assert queue.guarded_sweep(5_000) is not None
    before = queue.snapshot()
    assert queue.guarded_sweep(5_000) is None
    assert queue.snapshot() == before
    assert 0 < queue.ttl_ms("sweeping") <= 5_000


def test_the_same_sweeper_may_continue_at_once(queue: "Bench") -> None:
    assert queue.guarded_sweep(5_000, sweeper="w1") is not None
    assert queue.guarded_sweep(5_000, sweeper="w2") is None
    assert queue.guarded_sweep(5_000, sweeper="w1") is not None
    assert queue.guarded_sweep(5_000, sweeper="w2") is None


@pytest.mark.parametrize("left_ms", [None, 7_200_000], ids=["without an end", "of a clock that was set back"])
def test_an_invalid_guard_does_not_block_sweeps(queue: "Bench", left_ms: int | None) -> None:
    queue.client.set(f"{queue.keys.prefix}sweeping", "w1", px=left_ms)
    assert queue.guarded_sweep(5_000, sweeper="w2") is not None
    assert 0 < queue.ttl_ms("sweeping") <= 5_000


def delayed(queue: "Bench", number: int) -> None:
    queue.fill("ann", number, delay_ms=100)


def lost(queue: "Bench", number: int) -> None:
    queue.fill("ann", number)
    taken = 0
    while taken < number:
        taken += len(queue.pop(100))


def ended(queue: "Bench", number: int) -> None:
    queue.fill("ann", number)
    while held := queue.pop(1):
        queue.finish(*held)


def values(queue: "Bench", number: int) -> None:
    queue.fill("ann", number)
    while held := queue.pop(1):
        queue.finish(*held, xcom=b'{"a":1}')


def users(queue: "Bench", number: int) -> None:
    queue.push(*(queue.task(f"u{one}") for one in range(number)))
    held = [one for _ in range(number) for one in queue.pop(1)]
    queue.finish(*held)


def rates(queue: "Bench", number: int) -> None:
    for one in range(number):
        queue.limit(f"u{one}", rate=1, burst=1)
    queue.push(*(queue.task(f"u{one}") for one in range(number) for _ in range(2)))
    for _ in range(number // 100 + 1):
        queue.pop(100)


def dependents(queue: "Bench", number: int) -> None:
    queue.push(queue.task(task_id="parent"))
    queue.fill("ann", number, depends_on=["parent"])
    held = queue.pop(1)
    queue.fill("bob", 1)
    queue.finish(*held, xcom=b'{"a":1}')


@pytest.mark.parametrize("kind", [delayed, lost, ended, values, users, rates, dependents], ids=lambda one: one.__name__)
def test_a_sweep_that_reached_a_limit_reports_more_and_the_last_one_does_not(
    queue: "Bench", kind: "Callable[[Bench, int], None]"
) -> None:
    kind(queue, 350)
    queue.advance(70_000)
    sweeps = 0
    while queue.sweep().more:
        sweeps += 1
        assert sweeps < 20, "more forever"
    assert sweeps >= 2
    # Nothing that a further sweep would do.
    before = queue.snapshot()
    swept = queue.sweep()
    assert (swept.promoted, swept.reclaimed, swept.forgotten, swept.users, swept.more) == (0, 0, 0, 0, False)
    assert queue.snapshot() == before


def test_a_value_that_is_still_needed_does_not_report_more_forever(queue: "Bench") -> None:
    queue.push(queue.task(task_id="parent"))
    queue.fill("ann", 150, depends_on=["parent"])
    queue.finish(*queue.pop(1), xcom=b'{"a":1}')
    while queue.sweep().more:
        pass
    for _ in range(5):
        queue.advance(60_000)
        assert not queue.sweep().more


@pytest.mark.parametrize("by", ["pop", "sweep"])
def test_reclaimed_tasks_are_reported_with_user_worker_and_state(queue: "Bench", by: str) -> None:
    queue.push(queue.task("ann", task_id="again"), queue.task("bob", task_id="canceled"))
    queue.pop(2, worker="first")
    queue.cancel("canceled")
    queue.advance(30_000)
    take_back = queue.pop_call if by == "pop" else None
    told = queue.run(take_back(1, worker="second")).reclaimed if take_back else queue.sweep().tasks
    assert sorted(told, key=lambda one: one.task_id) == [
        Reclaimed("again", "ann", "first", TaskState.QUEUED),
        Reclaimed("canceled", "bob", "first", TaskState.CANCELED),
    ]
    assert queue.sweep().tasks == ()


def test_dead_letters_and_lost_records_are_reported_too(queue: "Bench") -> None:
    queue.fill("ann", 2)
    queue.pop(2, worker="first")
    queue.client.hdel(f"{queue.keys.prefix}a", "t2")
    queue.advance(30_000)
    assert queue.sweep(max_lost_workers=1).tasks == (
        Reclaimed("t1", "ann", "first", TaskState.FAILED),
        Reclaimed("t2", "ann", "", TaskState.FAILED),
    )


def test_each_reclaimed_task_is_reported_once(queue: "Bench") -> None:
    lost(queue, 250)
    queue.advance(30_000)
    told = []
    for _ in range(10):
        told += [one.task_id for one in queue.run(queue.pop_call(1)).reclaimed]
    while (swept := queue.sweep()).tasks:
        told += [one.task_id for one in swept.tasks]
    assert len(told) == len({*told}) == 250


def test_a_running_task_has_the_name_of_its_worker(queue: "Bench") -> None:
    queue.fill("ann", 2)
    queue.pop(1, worker="first")
    queue.pop(1, worker="second")
    assert (queue.info("t1").worker, queue.info("t2").worker) == ("first", "second")
    queue.advance(30_000)
    queue.pop(2, worker="third")
    assert queue.info("t1").worker == "third"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["w", "0", "5", "1000"],
        ["", "0", "5", "1000", "1000"],
        ["w", "0.3", "5", "1000", "1000"],
        ["w", "x", "5", "1000", "1000"],
        ["w", "0", "", "1000", "1000"],
        ["w", "0", "5", "nan", "1000"],
        ["w", "0", "5", "1000", "1e300"],
    ],
)
def test_wrong_arguments_change_nothing(queue: "Bench", arguments: list[str]) -> None:
    queue.push()
    before = queue.snapshot()
    assert queue.raw("sweep", *arguments)[0] == Status.BAD_ARGS
    assert queue.snapshot() == before
