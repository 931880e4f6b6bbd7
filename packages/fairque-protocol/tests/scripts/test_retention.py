"""Records of ended tasks expire in bulk, by an index, without a command per task."""

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from fairque.protocol.calls.endings import Finished
from fairque.protocol.calls.progress import Reported
from fairque.protocol.model.progress import Progress
from fairque.protocol.runners.connection import command
from fairque.testing.internal import calls

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench

    from fairque.protocol.wire.call import Call

RESULT_TTL_MS = 60_000
DEAD_TTL_MS = 120_000
LEFT = ("t:", "m:", "r:", "p:", "x:", "d:", "w:", "kept", "held", "dead", "pending")


def cost(queue: "Bench", call: "Call[Any]") -> Counter[str]:
    """How often a call sends each command; no other client can come in between."""
    queue.run(calls.read_stats(queue.keys))  # the server knows the script
    with queue.client.pipeline(transaction=True) as pipeline:
        pipeline.execute_command("INFO", "commandstats")
        pipeline.execute_command(*command(call))
        pipeline.execute_command("INFO", "commandstats")
        before, _, after = pipeline.execute()
    made = {name: after[name]["calls"] - before.get(name, {"calls": 0})["calls"] for name in after}
    return Counter({name.removeprefix("cmdstat_"): number for name, number in made.items() if number})


def finishing(queue: "Bench", number: int) -> "Call[Any]":
    """The call that ends so many running tasks with a result."""
    queue.fill("ann", number)
    tasks = [Finished(held.task_id, held.token, 5_000, b"1") for held in queue.pop(number)]
    return calls.finish(queue.keys, tasks, result_ttl_ms=RESULT_TTL_MS)


def leave(queue: "Bench", number: int, ending: str) -> None:
    """End so many tasks, each with a result or an error, and with progress."""
    queue.fill("ann", number)
    held = queue.pop(number)
    queue.run(calls.progress(queue.keys, [Reported(one.task_id, one.token, Progress(1)) for one in held]))
    if ending == "finished":
        queue.finish(*held, result=b"1")
    else:
        queue.fail(*held, verdict="dead")


def test_an_ending_costs_the_same_commands_for_one_task_and_for_a_hundred(queue: "Bench") -> None:
    queue.run(finishing(queue, 1))
    one, hundred = cost(queue, finishing(queue, 1)), cost(queue, finishing(queue, 100))
    assert one == hundred
    assert sum(one.values()) < 30


@pytest.mark.parametrize("ending", ["finished", "dead"])
def test_expiring_records_costs_the_same_commands_for_one_and_for_two_hundred(queue: "Bench", ending: str) -> None:
    found = []
    for number in (1, 100):
        for _ in range(2):
            leave(queue, number, ending)
        queue.advance(DEAD_TTL_MS)
        found.append(cost(queue, finishing(queue, 100)))
    assert found[0] == found[1]
    assert queue.stats().kept == 200  # of 300 and 100 new ones


def test_an_ending_expires_two_records_per_task_so_that_they_never_pile_up(queue: "Bench") -> None:
    leave(queue, 50, "finished")
    queue.advance(RESULT_TTL_MS)
    queue.run(finishing(queue, 20))
    assert queue.stats().kept == 30
    queue.run(finishing(queue, 20))
    assert queue.stats().kept == 40


@pytest.mark.parametrize("ending", ["finished", "dead"])
def test_a_sweep_expires_a_hundred_records_with_as_many_commands_as_one(queue: "Bench", ending: str) -> None:
    found = []
    for number in (1, 100):
        leave(queue, number, ending)
        queue.advance(DEAD_TTL_MS)
        sweep = calls.sweep(queue.keys, guard_ms=0, max_lost_workers=5, result_ttl_ms=1, dead_ttl_ms=1)
        queue.sweep()
        leave(queue, number, ending)
        queue.advance(DEAD_TTL_MS)
        found.append(cost(queue, sweep))
        assert queue.snapshot(*LEFT) == {}
    assert found[0] == found[1]


def test_each_kind_expires_at_its_own_time(queue: "Bench") -> None:
    leave(queue, 3, "finished")
    leave(queue, 2, "dead")
    queue.advance(RESULT_TTL_MS)
    queue.sweep()
    assert (queue.stats().kept, queue.stats().dead) == (2, 2)
    assert len(queue.snapshot("r:")) == len(queue.snapshot("p:")) == len(queue.snapshot("m:")) == 2
    queue.advance(DEAD_TTL_MS - RESULT_TTL_MS)
    queue.sweep()
    assert queue.snapshot(*LEFT) == {}


def test_the_progress_of_a_task_with_dependents_expires_with_it(queue: "Bench") -> None:
    queue.push(queue.task(task_id="p"), queue.task(task_id="c", depends_on=["p"]))
    (held,) = queue.pop()
    queue.run(calls.progress(queue.keys, [Reported("p", held.token, Progress(1))]))
    queue.finish(held)
    queue.finish(*queue.pop())
    for _ in range(4):
        queue.advance(RESULT_TTL_MS)
        queue.sweep()
    assert queue.snapshot(*LEFT) == {}
