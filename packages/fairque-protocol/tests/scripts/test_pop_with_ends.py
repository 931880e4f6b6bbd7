"""A pop that also ends attempts: it does what finish and then a pop would do."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fairque.protocol.calls.endings import Ended, Finished
from fairque.protocol.calls.pop import Granted, Popped
from fairque.protocol.errors import ProtocolError
from fairque.protocol.model.states import Priority, TaskState
from fairque.protocol.wire.status import Status
from fairque.testing.internal import calls
from fairque.testing.internal.bench import RESULT_TTL_MS

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench

DONE = Ended(Status.OK, TaskState.FINISHED)
AGAIN = Ended(Status.ALREADY, TaskState.FINISHED)


def ended(held: Sequence[Granted], result: bytes = b"1", xcom: bytes = b"") -> list[Finished]:
    return [Finished(one.task_id, one.token, 5_000, result, xcom) for one in held]


def pop(queue: "Bench", number: int, finished: Sequence[Finished], **changes: Any) -> Popped:
    return queue.run(queue.pop_call(number, finished=finished, **changes))


@pytest.mark.parametrize("users", [["ann"], ["ann", "bob", "cid"]])
def test_attempts_end_before_tasks_are_taken(queue: "Bench", users: list[str]) -> None:
    for user in users:
        queue.fill(user, 2)
    held = queue.pop(len(users))
    popped = pop(queue, 10, ended(held))
    assert popped.ended == [DONE] * len(users)
    assert len(popped.tasks) == len(users)
    assert {queue.state(one.task_id) for one in held} == {TaskState.FINISHED}
    assert not popped.more
    assert (queue.stats().finished, queue.stats().running) == (len(users), len(users))


def test_without_tasks_the_attempts_end(queue: "Bench") -> None:
    popped = pop(queue, 1, ended([queue.started()]))
    assert (popped.ended, popped.tasks, popped.more) == ([DONE], (), False)
    assert queue.outcome("t1") == (TaskState.FINISHED, b"1")


def test_repeated_it_returns_the_same_tasks_and_ends_nothing_twice(queue: "Bench") -> None:
    queue.fill("ann", 4)
    held = queue.pop(2)
    first = pop(queue, 2, ended(held), claim="c1a1")
    before = queue.snapshot()
    second = pop(queue, 2, ended(held), claim="c1a1")
    assert second.tasks == first.tasks
    assert (first.ended, second.ended) == ([DONE] * 2, [AGAIN] * 2)
    assert queue.snapshot() == before


def test_a_repeated_one_ends_what_has_ended_since(queue: "Bench") -> None:
    queue.fill("ann", 4)
    one, other = queue.pop(2)
    first = pop(queue, 2, ended([one]), claim="c1a1")
    second = pop(queue, 2, ended([one, other]), claim="c1a1")
    assert second.tasks == first.tasks
    assert second.ended == [AGAIN, DONE]
    assert queue.state(other.task_id) is TaskState.FINISHED


def test_an_attempt_that_is_not_held_is_refused_and_the_others_end(queue: "Bench") -> None:
    queue.fill("ann", 3)
    one, other = queue.pop(2)
    queue.release(one)
    popped = pop(queue, 5, [*ended([one, other]), Finished("no", "1:ab", 1, b"")])
    assert popped.ended == [Ended(Status.ALREADY, TaskState.QUEUED), DONE, Ended(Status.NOT_FOUND, None)]
    assert [task.task_id for task in popped.tasks] == [one.task_id, "t3"]


def test_a_malformed_attempt_refuses_the_call_and_nothing_is_taken(queue: "Bench") -> None:
    queue.fill("ann", 3)
    (one, other) = queue.pop(2)
    before = queue.snapshot()
    with pytest.raises(ProtocolError, match="the time of task"):
        pop(queue, 1, [*ended([one]), Finished(other.task_id, other.token, -1, b"")])
    assert queue.raw("pop", *queue.pop_call(1).args, "t1", "1:a")[0] == Status.BAD_ARGS
    assert queue.snapshot() == before


def test_a_dependent_of_a_task_that_ends_is_taken_in_the_same_call(queue: "Bench") -> None:
    """So a chain of four tasks takes five calls."""
    ids = ["a", "b", "c", "d"]
    parents = [[], *[[one] for one in ids]]
    queue.push(*[queue.task(task_id=one, depends_on=of) for one, of in zip(ids, parents, strict=False)])
    held: tuple[Granted, ...] = ()
    taken = []
    for _ in range(5):
        popped = pop(queue, 3, ended(held, xcom=b'{"k":1}'))
        held = popped.tasks
        taken.append([task.task_id for task in held])
    assert taken == [["a"], ["b"], ["c"], ["d"], []]
    assert not popped.more


def test_it_does_what_finish_and_a_pop_do(new_queue: Callable[[], "Bench"]) -> None:
    kinds = st.sampled_from([{}] * 6 + [{"priority": Priority.CRITICAL}, {"cost": 0.5}, {"dedup_key": "k"}])
    pushes = st.lists(st.tuples(st.sampled_from(["ann", "bob", "cid"]), kinds), max_size=8)
    rounds = st.lists(
        st.tuples(pushes, st.integers(1, 6), st.integers(0, 6), st.sampled_from([0, 3, 61_000])), max_size=8
    )

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    # A lease ends at the moment in which another attempt of the user is ended.
    @example([([("ann", {"priority": Priority.CRITICAL}), ("bob", {}), ("bob", {})], 3, 0, 0), ([], 1, 2, 61_000)])
    @given(rounds)
    def compare(steps: list[tuple[list[tuple[str, dict[str, Any]]], int, int, int]]) -> None:
        joined, apart = new_queue(), new_queue()
        held: tuple[list[Granted], list[Granted]] = ([], [])
        for wanted, number, ends, milliseconds in steps:
            answers = []
            for queue, holds in zip((joined, apart), held, strict=True):
                for user, fields in wanted:
                    queue.push(queue.task(user, **fields))
                queue.advance(milliseconds)
                over = ended(holds[:ends])
                del holds[:ends]
                if over and queue is apart:
                    queue.run(calls.finish(queue.keys, over, result_ttl_ms=RESULT_TTL_MS))
                popped = pop(queue, number, over if queue is joined else [])
                holds.extend(popped.tasks)
                # Debts that are paid are removed with any later call.
                queue.sweep()
                answers.append((popped.tasks, popped.more, popped.wait_ms, popped.reclaimed, queue.snapshot()))
            assert answers[0] == answers[1]
        joined.drop()
        apart.drop()

    compare()


def test_a_batch_takes_what_single_pops_would(new_queue: Callable[[], "Bench"]) -> None:
    pushes = st.lists(st.sampled_from(["ann", "bob", "cid", "dot"]), min_size=1, max_size=40)
    times = st.lists(st.integers(1, 90), max_size=10)

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(pushes, times, st.integers(1, 40))
    def compare(users: list[str], ran: list[int], number: int) -> None:
        batch, single = new_queue(), new_queue()
        for queue in (batch, single):
            queue.push(*[queue.task(user) for user in users])
            for milliseconds, one in zip(ran, queue.pop(len(ran)) if ran else (), strict=False):
                queue.finish(one, ran_us=milliseconds * 1_000)
        assert batch.pop_ids(number) == [one for _ in range(number) for one in single.pop_ids()]
        batch.drop()
        single.drop()

    compare()
