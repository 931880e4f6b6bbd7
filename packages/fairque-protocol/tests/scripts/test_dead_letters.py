"""read_dead, redrive and delete: dead letters are read by pages, made runnable again, and deleted."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from fairque.protocol.calls.dead import Redriven
from fairque.protocol.calls.pop import Granted
from fairque.protocol.durations import from_epoch_ms
from fairque.protocol.errors import ErrorInfo, InvalidArgument
from fairque.protocol.model.dead_letters import DeadLetter
from fairque.protocol.model.dependencies import After
from fairque.protocol.model.page import Page
from fairque.protocol.model.progress import Progress
from fairque.protocol.model.states import Priority, TaskState
from fairque.protocol.reasons import DeadReason
from fairque.protocol.wire.status import Status
from fairque.testing.internal import amend_record, calls, write_message

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench

ERROR = {"type": "ValueError", "error": "no", "traceback": "…", "reason": "retries", "worker": "w1", "attempts": 1}
RESULT_TTL_MS = 60_000
DEAD_TTL_MS = 120_000


def die(queue: "Bench", *held: Granted, **error: Any) -> None:
    queue.fail(*held, verdict="dead", error=json.dumps({**ERROR, **error}).encode())


def dead(queue: "Bench", number: int = 1, user: str = "ann", **fields: Any) -> list[str]:
    """Push tasks that end as dead letters."""
    ids = queue.fill(user, number, **fields)
    die(queue, *queue.pop(number))
    return ids


def redrive(queue: "Bench", *ids: str) -> list[Redriven]:
    return queue.run(calls.redrive(queue.keys, ids, result_ttl_ms=RESULT_TTL_MS))


def codes(queue: "Bench", *ids: str) -> list[Status]:
    return [one.code for one in redrive(queue, *ids)]


def delete(queue: "Bench", *ids: str) -> list[Status]:
    return queue.run(calls.delete(queue.keys, ids, result_ttl_ms=RESULT_TTL_MS))


def page(queue: "Bench", after: str | None = None, most: int = 100) -> Page[DeadLetter]:
    return queue.run(calls.read_dead(queue.keys, after=after, most=most))


def pages(queue: "Bench", most: int) -> list[list[str]]:
    found, after = [], None
    while True:
        one = page(queue, after, most)
        found.append([letter.task_id for letter in one])
        after = one.next
        if after is None:
            return found


class TestReading:
    def test_a_dead_letter_has_what_an_operator_needs(self, queue: "Bench") -> None:
        queue.push(queue.task(args=[1], retries=1))
        queue.fail(*queue.pop(), pause_ms=0)
        queue.advance(1_500)
        die(queue, *queue.pop(worker="w7"))
        (letter,) = page(queue)
        assert (letter.task_id, letter.user_id, letter.func) == ("t1", "ann", "f")
        assert (letter.error, letter.reason) == (ErrorInfo("ValueError", "no", "…"), DeadReason.RETRIES)
        assert (letter.worker, letter.attempts, letter.failures, letter.lost_workers) == ("w7", 2, 1, 0)
        assert letter.pushed_at == from_epoch_ms(queue.now_ms - 1_500)
        assert letter.ended_at == from_epoch_ms(queue.now_ms)
        assert letter.task is not None
        assert letter.task.args == (1,)

    def test_a_task_that_lost_its_workers_has_that_reason(self, queue: "Bench") -> None:
        queue.started()
        queue.advance(30_000)
        queue.sweep(max_lost_workers=1)
        (letter,) = page(queue)
        assert (letter.reason, letter.lost_workers, letter.error.type) == (DeadReason.LOST_WORKERS, 1, "WorkerLost")

    def test_pages_list_all_in_the_order_of_their_endings(self, queue: "Bench") -> None:
        ids = []
        for _ in range(3):
            ids += dead(queue, 7)
            queue.advance(1)
        first = sorted(ids[:7]) + sorted(ids[7:14]) + sorted(ids[14:])
        for most in (1, 2, 5, 7, 21, 1_000):
            found = pages(queue, most)
            assert [one for part in found for one in part] == first
            assert {len(part) for part in found[:-1]} <= {most}

    def test_a_page_continues_after_the_last_one_even_if_that_letter_is_gone(self, queue: "Bench") -> None:
        ids = sorted(dead(queue, 9))
        first = page(queue, most=4)
        assert codes(queue, *ids[2:6]) == [Status.OK] * 4
        assert [letter.task_id for letter in page(queue, first.next)] == ids[6:]

    def test_a_page_ends_before_it_is_too_large(self, queue: "Bench") -> None:
        ids = queue.fill("ann", 6, payload="x" * 1_000)
        die(queue, *queue.pop(6), traceback="x" * 1_000_000)
        found = pages(queue, 100)
        assert [len(part) for part in found] == [4, 2]
        assert [one for part in found for one in part] == ids

    def test_unreadable_dead_letters_are_listed(self, queue: "Bench") -> None:
        first, second, third = sorted(dead(queue, 3))
        prefix = queue.keys.prefix
        write_message(queue.client, prefix, first, b"{")
        amend_record(queue.client, f"{prefix}t:{first}", large=True)
        queue.client.set(f"{prefix}r:{first}", b"\xff")
        amend_record(queue.client, f"{prefix}t:{second}", result='"text"')
        amend_record(queue.client, f"{prefix}t:{third}", result="")
        letters = page(queue)
        assert (letters[0].task, letters[0].func, letters[0].error.message) == (None, None, "�")
        assert [letter.error.message for letter in letters[1:]] == ["text", ""]

    def test_a_queue_without_dead_letters_has_an_empty_page(self, queue: "Bench") -> None:
        assert (len(page(queue)), page(queue).next) == (0, None)

    def test_the_cost_of_a_page_does_not_depend_on_how_many_there_are(self, queue: "Bench") -> None:
        """All ended at the same time, with ids in any order: only a binary search finds the place."""
        members = {f"n{number:06d}": 5 for number in range(20_000)}
        for first in range(0, 20_000, 5_000):
            queue.client.zadd(f"{queue.keys.prefix}dead", dict([*members.items()][first : first + 5_000]))
        before = queue.client.info("commandstats")
        assert [letter.task_id for letter in page(queue, "5:n012345", 2)] == ["n012346", "n012347"]
        after = queue.client.info("commandstats")
        asked = after["cmdstat_zrange"]["calls"] - before.get("cmdstat_zrange", {"calls": 0})["calls"]
        assert asked <= 17

    @pytest.mark.parametrize("after", ["", "5", "x:t1", ":t1", "5:" + "x" * 129])
    def test_an_invalid_cursor_is_refused(self, queue: "Bench", after: str) -> None:
        with pytest.raises(InvalidArgument, match="after must be the next of a page"):
            page(queue, after)


class TestRedrive:
    def test_a_dead_letter_runs_again_with_all_its_budgets(self, queue: "Bench") -> None:
        queue.push(queue.task(retries=1))
        queue.fail(*queue.pop(), pause_ms=0)
        queue.pop()
        queue.advance(30_000)
        queue.sweep()
        (held,) = queue.pop()
        assert (held.attempt, held.failures, held.solo) == (3, 1, True)
        die(queue, held)
        assert redrive(queue, "t1") == [Redriven(Status.OK, TaskState.QUEUED, 0)]
        assert queue.outcome("t1") == (TaskState.QUEUED, b"")
        queue.advance(-5_000)
        (again,) = queue.pop()
        assert (again.attempt, again.failures, again.solo) == (4, 0, False)
        assert again.message == held.message
        assert again.fence == held.fence + 1
        assert "lost" not in queue.snapshot("t:")["t:t1"]

    def test_a_redriven_task_has_no_trace_of_its_ending(self, queue: "Bench") -> None:
        queue.push()
        (held,) = queue.pop()
        queue.run(calls.progress(queue.keys, [calls.Reported("t1", held.token, Progress(1))]))
        queue.run(calls.watch(queue.keys, "t1", "me"))
        die(queue, held)
        redrive(queue, "t1")
        assert not queue.snapshot("dead", "kept", "held", "r:", "p:", "w:")
        assert queue.stats().dead == 0
        record = queue.snapshot("t:")["t:t1"]
        assert not record.keys() & {"ended_at", "fails", "lost", "solo", "cancel", "watch", "keep"}

    def test_repeating_the_call_changes_nothing(self, queue: "Bench") -> None:
        dead(queue)
        redrive(queue, "t1")
        before = queue.snapshot()
        assert redrive(queue, "t1", "t1") == [Redriven(Status.ALREADY, TaskState.QUEUED, 0)] * 2
        assert queue.snapshot() == before

    def test_an_id_twice_in_one_call_counts_once(self, queue: "Bench") -> None:
        dead(queue)
        assert codes(queue, "t1", "t1") == [Status.OK, Status.ALREADY]
        assert (queue.stats().queued, queue.stats().redriven) == (1, 1)

    def test_only_dead_letters_are_redriven(self, queue: "Bench") -> None:
        queue.finish(queue.started())
        queue.push(queue.task(), queue.task(delay_ms=5))
        queue.cancel("t2")
        queue.started()
        before = queue.snapshot()
        assert redrive(queue, "t1", "t2", "t3", "t4", "nobody") == [
            Redriven(Status.ALREADY, TaskState.FINISHED, 0),
            Redriven(Status.ALREADY, TaskState.CANCELED, 0),
            Redriven(Status.ALREADY, TaskState.SCHEDULED, 0),
            Redriven(Status.ALREADY, TaskState.STARTED, 0),
            Redriven(Status.NOT_FOUND, None, 0),
        ]
        assert queue.snapshot() == before

    def test_an_expired_dead_letter_is_not_found(self, queue: "Bench") -> None:
        dead(queue)
        queue.advance(DEAD_TTL_MS)
        queue.sweep()
        assert codes(queue, "t1") == [Status.NOT_FOUND]

    def test_a_letter_without_its_message_cannot_run(self, queue: "Bench") -> None:
        dead(queue)
        queue.client.delete(f"{queue.keys.prefix}t:t1")
        assert codes(queue, "t1") == [Status.NOT_FOUND]
        assert queue.state("t1") is TaskState.FAILED

    def test_it_is_enqueued_behind_waiting_tasks_by_its_priority(self, queue: "Bench") -> None:
        dead(queue)
        dead(queue, priority=Priority.CRITICAL)
        queue.advance(1_000)
        queue.fill("ann", 2)
        assert codes(queue, "t1", "t2") == [Status.OK] * 2
        assert queue.pop_ids(4) == ["t2", "t3", "t4", "t1"]

    def test_it_is_kept_as_long_as_any_other_after_its_second_ending(self, queue: "Bench") -> None:
        dead(queue)
        queue.advance(DEAD_TTL_MS - 1)
        redrive(queue, "t1")
        queue.advance(1_000)
        queue.sweep()
        queue.finish(*queue.pop(), result=b"1")
        assert queue.outcome("t1") == (TaskState.FINISHED, b"1")
        queue.advance(RESULT_TTL_MS)
        queue.sweep()
        assert not queue.snapshot("t:", "m:", "r:", "kept", "held", "dead")

    def test_an_idle_worker_is_woken(self, queue: "Bench") -> None:
        dead(queue)
        queue.pop()
        queue.client.delete(queue.keys.wake)
        redrive(queue, "t1")
        assert queue.woken()

    def test_a_new_listener_is_notified_of_the_second_ending(self, queue: "Bench") -> None:
        dead(queue)
        redrive(queue, "t1")
        queue.run(calls.watch(queue.keys, "t1", "me"))
        queue.finish(*queue.pop())
        assert not queue.snapshot("w:")
        assert queue.state("t1") is TaskState.FINISHED

    def test_repeating_the_first_ending_after_the_redrive_is_recognized(self, queue: "Bench") -> None:
        held = queue.started()
        die(queue, held)
        redrive(queue, "t1")
        assert queue.fail(held, verdict="dead") == [(Status.ALREADY, TaskState.QUEUED)]
        (again,) = queue.pop()
        assert queue.fail(held, verdict="dead") == [(Status.ALREADY, TaskState.STARTED)]
        assert queue.finish(again) == [(Status.OK, TaskState.FINISHED)]
        assert queue.stats().stale == 0

    def test_a_deduplication_key_is_held_again_if_it_is_free(self, queue: "Bench") -> None:
        dead(queue, dedup_key="k")
        redrive(queue, "t1")
        assert queue.push(queue.task(dedup_key="k")) == [(Status.DEDUPLICATED, TaskState.QUEUED, "t1")]
        queue.finish(*queue.pop())
        assert not queue.snapshot("dedup:")

    def test_a_deduplication_key_that_another_task_holds_stays_with_it(self, queue: "Bench") -> None:
        dead(queue, dedup_key="k")
        queue.push(queue.task(dedup_key="k"))
        redrive(queue, "t1")
        assert list(queue.snapshot("dedup:").values()) == ["t2"]
        held = {one.task_id: one for one in queue.pop(2)}
        queue.finish(held["t1"])
        assert list(queue.snapshot("dedup:").values()) == ["t2"]

    def test_a_paused_or_capped_user_keeps_its_limits(self, queue: "Bench") -> None:
        dead(queue, 3)
        queue.limit("ann", cap=1)
        redrive(queue, "t1", "t2", "t3")
        assert len(queue.pop(3)) == 1
        queue.limit("ann", paused=1)
        assert queue.standing("ann").waiting == 2

    def test_backlogs_count_for_each_task(self, queue: "Bench") -> None:
        dead(queue, 3)
        dead(queue, 2, "bob")
        queue.limit("ann", backlog=2)
        answers = redrive(queue, "t1", "t2", "t3", "t4", "t5")
        assert [one.code for one in answers] == [Status.OK, Status.OK, Status.FULL, Status.OK, Status.OK]
        assert answers[2].state is TaskState.FAILED
        assert answers[2].pause_ms >= 1_000
        queue.run(calls.configure(queue.keys, backlog=4))
        queue.limit("ann", backlog=None)
        before = queue.snapshot()
        assert codes(queue, "t3") == [Status.FULL]
        assert queue.snapshot() == before

    @pytest.mark.parametrize("arguments", [[], ["5"], ["x", "t1"], ["5", *["t1"] * 1_001]])
    def test_wrong_arguments_change_nothing(self, queue: "Bench", arguments: list[str]) -> None:
        dead(queue)
        before = queue.snapshot()
        for script in ("redrive", "delete"):
            assert queue.raw(script, *arguments)[0] == Status.BAD_ARGS
        for wrong in (["0", "", "0"], ["0", "", "1001"], ["", "", "5"], ["0", ""]):
            assert queue.raw("read_dead", *wrong)[0] == Status.BAD_ARGS
        assert queue.snapshot() == before


class TestDependents:
    def test_dependents_that_were_canceled_stay_canceled(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="p"), queue.task(task_id="c", depends_on=["p"]))
        die(queue, *queue.pop())
        assert queue.state("c") is TaskState.CANCELED
        assert codes(queue, "p") == [Status.OK]
        queue.finish(*queue.pop())
        queue.sweep()
        assert (queue.state("p"), queue.state("c")) == (TaskState.FINISHED, TaskState.CANCELED)
        assert queue.stats().deferred == 0

    def test_dependents_that_were_freed_are_not_freed_twice(self, queue: "Bench") -> None:
        either = [After("p", on_failure="run"), "q"]
        queue.push(queue.task(task_id="p"), queue.task("bob", task_id="q"), queue.task(task_id="c", depends_on=either))
        held = {one.task_id: one for one in queue.pop(2)}
        die(queue, held["p"])
        redrive(queue, "p")
        queue.finish(*queue.pop())
        queue.sweep()
        assert queue.state("c") is TaskState.DEFERRED
        queue.finish(held["q"])
        assert queue.state("c") is TaskState.QUEUED

    @pytest.mark.parametrize("before", [0, 1, 99, 100, 101, 250])
    def test_dependents_pushed_afterwards_wait_for_its_next_ending(self, queue: "Bench", before: int) -> None:
        """However many were settled by the first ending, a hundred per call."""
        queue.push(queue.task("boss", task_id="p"))
        queue.push(*(queue.task(depends_on=["p"]) for _ in range(before))) if before else None
        die(queue, *queue.pop())
        while codes(queue, "p") == [Status.BUSY]:
            pass
        assert queue.stats().canceled == before
        late = [queue.task(task_id=f"late{number}", depends_on=["p"]) for number in range(150)]
        queue.push(*late)
        queue.sweep()
        assert queue.state("late0") is TaskState.DEFERRED
        queue.finish(*queue.pop())
        for _ in range(3):
            queue.sweep()
        assert {queue.state(task.task_id) for task in late} == {TaskState.QUEUED}
        assert not queue.snapshot("pending")

    def test_the_redrive_must_be_repeated_while_dependents_are_pending(self, queue: "Bench") -> None:
        queue.push(queue.task("boss", task_id="p"), *(queue.task(depends_on=["p"]) for _ in range(350)))
        die(queue, *queue.pop())
        assert queue.stats().canceled == 100
        assert delete(queue, "p") == [Status.BUSY]
        assert queue.stats().canceled == 200
        assert redrive(queue, "p") == [Redriven(Status.BUSY, TaskState.FAILED, 0)]
        assert codes(queue, "p") == [Status.BUSY]
        assert codes(queue, "p") == [Status.OK]
        assert queue.stats().canceled == 350

    def test_dependents_pushed_after_the_ending_do_not_delay_those_after_the_redrive(self, queue: "Bench") -> None:
        dead(queue, user="boss")
        queue.push(*(queue.task(depends_on=[After("t1", on_failure="run")]) for _ in range(150)))
        redrive(queue, "t1")
        queue.push(queue.task(task_id="late", depends_on=["t1"]))
        held = {one.task_id: one for one in queue.pop(3)}
        die(queue, held["t1"])
        assert queue.state("late") is TaskState.CANCELED

    @pytest.mark.parametrize("ends", [True, False])
    def test_a_pending_ending_is_not_taken_for_the_next_one(
        self,
        queue: "Bench",
        ends: bool,  # noqa: FBT001 - a parameter of pytest
    ) -> None:
        """It is queued behind that of another task with very many dependents when the task is redriven."""
        queue.push(queue.task("boss", task_id="p"), queue.task(task_id="c", depends_on=["p"]))
        die(queue, *queue.pop())
        redrive(queue, "p")
        queue.push(queue.task("other", task_id="q"), *(queue.task(depends_on=["q"]) for _ in range(999)))
        held = {one.task_id: one for one in queue.pop(2)}
        die(queue, held["q"])
        die(queue, held["p"])
        assert codes(queue, "p") == [Status.OK]
        assert queue.snapshot("pending")["pending"] == ["Xq", "Xp"]
        queue.push(queue.task(task_id="late", depends_on=["p"]))
        if ends:
            queue.finish(*queue.pop())
        for _ in range(12):
            queue.sweep()
        assert not queue.snapshot("pending")
        assert queue.state("late") is (TaskState.QUEUED if ends else TaskState.DEFERRED)

    def test_a_redriven_letter_with_dependents_is_in_no_index_of_ended_tasks(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="p"), queue.task(task_id="c", depends_on=["p"]))
        die(queue, *queue.pop())
        assert [task_id for task_id, _ in queue.snapshot("held")["held"]] == ["p"]
        redrive(queue, "p")
        assert not queue.snapshot("held", "dead")
        queue.advance(10 * DEAD_TTL_MS)
        queue.sweep()
        assert queue.state("p") is TaskState.QUEUED

    def test_a_dependent_pushed_after_the_ending_delays_nothing(self, queue: "Bench") -> None:
        dead(queue)
        queue.push(queue.task(task_id="c", depends_on=[After("t1", on_failure="run")]))
        assert queue.state("c") is TaskState.QUEUED
        assert codes(queue, "t1") == [Status.OK]
        held = {one.task_id: one for one in queue.pop(2)}
        die(queue, held["t1"])
        assert delete(queue, "t1") == [Status.OK]
        queue.finish(held["c"])
        assert queue.stats().finished == 1

    def test_a_dead_letter_with_dependents_leaves_nothing_behind_after_all_endings(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="p"), queue.task(task_id="c", depends_on=[After("p", on_failure="run")]))
        die(queue, *queue.pop())
        redrive(queue, "p")
        queue.finish(*queue.pop(2))
        for _ in range(6):
            queue.advance(DEAD_TTL_MS)
            queue.sweep()
        assert not queue.snapshot("t:", "m:", "r:", "p:", "d:", "x:", "kept", "held", "dead", "pending", "u:")


class TestDelete:
    def test_a_dependent_pushed_after_the_ending_does_not_restore_the_dead_letter(self, queue: "Bench") -> None:
        """A call settles a hundred: whether more follow is known only in the next one."""
        queue.push(queue.task("boss", task_id="p"), *(queue.task(depends_on=["p"]) for _ in range(100)))
        die(queue, *queue.pop())
        assert queue.snapshot("pending")["pending"] == ["Xp"]
        queue.push(queue.task(depends_on=[After("p", on_failure="run")]))
        assert delete(queue, "p") == [Status.OK]
        assert not queue.snapshot("t:p", "d:", "pending")

    def test_only_dead_letters_are_deleted(self, queue: "Bench") -> None:
        queue.finish(queue.started(), result=b"1")
        dead(queue, 2)
        queue.push()
        assert delete(queue, "t2", "t1", "t2", "t4", "nobody") == [
            Status.OK,
            Status.ALREADY,
            Status.NOT_FOUND,
            Status.ALREADY,
            Status.NOT_FOUND,
        ]
        assert queue.snapshot("t:").keys() == {"t:t1", "t:t3", "t:t4"}
        assert [task_id for task_id, _ in queue.snapshot("dead")["dead"]] == ["t3"]
        assert not queue.snapshot("m:t2", "r:t2")
        assert delete(queue, "t2") == [Status.NOT_FOUND]

    def test_a_dead_letter_whose_dependents_were_just_settled_is_deleted_completely(self, queue: "Bench") -> None:
        queue.push(queue.task("boss", task_id="p"), *(queue.task(depends_on=["p"]) for _ in range(100)))
        die(queue, *queue.pop())
        while delete(queue, "p") == [Status.BUSY]:
            pass
        queue.sweep()
        assert not queue.snapshot("t:p", "d:", "pending", "dead")
