"""Large answers: a pop takes what fits into 4 MiB, and does not change the rest."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from fairque.protocol.calls.pop import Granted
from fairque.protocol.model.states import Priority, TaskState
from fairque.testing import PlainServer
from fairque.testing.internal import calls, only_thorough, write_message

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench

    from fairque.protocol.model.task import Task

MEBIBYTE = 1_048_576
SIZES = [1_000, 29_000, 31_000, 60_000, 262_144, *only_thorough(1_000_000, MEBIBYTE - 300)]
MOST_BYTES = 4 * MEBIBYTE


def push(queue: "Bench", user: str, number: int, bytes_each: int, **fields: Any) -> list[str]:
    """Push tasks of a size, a few in a call."""
    ids: list[str] = []
    at_once = max(1, 3 * MEBIBYTE // (bytes_each + 500))
    while len(ids) < number:
        tasks: list[Task[Any]] = [
            queue.task(user, args=["x" * bytes_each], **fields) for _ in range(min(at_once, number - len(ids)))
        ]
        ids += [task_id for _, _, task_id in queue.push(*tasks, message_limit=MEBIBYTE)]
    return ids


def size(held: tuple[Granted, ...]) -> int:
    return sum(len(one.message) for one in held)


@pytest.mark.parametrize("bytes_each", SIZES)
def test_a_pop_has_at_most_four_mebibytes_and_at_least_one_task(queue: "Bench", bytes_each: int) -> None:
    ids = push(queue, "ann", 100, bytes_each)
    popped: list[str] = []
    sizes = []
    while held := queue.pop(100):
        popped += [one.task_id for one in held]
        sizes.append(size(held))
        queue.finish(*held)
    assert popped == ids
    assert max(sizes) + 100_000 <= MOST_BYTES
    # And no more calls than are needed: all but the last are well filled.
    assert min(sizes[:-1], default=MOST_BYTES) > MOST_BYTES / 2 or bytes_each < 31_000


def test_small_messages_among_large_ones_keep_the_answer_within_its_bound(queue: "Bench") -> None:
    for _ in range(20):
        push(queue, "ann", 1, 900_000)
        push(queue, "ann", 10, 29_000)
    taken = 0
    while held := queue.pop(100):
        assert size(held) + 100_000 <= MOST_BYTES
        taken += len(held)
    assert taken == 220


def test_tasks_that_do_not_fit_stay_queued_in_order_and_the_worker_may_pop_again_at_once(queue: "Bench") -> None:
    ids = push(queue, "ann", 8, 900_000)
    before = queue.snapshot("n:")["n:ann"]
    popped = queue.run(queue.pop_call(100))
    taken = [one.task_id for one in popped.tasks]
    assert taken == ids[: len(taken)]
    assert 0 < len(taken) < 8
    assert popped.more
    assert queue.woken()
    assert queue.snapshot("n:")["n:ann"] == before[len(taken) :]
    assert {queue.info(one).attempts for one in ids[len(taken) :]} == {0}
    assert queue.stats().queued == 8 - len(taken)


def test_tasks_that_do_not_fit_are_not_charged(queue: "Bench") -> None:
    for user in ("ann", "bob", "eve"):
        push(queue, user, 8, 900_000, cost=1.0)
    served: dict[str, int] = dict.fromkeys(("ann", "bob", "eve"), 0)
    for _ in range(6):
        for one in queue.pop(100):
            served[queue.info(one.task_id).user_id] += 1
    assert sum(served.values()) == 24
    running = {user: queue.standing(user).running for user in served}
    assert running == served


def test_users_with_small_messages_are_served_among_those_with_large_ones(queue: "Bench") -> None:
    push(queue, "big", 40, 900_000, cost=1.0)
    small = queue.fill("small", 4, cost=1.0)
    taken: list[str] = []
    for _ in range(3):
        taken += queue.pop_ids(100)
    assert {*small} <= {*taken}


@pytest.mark.parametrize("bytes_each", [50_000, *only_thorough(1_000_000)])
def test_a_repeated_pop_returns_the_same_tasks(queue: "Bench", bytes_each: int) -> None:
    push(queue, "ann", 100, bytes_each)
    call = queue.pop_call(100)
    first = queue.run(call)
    before = queue.snapshot()
    again = queue.run(call)
    assert again.tasks == first.tasks
    assert queue.snapshot() == before
    assert size(again.tasks) + 100_000 <= MOST_BYTES


@pytest.mark.parametrize("way", ["released", "lost", "failed", "delayed", "redriven", "critical", "heir"])
def test_the_bound_holds_however_a_task_came_into_its_queue(queue: "Bench", way: str) -> None:
    fields: dict[str, Any] = {}
    if way == "delayed":
        fields = {"delay_ms": 100}
    elif way == "critical":
        fields = {"priority": Priority.CRITICAL}
    elif way == "heir":
        queue.push(queue.task("ann", task_id="parent"))
        fields = {"depends_on": ["parent"]}
    ids = push(queue, "ann", 10, 900_000, **fields)
    if way == "heir":
        queue.finish(*queue.pop(1))
    queue.advance(200)
    while way in ("released", "lost", "failed", "redriven") and (held := queue.pop(100)):
        if way == "lost":
            continue
        if way == "released":
            queue.release(*held)
            break
        queue.fail(*held, verdict="dead" if way == "redriven" else "retry", pause_ms=1_000)
    queue.advance(31_000)
    queue.sweep()
    if way == "redriven":
        queue.run(calls.redrive(queue.keys, ids, result_ttl_ms=1_000))
    taken: list[str] = []
    while held := queue.pop(100):
        assert size(held) + 100_000 <= MOST_BYTES
        taken += [one.task_id for one in held]
    assert sorted(taken) == sorted(ids)


def test_a_message_longer_than_the_limit_of_pushes_is_not_sent(queue: "Bench") -> None:
    ids = queue.fill("ann", 3)
    for one in ids[:2]:
        write_message(queue.client, queue.keys.prefix, one, b"x" * 8 * MEBIBYTE)
    held = queue.pop(100)
    assert [(one.task_id, bool(one.message)) for one in held] == [*zip(ids, (False, False, True), strict=True)]


@pytest.mark.thorough
def test_an_output_buffer_limit_does_not_turn_tasks_into_dead_letters(queue_on: Callable[[str], "Bench"]) -> None:
    """The server drops a connection whose answers take more than 5 MiB."""
    with PlainServer("--client-output-buffer-limit", "normal 5mb 5mb 1") as server:
        queue = queue_on(server.url)
        ids = push(queue, "ann", 100, 1_000_000)
        taken: list[str] = []
        while held := queue.pop(100):
            taken += [one.task_id for one in held]
            queue.advance(1_000)
            queue.finish(*held)
        assert taken == ids
        assert {queue.state(one) for one in ids} == {TaskState.FINISHED}
        assert queue.stats().dead == 0
