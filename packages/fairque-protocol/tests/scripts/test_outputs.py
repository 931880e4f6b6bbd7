"""The outputs of a task for its dependents: its result and XCom, kept until the last dependent has ended."""

from typing import TYPE_CHECKING

import pytest

from fairque.protocol.errors import ProtocolError, QueueFull, UnknownDependency
from fairque.protocol.model.dependencies import After
from fairque.protocol.model.outputs import StoredOutputs
from fairque.protocol.model.states import Priority, TaskState
from fairque.protocol.wire.status import Status
from fairque.testing.internal import calls, packed

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench

S = TaskState
RESULT_TTL_MS = 60_000  # that of the queue fixture
GONE = StoredOutputs(None, b"", b"")


def left(queue: "Bench", *ids: str, reader: str = "c") -> list[StoredOutputs]:
    return queue.run(calls.read_outputs(queue.keys, reader, ids))


def forget(queue: "Bench") -> None:
    """Let the scripts forget what they may, with the looks at dependents that this takes."""
    for _ in range(3):
        queue.sweep()


def pipeline(queue: "Bench") -> None:
    """Push c, which depends on p, and finish p."""
    queue.push(queue.task(task_id="p"), queue.task(task_id="c", depends_on=["p"]))
    (parent,) = queue.pop()
    queue.finish(parent, result=b"1", xcom=b'{"rows":2}')


class TestReading:
    def test_the_outputs_of_a_finished_task_are_its_result_and_values(self, queue: "Bench") -> None:
        pipeline(queue)
        assert left(queue, "p", "c") == [
            StoredOutputs(S.FINISHED, b"1", b'{"rows":2}'),
            StoredOutputs(S.QUEUED, b"", b""),
        ]

    def test_an_unknown_task_has_no_outputs(self, queue: "Bench") -> None:
        assert left(queue, "nobody") == [GONE]

    def test_the_output_of_a_failed_task_is_its_error(self, queue: "Bench") -> None:
        queue.fail(queue.started(task_id="p"), verdict="dead", error=b'{"e":1}')
        assert left(queue, "p") == [StoredOutputs(S.FAILED, b'{"e":1}', b"")]

    def test_the_values_of_a_refused_finish_are_not_stored(self, queue: "Bench") -> None:
        late = queue.started(task_id="p")
        queue.advance(30_000)
        queue.sweep()
        queue.finish(late, xcom=b'{"rows":1}')
        (again,) = queue.pop()
        queue.finish(again, xcom=b'{"rows":2}')
        queue.finish(late, xcom=b'{"rows":1}')
        assert left(queue, "p") == [StoredOutputs(S.FINISHED, b"", b'{"rows":2}')]

    def test_an_answer_ends_before_it_has_more_than_4_mib(self, queue: "Bench") -> None:
        blob = b'"' + b"x" * 1_048_574 + b'"'
        for _ in range(3):
            queue.finish(queue.started(), result=blob, xcom=blob)
        assert [len(one.result + one.xcom) for one in left(queue, "t1", "t2", "t3")] == [2 * len(blob)] * 2
        assert len(left(queue, "t3")) == 1

    def test_an_answer_has_at_least_one_task(self, queue: "Bench") -> None:
        queue.finish(queue.started(task_id="p"), result=b"x" * 5_000_000)
        assert [len(one.result) for one in left(queue, "p", "q")] == [5_000_000]

    @pytest.mark.parametrize("number", [0, 101])
    def test_a_call_reads_1_to_100_tasks(self, queue: "Bench", number: int) -> None:
        with pytest.raises(ProtocolError, match="1 to 100 tasks"):
            left(queue, *(f"t{n}" for n in range(number)))


class TestKeeping:
    def test_values_outlive_their_retention_while_a_dependent_has_not_ended(self, queue: "Bench") -> None:
        pipeline(queue)
        for _ in range(5):
            queue.advance(RESULT_TTL_MS)
            forget(queue)
        assert left(queue, "p") == [StoredOutputs(S.FINISHED, b"1", b'{"rows":2}')]

    def test_meanwhile_they_are_checked_once_per_retention(self, queue: "Bench") -> None:
        pipeline(queue)
        queue.advance(RESULT_TTL_MS)
        queue.sweep()
        assert queue.snapshot("held")["held"] == [("p", queue.now_ms + RESULT_TTL_MS)]

    def test_their_retention_starts_over_with_the_ending_of_the_last_dependent(self, queue: "Bench") -> None:
        pipeline(queue)
        queue.advance(10 * RESULT_TTL_MS)
        (child,) = queue.pop()
        queue.finish(child)
        forget(queue)
        queue.advance(RESULT_TTL_MS - 1)
        forget(queue)
        assert left(queue, "p")[0].state is S.FINISHED
        queue.advance(1)
        forget(queue)
        assert left(queue, "p", "c") == [GONE, GONE]
        assert not queue.snapshot("t:", "m:", "r:", "x:", "d:", "kept", "held", "dead")

    def test_without_dependents_values_expire_with_the_record(self, queue: "Bench") -> None:
        queue.finish(queue.started(task_id="p"), xcom=b'{"rows":2}')
        queue.advance(RESULT_TTL_MS - 1)
        forget(queue)
        assert left(queue, "p")[0].xcom
        queue.advance(1)
        forget(queue)
        assert left(queue, "p") == [GONE]
        assert not queue.snapshot("t:", "m:", "r:", "x:", "kept", "held")

    def test_a_dependent_pushed_after_the_ending_counts_too(self, queue: "Bench") -> None:
        queue.finish(queue.started(task_id="p"), result=b"1")
        queue.push(queue.task(task_id="c", depends_on=["p"]))
        assert set(queue.snapshot("kept", "held")) == {"held"}
        queue.advance(2 * RESULT_TTL_MS)
        forget(queue)
        assert left(queue, "p") == [StoredOutputs(S.FINISHED, b"1", b"")]

    def test_a_dead_letter_with_dependents_expires_like_one_without(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="p"), queue.task(task_id="c", depends_on=["p"]))
        queue.fail(*queue.pop(), verdict="dead")
        queue.advance(3 * RESULT_TTL_MS)
        forget(queue)
        assert not queue.snapshot("t:", "m:", "r:", "d:", "kept", "held", "dead")

    def test_the_dependents_of_a_parent_are_checked_a_limited_number_at_a_time(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="p"), *(queue.task(task_id=f"c{n}", depends_on=["p"]) for n in range(135)))
        queue.finish(*queue.pop())
        for _ in range(2):
            queue.finish(*queue.pop(100))
        queue.advance(RESULT_TTL_MS)
        queue.sweep()
        assert len(queue.snapshot("d:")["d:p"]) == 25
        for _ in range(3):
            queue.sweep()
        assert not queue.snapshot("t:p", "d:", "held")

    def test_a_task_that_runs_after_a_failure_in_the_same_push_is_its_dependent(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="p"))
        queue.fail(*queue.pop(), verdict="dead")
        after = After("c1", on_failure="run")
        queue.push(queue.task(task_id="c1", depends_on=["p"]), queue.task(task_id="c2", depends_on=[after]))
        assert (queue.state("c1"), queue.state("c2")) == (S.CANCELED, S.QUEUED)
        assert set(map(str, dict(queue.snapshot("held")["held"]))) == {"c1"}


class TestDeduplicatedParents:
    """A parent that was deduplicated, since another task holds its key."""

    def push(self, queue: "Bench") -> None:
        queue.push(queue.task("bob", task_id="holder", dedup_key="k", priority=Priority.HIGH))
        queue.push(
            queue.task("ann", task_id="p", dedup_key="k", priority=Priority.LOW),
            queue.task("ann", task_id="q"),
            queue.task(None, task_id="c", depends_on=["p", "q"], priority=None),
        )

    def test_its_child_gets_the_outputs_of_the_other_task(self, queue: "Bench") -> None:
        self.push(queue)
        queue.finish(*queue.pop(2), result=b"1", xcom=b"{}")
        assert left(queue, "q", "p", reader="c") == [StoredOutputs(S.FINISHED, b"1", b"{}")] * 2
        assert left(queue, "p", reader="q") == [GONE]

    def test_these_outputs_are_kept_for_the_child(self, queue: "Bench") -> None:
        self.push(queue)
        queue.finish(*queue.pop(2), result=b"1")
        queue.advance(3 * RESULT_TTL_MS)
        forget(queue)
        assert left(queue, "p") == [StoredOutputs(S.FINISHED, b"1", b"")]

    def test_its_child_has_the_user_and_the_priority_that_were_pushed(self, queue: "Bench") -> None:
        self.push(queue)
        assert (queue.info("c").user_id, queue.info("c").priority) == ("ann", Priority.LOW)

    def test_without_user_and_priority_the_child_inherits_those_of_the_other_task(self, queue: "Bench") -> None:
        queue.push(queue.task("bob", task_id="holder", dedup_key="k", priority=Priority.HIGH), queue.task(task_id="r"))
        queue.push(
            queue.task(None, task_id="p", dedup_key="k", depends_on=["r"], priority=None),
            queue.task(None, task_id="c", depends_on=["p"], priority=None),
        )
        assert (queue.info("c").user_id, queue.info("c").priority) == ("bob", Priority.HIGH)

    def test_if_the_other_task_has_expired_the_parent_is_unknown_by_its_own_id(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="holder", dedup_key="k", dedup_ttl_ms=3_600_000))
        queue.finish(*queue.pop())
        queue.advance(RESULT_TTL_MS)
        forget(queue)
        with pytest.raises(UnknownDependency) as caught:
            queue.push(queue.task(task_id="p", dedup_key="k"), queue.task(task_id="c", depends_on=["p"]))
        assert (caught.value.task_id, caught.value.depends_on) == ("c", "p")


class TestLostRecords:
    @pytest.mark.parametrize("text", [None, "no record"])
    def test_a_damaged_record_of_an_ended_parent_does_not_block_other_endings(
        self, queue: "Bench", text: str | None
    ) -> None:
        pipeline(queue)
        key = f"{queue.keys.prefix}t:p"
        queue.client.delete(key) if text is None else queue.client.set(key, text)
        queue.advance(RESULT_TTL_MS)
        assert queue.finish(queue.started(task_id="other")) == [(Status.OK, S.FINISHED)]
        assert "held" not in queue.snapshot("held")

    def test_a_damaged_record_of_a_waiting_task_leaves_no_dependent_behind(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="a"), *(queue.task(task_id=t, depends_on=[p]) for p, t in ("ab", "bc")))
        queue.client.hset(f"{queue.keys.prefix}a", "b", "no record")
        queue.finish(*queue.pop())
        queue.sweep()
        assert (queue.state("b"), queue.state("c")) == (S.FAILED, S.CANCELED)
        assert not queue.snapshot("deferred", "pending")

    def test_a_damaged_record_of_a_task_with_a_deduplication_key_frees_the_key(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="a", dedup_key="k"))
        queue.client.delete(f"{queue.keys.prefix}t:a", f"{queue.keys.prefix}a")
        assert queue.push(queue.task(task_id="b", dedup_key="k")) == [(Status.OK, S.QUEUED, "b")]


class TestHeritage:
    def test_a_task_without_a_user_gets_that_of_its_first_parent(self, queue: "Bench") -> None:
        queue.push(queue.task("ann", task_id="p", priority=Priority.CRITICAL), queue.task("bob", task_id="q"))
        queue.push(queue.task(None, task_id="c", depends_on=["p", "q"], priority=None))
        queue.finish(*queue.pop(2))
        assert set(queue.snapshot("n:", "c:")) == {"c:ann"}
        (child,) = queue.pop()
        assert (child.user_id, child.priority) == ("ann", Priority.CRITICAL)

    def test_the_user_and_priority_of_a_task_itself_take_precedence(self, queue: "Bench") -> None:
        queue.push(queue.task("ann", task_id="p", priority=Priority.HIGH))
        queue.push(queue.task("bob", task_id="c", depends_on=["p"], priority=Priority.NORMAL))
        queue.finish(*queue.pop())
        (child,) = queue.pop()
        assert (child.user_id, child.priority) == ("bob", Priority.NORMAL)
        assert (queue.info("c").user_id, queue.info("c").priority) == ("bob", Priority.NORMAL)

    def test_the_user_is_inherited_through_a_pipeline_of_one_push(self, queue: "Bench") -> None:
        tasks = [queue.task(None, task_id=f"c{n}", depends_on=[f"c{n - 1}"], priority=None) for n in range(1, 4)]
        queue.push(queue.task("ann", task_id="c0", priority=Priority.LOW), *tasks)
        assert [(queue.info(f"c{n}").user_id, queue.info(f"c{n}").priority) for n in range(4)] == [("ann", 2)] * 4

    def test_the_backlog_of_the_inherited_user_counts(self, queue: "Bench") -> None:
        queue.limit("ann", backlog=1)
        queue.push(queue.task("ann", task_id="p"))
        before = queue.snapshot()
        with pytest.raises(QueueFull):
            queue.push(queue.task(None, task_id="c", depends_on=["p"]))
        assert queue.snapshot() == before

    def test_repeating_the_push_is_the_same_task(self, queue: "Bench") -> None:
        queue.push(queue.task("ann", task_id="p"))
        child = queue.task(None, task_id="c", depends_on=["p"], priority=None)
        queue.push(child)
        assert queue.push(child) == [(Status.ALREADY, S.DEFERRED, "c")]

    def test_without_parents_nothing_is_inherited(self, queue: "Bench") -> None:
        for priority, user in ((3, ""), (0, "ann")):
            assert queue.raw("push", 1_000, 1_000, "c", packed(user, priority=priority))[0] == Status.BAD_ARGS
            assert queue.raw("push", 1_000, 1_000, "c\nrp", packed(user, priority=priority))[0] == Status.UNKNOWN_PARENT
