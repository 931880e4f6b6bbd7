"""The fields of all records are exactly those of lua/README.md."""

import re
from collections.abc import Callable, Iterator
from importlib import resources
from typing import TYPE_CHECKING

import pytest

from fairque.protocol.model.states import Priority
from fairque.protocol.wire.status import Status
from fairque.testing.internal import amend_record, calls, stored_schedule

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench


def listed(heading: str) -> set[str]:
    """The names in the first column of a table of lua/README.md, without the reserved ones."""
    page = resources.files("fairque.protocol").joinpath("lua/README.md").read_text(encoding="utf-8")
    section = re.split(r"^#+ ", page.split(f"### {heading}\n")[1], flags=re.MULTILINE)[0]
    rows = [row.split("|")[1:3] for row in section.splitlines() if row.startswith("| `")]
    return {name for first, second in rows if "*reserved*" not in second for name in re.findall(r"`(\w+)`", first)}


@pytest.fixture
def busy(queue: "Bench") -> "Bench":
    """A queue in which everything has happened."""
    queue.run(calls.configure(queue.keys, cost_mode="count", backlog=1_000))
    queue.run(calls.configure(queue.keys, cost_mode="time"))
    queue.run(calls.limit(queue.keys, [calls.Setting("ann", "cap", 100)]))
    queue.push(queue.task(cost=0.1, dedup_key="k"), *(queue.task() for _ in range(5)))
    queue.run(calls.watch(queue.keys, "t1", "me"))
    first, second, *others = queue.pop(5)
    queue.fail(first, pause_ms=0)
    queue.fail(second, verdict="snooze")
    queue.release(others[0])
    queue.fail(others[1], verdict="dead")
    queue.run(calls.redrive(queue.keys, [others[1].task_id], result_ttl_ms=1))
    queue.cancel(others[1].task_id)
    queue.advance(30_000)
    queue.sweep()
    queue.finish(others[2])
    (again,) = [t for t in queue.pop(5) if t.task_id == "t1"]
    queue.advance(30_000)
    queue.sweep()
    assert again.attempt == 2
    queue.advance(-1)
    queue.cancel("t6")
    running = {t.task_id: t for t in queue.pop(5)}
    queue.cancel("t1")
    queue.finish(running["t1"], result=b"1" * 2_000)
    queue.run(calls.limit(queue.keys, [calls.Setting("bob", "rate", 10), calls.Setting("bob", "burst", 5)]))
    queue.push(*(queue.task("bob", priority=Priority.CRITICAL, timeout_ms=5) for _ in range(3)))
    queue.push(queue.task("bob", task_id="first", delay_ms=1_000))
    queue.advance(10)
    queue.push(queue.task("bob", depends_on=["first"], delay_ms=5_000))
    queue.pop(5)
    queue.push(*(queue.task("bob", priority=Priority.CRITICAL) for _ in range(3)))
    queue.client.hset(f"{queue.keys.prefix}n:eve", "of another", "type")
    queue.push(queue.task("eve", args=["x" * 40_000]))
    queue.push(queue.task("eve", execute_at=queue.now_ms + 9_000))
    return queue


@pytest.fixture
def pipeline(new_queue: Callable[[], "Bench"]) -> Iterator["Bench"]:
    """A queue with a task that is checked for expiry."""
    queue = new_queue()
    queue.push(queue.task(task_id="root"), queue.task(None, task_id="leaf", depends_on=["root"]))
    queue.finish(*queue.pop(), xcom=b'{"rows":1}')
    queue.cancel("leaf")
    queue.advance(60_000)
    queue.run(calls.sweep(queue.keys, guard_ms=0, max_lost_workers=5, result_ttl_ms=1, dead_ttl_ms=1))
    queue.push(queue.task(task_id="holder", dedup_key="k"))
    queue.push(queue.task(task_id="same", dedup_key="k"), queue.task(depends_on=["same"]))
    yield queue
    queue.drop()


def test_the_task_record(busy: "Bench", pipeline: "Bench") -> None:
    records = [*busy.snapshot("t:").values(), *pipeline.snapshot("t:").values()]
    assert busy.snapshot("r:")
    # Snapshots list results apart.
    assert {field for record in records for field in record} | {"result"} == listed("Task record")


@pytest.fixture
def held_back(new_queue: Callable[[], "Bench"]) -> Iterator["Bench"]:
    """A queue with two users at their caps whose places were cut; one of them had to wait since, the other did not."""
    queue = new_queue()
    for user in ("ann", "bob"):
        queue.limit(user, cap=1)
        queue.fill(user, 3)
    held = queue.pop(2)
    queue.amend_globals(V=50_000_000)
    queue.finish(*held)
    amend_record(queue.client, f"{queue.keys.prefix}u:bob", S=60_000_000)
    queue.pop(2)
    yield queue
    queue.drop()


@pytest.fixture
def perforated(new_queue: Callable[[], "Bench"]) -> Iterator["Bench"]:
    """A queue with a long list in which one is missing, and a task beside it."""
    queue = new_queue()
    for _ in range(3):
        queue.fill("ann", 700)
    queue.fill("ann", 1, priority=Priority.LOW)
    queue.cancel("t1050")
    yield queue
    queue.drop()


def test_the_user_record(busy: "Bench", held_back: "Bench", perforated: "Bench") -> None:
    records = [record for queue in (busy, held_back, perforated) for record in queue.snapshot("u:").values()]
    assert {field for record in records for field in record} == listed("User record")


def test_the_scheduler_record(busy: "Bench") -> None:
    assert busy.globals().keys() == listed("Scheduler record")


def test_the_meta_record(busy: "Bench") -> None:
    assert busy.snapshot("meta")["meta"].keys() == listed("Meta")


@pytest.fixture
def clockwork(new_queue: Callable[[], "Bench"]) -> Iterator["Bench"]:
    """A queue with a schedule of which one time was missed, one fired, and one skipped."""
    queue = new_queue()
    often = stored_schedule(schedule_id="s", every_ms=1_000, user_id="ann", func="f", overlap="skip")
    start = queue.now_ms
    queue.run(
        calls.schedule(queue.keys, [calls.ScheduleWrite(schedule=often, revision=0, next_at=start)], message_limit=999)
    )
    queue.advance(2_000)
    for time, fire_at, missed in ((start, start + 1_000, 1), (start + 1_500, start + 1_500, 0)):
        move = calls.move(
            often, 1, time=time, following=time + 1_500, fire_at=fire_at, missed=missed, missed_last=start
        )
        queue.run(calls.fire(queue.keys, [move], term=1, result_ttl_ms=1_000))
    yield queue
    queue.drop()


#: Counters in the scheduler record.
COUNTED_WITH_EACH_TASK = ("queued", "pushed", "finished")


def test_the_counters(busy: "Bench", clockwork: "Bench") -> None:
    page = resources.files("fairque.protocol").joinpath("lua/README.md").read_text(encoding="utf-8")
    names = set(re.findall(r"`(\w+)`", page.split("### Counters\n")[1].split("## States")[0]))
    counted = (
        busy.snapshot("counts")["counts"]
        | clockwork.snapshot("counts")["counts"]
        | dict.fromkeys(COUNTED_WITH_EACH_TASK)
    )
    assert counted.keys() == names


def test_records_stay_small(busy: "Bench") -> None:
    for name in ("a", "u"):
        for record in busy.client.hvals(f"{busy.keys.prefix}{name}"):
            assert len(record) <= 250
    for key, record in busy.snapshot("t:").items():
        if record["state"] == "FINISHED":
            assert busy.client.strlen(f"{busy.keys.prefix}{key}") <= 250


def test_fields_that_a_later_version_adds_are_kept(queue: "Bench") -> None:
    granted = queue.started()
    for key in ("t:t1", "u:ann"):
        amend_record(queue.client, f"{queue.keys.prefix}{key}", later="x")
    queue.finish(granted)
    assert [record["later"] for record in queue.snapshot("t:", "u:").values()] == ["x", "x"]


def test_a_reader_gets_numbers_as_text_without_loss(queue: "Bench") -> None:
    queue.started()
    amend_record(queue.client, f"{queue.keys.prefix}t:t1", charged=1_800_000_000_000_001, cost=0.1)
    reply = queue.raw("read_task", "t1")
    record = dict(zip(reply[2::2], reply[3::2], strict=True))
    assert (record[b"charged"], float(record[b"cost"])) == (b"1800000000000001", 0.1)


@pytest.mark.parametrize(
    ("script", "head", "group"),
    [
        ("beat", ["1000"], ["t", "1:a"]),
        ("finish", ["1000"], ["t", "1:a", "5", "", ""]),
        ("fail", ["1000", "1000"], ["t", "1:a", "5", "retry", "0", ""]),
        ("release", ["1000"], ["t", "1:a", "5"]),
        ("progress", [], ["t", "1:a", "{}"]),
    ],
)
def test_a_call_about_more_tasks_than_a_worker_runs_is_refused(
    queue: "Bench", script: str, head: list[str], group: list[str]
) -> None:
    assert queue.raw(script, *head, *group * 10_000)[0] == Status.OK
    assert queue.raw(script, *head, *group * 10_001)[0] == Status.BAD_ARGS
