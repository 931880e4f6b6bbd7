"""Verification: a healthy queue has no findings; each damage is found without changing anything, and is fixed."""

import re
import threading
from typing import TYPE_CHECKING, Any

import pytest

from fairque.console.verifier import Report, verify
from fairque.protocol.calls.schedules import ScheduleWrite
from fairque.protocol.model.dependencies import After
from fairque.protocol.model.states import Priority, TaskState
from fairque.protocol.wire.scripts import script, script_names
from fairque.testing.internal import amend_record, calls, stored_schedule, write_message

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.scripts.conftest import Bench

CRITICAL = Priority.CRITICAL


def look(queue: "Bench", *, fix: bool = False) -> Report:
    return verify(queue.runner, queue.keys, fix, result_ttl_ms=60_000, dead_ttl_ms=120_000)


@pytest.fixture
def many(queue: "Bench") -> "Bench":
    """A queue with tasks in every state and users in every lane."""
    queue.limit("capped", cap=1)
    queue.limit("paused", paused=1)
    queue.limit("slow", rate=1, burst=1)
    for user in ("ann", "bob", "capped", "paused", "slow"):
        queue.fill(user, 3)
        queue.fill(user, 1, priority=CRITICAL)
        queue.fill(user, 1, delay_ms=50_000)
    queue.push(queue.task("ann", task_id="parent", delay_ms=60_000))
    queue.push(queue.task("ann", task_id="child", depends_on=["parent"]))
    done, dead, again, *_ = queue.pop(8)
    queue.finish(done, result=b"1")
    queue.fail(dead, verdict="dead")
    queue.fail(again, pause_ms=5_000)
    queue.push(queue.task("eve", dedup_key="k"))
    queue.cancel(queue.fill("bob", 1)[0])
    return queue


def test_a_healthy_queue_has_no_findings_and_is_not_changed(many: "Bench") -> None:
    before = many.snapshot()
    assert look(many).found == []
    assert look(many, fix=True).found == []
    assert many.snapshot() == before


def test_a_user_whose_record_does_not_say_that_it_has_limits_is_found_and_obeys_them(queue: "Bench") -> None:
    queue.fill("ann", 3)
    users = f"{queue.keys.prefix}u"
    plain = queue.client.hget(users, "ann")
    queue.limit("ann", cap=1)
    queue.client.hset(users, "ann", plain)
    assert [(one.name, one.what) for one in look(queue).found] == [
        ("ann", "it has limits, and its record does not say so")
    ]
    look(queue, fix=True)
    assert look(queue).found == []
    assert len(queue.pop(3)) == 1


def test_users_that_are_half_a_year_behind_virtual_time_are_found_and_begin_at_it(queue: "Bench") -> None:
    queue.fill("ann", 2)
    queue.fill("bob", 2)
    queue.pop()
    queue.amend_globals(V=2**45)
    assert {finding.what for finding in look(queue, fix=True).found} == {"its tag is far behind the virtual time"}
    assert look(queue).clean


def test_an_empty_queue_has_no_findings_and_no_keys(queue: "Bench") -> None:
    report = look(queue, fix=True)
    assert (report.clean, report.left, report.found) == (True, 0, [])


def lease(queue: "Bench") -> str:
    (granted, *_) = queue.pop(1)
    queue.client.zrem(f"{queue.keys.prefix}running", granted.task_id)
    return granted.task_id


def some(queue: "Bench", state: TaskState, user: str = "ann") -> str:
    """A task in a state."""
    records = queue.snapshot("t:").items()
    return min(key[2:] for key, record in records if record["state"] == state and record["user"] in (user, ""))


def spoil(queue: "Bench", key: str, kind: str = "hash") -> str:
    """Put something of another type under a key."""
    name = f"{queue.keys.prefix}{key}"
    queue.client.delete(name)
    if kind == "hash":
        queue.client.hset(name, "a", "b")
    else:
        queue.client.set(name, "x")
    return key


class Damage:
    """Damages by name, each a function that makes it and gives the name in its finding."""

    def __init__(self, queue: "Bench") -> None:
        self.queue = queue
        self.client: Any = queue.client
        self.prefix = queue.keys.prefix

    def a_running_task_without_a_lease(self) -> tuple[str, str]:
        return "lease", lease(self.queue)

    def a_queued_task_in_no_queue(self) -> tuple[str, str]:
        task_id = some(self.queue, TaskState.QUEUED, "bob")
        self.client.lrem(f"{self.prefix}n:bob", 0, task_id)
        self.client.zrem(f"{self.prefix}c:bob", task_id)
        return "nowhere", task_id

    def a_delayed_task_that_is_never_due(self) -> tuple[str, str]:
        task_id = some(self.queue, TaskState.SCHEDULED)
        self.client.zrem(f"{self.prefix}delayed", task_id)
        return "nowhere", task_id

    def a_delayed_task_that_a_purge_would_miss(self) -> tuple[str, str]:
        task_id = some(self.queue, TaskState.SCHEDULED)
        self.client.zrem(f"{self.prefix}s:ann", task_id)
        return "nowhere", task_id

    def a_deferred_task_in_no_index(self) -> tuple[str, str]:
        self.client.zrem(f"{self.prefix}deferred", "child")
        return "nowhere", "child"

    def a_deferred_task_that_waits_for_nothing(self) -> tuple[str, str]:
        amend_record(self.client, f"{self.prefix}t:child", open=0)
        return "dependents", "child"

    def an_ended_task_that_would_never_be_forgotten(self) -> tuple[str, str]:
        task_id = some(self.queue, TaskState.FINISHED)
        self.client.zrem(f"{self.prefix}kept", task_id)
        return "nowhere", task_id

    def a_dead_letter_that_nobody_would_find(self) -> tuple[str, str]:
        task_id = next(i for i, _ in self.queue.snapshot("dead")["dead"])
        self.client.zrem(f"{self.prefix}dead", task_id)
        return "nowhere", task_id

    def a_queued_task_that_also_runs(self) -> tuple[str, str]:
        task_id = some(self.queue, TaskState.QUEUED)
        self.client.zadd(f"{self.prefix}running", {task_id: self.queue.now_ms + 9})
        return "place", task_id

    def a_task_in_the_queue_of_another_user(self) -> tuple[str, str]:
        task_id = some(self.queue, TaskState.QUEUED)
        self.client.lpush(f"{self.prefix}n:bob", task_id)
        # The counter said the truth about the tasks, not about the places.
        return "place", task_id

    def an_ended_task_that_is_still_delayed(self) -> tuple[str, str]:
        task_id = some(self.queue, TaskState.FINISHED)
        self.client.zadd(f"{self.prefix}delayed", {task_id: self.queue.now_ms + 9})
        return "place", task_id

    def a_place_whose_task_is_gone(self) -> tuple[str, str]:
        self.client.zadd(f"{self.prefix}running", {"nobody": 1})
        return "place", "nobody"

    def a_record_that_is_gone(self) -> tuple[str, str]:
        task_id = some(self.queue, TaskState.QUEUED)
        self.client.delete(f"{self.prefix}t:{task_id}")
        return "place", task_id

    def a_record_that_is_cut_off(self) -> tuple[str, str]:
        task_id = some(self.queue, TaskState.QUEUED)
        whole = self.client.get(f"{self.prefix}t:{task_id}")
        self.client.set(f"{self.prefix}t:{task_id}", whole[:30])
        return "record", task_id

    def a_record_of_an_attempt_that_is_cut_off(self) -> tuple[str, str]:
        task_id = some(self.queue, TaskState.STARTED)
        whole = self.client.hget(f"{self.prefix}a", task_id)
        self.client.hset(f"{self.prefix}a", task_id, whole[:-9])
        return "record", task_id

    def a_record_of_an_attempt_that_is_gone(self) -> tuple[str, str]:
        task_id = some(self.queue, TaskState.STARTED)
        self.client.hdel(f"{self.prefix}a", task_id)
        return "nowhere", task_id

    def a_record_without_a_field(self) -> tuple[str, str]:
        task_id = some(self.queue, TaskState.QUEUED)
        amend_record(self.client, f"{self.prefix}t:{task_id}", pushed_at=-1)
        return "record", task_id

    def a_record_of_another_type(self) -> tuple[str, str]:
        task_id = some(self.queue, TaskState.QUEUED)
        return "type", spoil(self.queue, f"t:{task_id}")

    def a_message_that_is_gone(self) -> tuple[str, str]:
        task_id = some(self.queue, TaskState.QUEUED)
        amend_record(self.client, f"{self.prefix}t:{task_id}", fails=1)
        self.client.delete(f"{self.prefix}t:{task_id}")
        return "message", task_id

    def a_message_of_a_delayed_task_that_is_gone(self) -> tuple[str, str]:
        task_id = some(self.queue, TaskState.SCHEDULED)
        self.client.delete(f"{self.prefix}t:{task_id}")
        return "message", task_id

    def a_message_of_a_deferred_task_that_is_gone(self) -> tuple[str, str]:
        self.client.delete(f"{self.prefix}t:child")
        return "message", "child"

    def a_result_that_was_left_over(self) -> tuple[str, str]:
        self.client.set(f"{self.prefix}r:nobody", "1")
        return "leftover", "r:nobody"

    def values_that_were_left_over(self) -> tuple[str, str]:
        task_id = some(self.queue, TaskState.FINISHED)
        self.client.set(f"{self.prefix}x:{task_id}", "{}")
        return "leftover", f"x:{task_id}"

    def a_progress_that_was_left_over(self) -> tuple[str, str]:
        self.client.set(f"{self.prefix}p:nobody", "1")
        return "leftover", "p:nobody"

    def dependents_of_a_task_that_is_not_known(self) -> tuple[str, str]:
        self.client.rpush(f"{self.prefix}d:nobody", "cchild")
        return "dependents", "nobody"

    def an_ended_task_in_both_indexes_of_those(self) -> tuple[str, str]:
        task_id = some(self.queue, TaskState.FINISHED)
        self.client.zadd(f"{self.prefix}held", {task_id: 1})
        return "place", task_id

    def a_listener_that_was_left_over(self) -> tuple[str, str]:
        self.client.zadd(f"{self.prefix}w:nobody", {"me": 1})
        return "leftover", "w:nobody"

    def a_listener_whom_the_ending_would_pass_by(self) -> tuple[str, str]:
        task_id = some(self.queue, TaskState.QUEUED)
        self.client.zadd(f"{self.prefix}w:{task_id}", {"me": 1})
        return "listener", task_id

    def a_listener_whom_nobody_told(self) -> tuple[str, str]:
        task_id = some(self.queue, TaskState.FINISHED)
        self.client.zadd(f"{self.prefix}w:{task_id}", {"me": 1})
        return "listener", task_id

    def a_deduplication_key_that_was_left_over(self) -> tuple[str, str]:
        self.client.set(f"{self.prefix}dedup:abc", "nobody")
        return "leftover", "dedup:abc"

    def a_claim_without_an_end(self) -> tuple[str, str]:
        self.client.persist(f"{self.prefix}claim:w1")
        return "leftover", "claim:w1"

    def dependents_of_an_ended_task_that_nobody_would_tell(self) -> tuple[str, str]:
        task_id = some(self.queue, TaskState.FINISHED)
        self.client.rpush(f"{self.prefix}d:{task_id}", "cchild")
        return "dependents", task_id

    def dependents_that_their_parent_does_not_know(self) -> tuple[str, str]:
        amend_record(self.client, f"{self.prefix}t:parent", kids=False)
        return "dependents", "parent"

    def a_parent_that_has_lost_the_list_of_its_dependents(self) -> tuple[str, str]:
        self.client.delete(f"{self.prefix}d:parent")
        return "dependents", "child"

    def a_parent_that_does_not_name_one_of_its_dependents(self) -> tuple[str, str]:
        self.queue.push(self.queue.task("ann", task_id="second", depends_on=["parent"]))
        self.client.lrem(f"{self.prefix}d:parent", 1, "csecond")
        return "dependents", "second"

    def a_deferred_task_that_counts_more_parents_than_would_tell_it(self) -> tuple[str, str]:
        amend_record(self.client, f"{self.prefix}t:child", open=2)
        return "dependents", "child"

    def a_deferred_task_that_counts_fewer_parents_than_would_tell_it(self) -> tuple[str, str]:
        self.queue.push(self.queue.task("ann", task_id="second", depends_on=["parent", "child"]))
        amend_record(self.client, f"{self.prefix}t:second", open=1)
        return "dependents", "second"

    def an_end_that_was_told_to_nobody_since_the_list_was_gone(self) -> tuple[str, str]:
        self.client.delete(f"{self.prefix}d:parent")
        self.queue.cancel("parent")
        return "dependents", "child"

    def a_parent_that_is_gone_with_its_list(self) -> tuple[str, str]:
        self.client.delete(*(f"{self.prefix}{kind}:parent" for kind in "tmd"))
        self.client.zrem(f"{self.prefix}delayed", "parent")
        self.client.zrem(f"{self.prefix}s:ann", "parent")
        return "dependents", "child"

    def a_user_with_work_in_no_ring(self) -> tuple[str, str]:
        self.client.zrem(f"{self.prefix}ready", "ann")
        self.client.zrem(f"{self.prefix}fresh", "ann")
        self.client.zrem(f"{self.prefix}critical", "ann")
        return "user", "ann"

    def a_user_in_two_rings(self) -> tuple[str, str]:
        self.client.zadd(f"{self.prefix}ready", {"eve": 1})
        return "user", "eve"

    def a_user_that_does_not_borrow_though_it_may(self) -> tuple[str, str]:
        self.queue.fill("eve", 1, priority=CRITICAL)
        assert self.client.zrem(f"{self.prefix}critical", "eve")
        return "user", "eve"

    def a_user_that_is_parked_forever(self) -> tuple[str, str]:
        self.client.zrem(f"{self.prefix}timers", "slow")
        amend_record(self.client, f"{self.prefix}u:slow", inf=0)
        return "user", "slow"

    def a_user_whose_running_tasks_are_miscounted(self) -> tuple[str, str]:
        amend_record(self.client, f"{self.prefix}u:ann", inf=77)
        return "user", "ann"

    def a_user_of_whom_more_runs_than_its_record_says(self) -> tuple[str, str]:
        amend_record(self.client, f"{self.prefix}u:ann", inf=0)
        return "user", "ann"

    def a_user_of_whom_nothing_runs_though_its_record_says_so(self) -> tuple[str, str]:
        amend_record(self.client, f"{self.prefix}u:eve", inf=2)
        return "user", "eve"

    def a_user_with_running_tasks_alone_whose_record_is_gone(self) -> tuple[str, str]:
        self.queue.push(self.queue.task("zoe"))
        while all(
            record["user"] != "zoe" or record["state"] == "QUEUED" for record in self.queue.snapshot("t:").values()
        ):
            self.queue.pop()
        self.client.hdel(f"{self.prefix}u", "zoe")
        self.client.zrem(f"{self.prefix}users", "zoe")
        return "user", "zoe"

    def a_user_whose_lane_is_wrong(self) -> tuple[str, str]:
        amend_record(self.client, f"{self.prefix}u:ann", lane="")
        return "user", "ann"

    def a_user_that_is_in_no_index_of_users(self) -> tuple[str, str]:
        self.client.zrem(f"{self.prefix}users", "ann")
        return "user", "ann"

    def a_user_whose_record_is_gone(self) -> tuple[str, str]:
        self.client.hdel(f"{self.prefix}u", "ann")
        return "user", "ann"

    def a_user_whose_record_is_cut_off(self) -> tuple[str, str]:
        whole = self.client.hget(f"{self.prefix}u", "ann")
        self.client.hset(f"{self.prefix}u", "ann", whole[:-9])
        return "user", "ann"

    def a_member_of_a_ring_without_a_record(self) -> tuple[str, str]:
        self.client.zadd(f"{self.prefix}owe", {"nobody": 1})
        return "user", "nobody"

    def settings_that_no_list_shows(self) -> tuple[str, str]:
        self.client.zrem(f"{self.prefix}configured", "slow")
        return "user", "slow"

    def a_user_listed_without_settings(self) -> tuple[str, str]:
        self.client.zadd(f"{self.prefix}configured", {"nobody": 0})
        return "user", "nobody"

    def a_counter_that_is_off(self) -> tuple[str, str]:
        self.queue.amend_globals(queued=7)
        return "counter", "queued"

    def a_bound_above_the_first_lease(self) -> tuple[str, str]:
        self.queue.amend_globals(next_at=2**53)
        return "counter", "next_at"

    def flags_of_other_settings(self) -> tuple[str, str]:
        self.queue.amend_globals(flags=0)
        return "setting", "g flags"

    def needs_that_are_no_words(self) -> tuple[str, str]:
        self.client.hset(self.queue.keys.meta, "needs", "1,2")
        return "setting", "meta needs"

    def a_counter_that_is_no_number(self) -> tuple[str, str]:
        self.client.hset(f"{self.prefix}counts", "failed", "many")
        return "counter", "failed"

    def two_wake_ups(self) -> tuple[str, str]:
        self.client.lpush(self.queue.keys.wake, "1", "1")
        return "counter", "wake"

    def an_index_of_another_type(self) -> tuple[str, str]:
        return "type", spoil(self.queue, "running")

    def a_ring_of_another_type(self) -> tuple[str, str]:
        return "type", spoil(self.queue, "ready")

    def a_queue_of_another_type(self) -> tuple[str, str]:
        return "type", spoil(self.queue, "n:ann", "string")


@pytest.mark.parametrize("name", [name for name in vars(Damage) if not name.startswith("_")])
def test_damage_is_found_and_fixed(many: "Bench", name: str) -> None:
    wanted = getattr(Damage(many), name)()
    before = many.snapshot_raw()
    found = look(many)
    assert wanted in [(one.kind, one.name) for one in found.found]
    assert found.left == len(found.found) > 0
    assert not any(one.fixed for one in found.found)
    assert many.snapshot_raw() == before
    fixed = look(many, fix=True)
    assert wanted in [(one.kind, one.name) for one in fixed.found]
    assert (fixed.left, fixed.unseen) == (0, [])
    assert look(many).found == []


@pytest.mark.parametrize("name", [name for name in vars(Damage) if not name.startswith("_")])
def test_every_task_ends_after_the_damage_was_fixed(many: "Bench", name: str) -> None:
    getattr(Damage(many), name)()
    look(many, fix=True)
    many.limit("capped", cap=None)
    many.limit("paused", paused=None)
    many.limit("slow", rate=None)
    for _ in range(30):
        many.advance(61_000)
        many.finish(*held) if (held := many.pop(100)) else None
    assert not many.snapshot("n:", "c:", "s:", "running", "delayed", "deferred", "ready", "fresh", "critical")
    assert look(many).found == []


class TestATaskWhoseParentHasLostTheListOfItsDependents:
    """It waits until a verification binds it again."""

    def test_starts_when_its_parent_has_finished(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="parent"), queue.task(task_id="child", depends_on=["parent"]))
        queue.client.delete(f"{queue.keys.prefix}d:parent")
        look(queue, fix=True)
        assert queue.state("child") is TaskState.DEFERRED
        queue.finish(*queue.pop())
        queue.sweep()
        assert queue.state("child") is TaskState.QUEUED

    @pytest.mark.parametrize(("edge", "ends"), [("cascade", TaskState.CANCELED), ("run", TaskState.QUEUED)])
    @pytest.mark.parametrize("when", ["before", "after", "gone"])
    def test_ends_or_runs_by_its_policy_if_its_parent_did_not_finish(
        self, queue: "Bench", edge: Any, ends: TaskState, when: str
    ) -> None:
        queue.push(queue.task(task_id="parent"))
        queue.push(queue.task(task_id="child", depends_on=[After("parent", on_failure=edge)]))
        queue.client.delete(f"{queue.keys.prefix}d:parent")
        if when == "after":
            look(queue, fix=True)
        queue.cancel("parent")
        queue.sweep()
        if when == "gone":
            queue.client.delete(f"{queue.keys.prefix}t:parent")
        if when != "after":
            assert queue.state("child") is TaskState.DEFERRED
            look(queue, fix=True)
        assert queue.state("child") is ends

    def test_still_waits_for_its_other_parents(self, queue: "Bench") -> None:
        queue.push(*(queue.task(task_id=name) for name in ("a", "b")))
        queue.push(queue.task(task_id="child", depends_on=["a", "b"]))
        first, second = queue.pop(2)
        queue.client.delete(f"{queue.keys.prefix}d:{first.task_id}")
        queue.finish(first)
        look(queue, fix=True)
        assert queue.state("child") is TaskState.DEFERRED
        queue.finish(second)
        queue.sweep()
        assert queue.state("child") is TaskState.QUEUED

    def test_finds_the_values_of_parents_that_had_ended_before(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="ended"))
        queue.finish(*queue.pop(), result=b"5")
        queue.push(queue.task(task_id="open", delay_ms=10_000_000))
        queue.push(queue.task(task_id="child", depends_on=["ended", "open"]))
        queue.client.delete(f"{queue.keys.prefix}d:ended")
        look(queue, fix=True)
        for _ in range(3):
            queue.advance(500_000)
            queue.sweep()
        assert queue.outcome("ended") == (TaskState.FINISHED, b"5")

    def test_gets_the_next_ending_of_a_redriven_parent(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="parent"))
        queue.push(*(queue.task(depends_on=["parent"]) for _ in range(3)))
        queue.fail(*queue.pop(), verdict="dead")
        queue.sweep()
        queue.run(calls.redrive(queue.keys, ["parent"], result_ttl_ms=60_000))
        queue.client.delete(f"{queue.keys.prefix}d:parent")
        queue.push(queue.task(task_id="child", depends_on=["parent"]))
        look(queue, fix=True)
        assert look(queue).clean
        queue.finish(*queue.pop())
        queue.sweep()
        assert queue.state("child") is TaskState.QUEUED


def test_a_task_waits_for_the_task_that_replaces_its_deduplicated_parent(queue: "Bench") -> None:
    queue.push(queue.task(task_id="first", dedup_key="k"))
    queue.push(queue.task(task_id="again", dedup_key="k"), queue.task(task_id="child", depends_on=["again"]))
    assert look(queue).clean
    queue.client.delete(f"{queue.keys.prefix}d:first")
    look(queue, fix=True)
    queue.finish(*queue.pop())
    queue.sweep()
    assert queue.state("child") is TaskState.QUEUED


def test_a_task_whose_parent_has_very_many_dependents_is_reported_as_unchecked(queue: "Bench") -> None:
    queue.push(queue.task(task_id="parent"), queue.task(task_id="child", depends_on=["parent"]))
    queue.client.rpush(f"{queue.keys.prefix}d:parent", *("nx" for _ in range(100_000)))
    report = look(queue)
    assert (report.found, report.unseen) == ([], ["the dependents of tasks with very many of them"])


def test_a_waiting_task_with_an_unreadable_message_is_reported_as_unchecked(queue: "Bench") -> None:
    queue.push(queue.task(task_id="parent"), queue.task(task_id="child", depends_on=["parent"]))
    write_message(queue.client, queue.keys.prefix, "child", b"{")
    report = look(queue)
    assert (report.found, report.unseen) == ([], ["the dependencies of tasks whose messages cannot be read"])


def test_a_running_task_whose_message_is_gone_is_left_to_its_worker(queue: "Bench") -> None:
    granted = queue.started()
    queue.client.delete(f"{queue.keys.prefix}t:t1")
    report = look(queue, fix=True)
    assert [(one.kind, one.name, one.fixed) for one in report.found] == [("message", "t1", False)]
    assert report.left == 1
    queue.finish(granted)
    assert look(queue).clean


def test_an_unreadable_task_becomes_a_dead_letter_with_that_reason(queue: "Bench") -> None:
    queue.push()
    queue.client.set(f"{queue.keys.prefix}t:t1", b"\xc1")
    look(queue, fix=True)
    state, error = queue.outcome("t1")
    assert state is TaskState.FAILED
    assert b"its record cannot be read and was set aside" in error
    assert queue.client.get(f"{queue.keys.prefix}broken:t:t1") == b"\xc1"
    assert 0 < queue.ttl_ms("broken:t:t1") <= 14 * 86_400_000
    assert queue.stats().broken == 1


def test_an_unreadable_record_of_an_attempt_becomes_a_dead_letter_that_keeps_what_was_pushed(queue: "Bench") -> None:
    queue.started(priority=Priority.LOW)
    queue.client.hset(f"{queue.keys.prefix}a", "t1", b"\x02")
    look(queue, fix=True)
    state, error = queue.outcome("t1")
    assert state is TaskState.FAILED
    assert b"its record cannot be read and was set aside" in error
    assert queue.client.get(f"{queue.keys.prefix}broken:a:t1") == b"\x02"
    (letter,) = queue.run(calls.read_dead(queue.keys))
    assert (letter.user_id, letter.func) == ("ann", "f")


def test_an_unreadable_message_of_a_task_with_a_record_becomes_a_dead_letter_and_is_set_aside(queue: "Bench") -> None:
    queue.release(queue.started())
    queue.client.set(f"{queue.keys.prefix}t:t1", b"\xc1")
    look(queue, fix=True)
    state, error = queue.outcome("t1")
    assert state is TaskState.FAILED
    assert b"its message cannot be read and was set aside" in error
    assert queue.client.get(f"{queue.keys.prefix}broken:t:t1") == b"\xc1"


def heard(queue: "Bench", listener: str, action: Any) -> list[bytes]:
    """The notifications of a listener during an action."""
    with queue.client.pubsub() as channel:
        channel.subscribe(f"{queue.keys.prefix}done:{listener}")
        assert channel.get_message(timeout=5)["type"] == "subscribe"
        action()
        queue.client.publish(f"{queue.keys.prefix}done:{listener}", "end")
        lines = []
        while (line := channel.get_message(timeout=5)["data"]) != b"end":
            lines.append(line)
        return lines


def test_a_listener_missing_from_its_task_is_notified_of_the_ending(queue: "Bench") -> None:
    granted = queue.started()
    queue.client.zadd(f"{queue.keys.prefix}w:t1", {"me": 1})
    assert heard(queue, "me", lambda: look(queue, fix=True)) == []
    assert heard(queue, "me", lambda: queue.finish(granted, result=b"5")) == [b"t1\nFINISHED\n15"]


def test_a_listener_of_an_ended_task_is_notified_at_once(queue: "Bench") -> None:
    queue.finish(queue.started(), result=b"5")
    queue.client.zadd(f"{queue.keys.prefix}w:t1", {"me": 1, "you": 1})
    assert heard(queue, "you", lambda: look(queue)) == []
    assert heard(queue, "you", lambda: look(queue, fix=True)) == [b"t1\nFINISHED\n15"]
    assert "w:t1" not in queue.snapshot()


@pytest.mark.parametrize("left", ["place", "record"])
def test_a_listener_of_a_lost_task_is_notified_of_that(queue: "Bench", left: str) -> None:
    queue.push()
    queue.run(calls.watch(queue.keys, "t1", "me"))
    prefix = queue.keys.prefix
    if left == "place":
        queue.client.delete(f"{prefix}t:t1", f"{prefix}a")
    else:
        queue.client.hset(f"{prefix}a", "t1", b"\xc1")
        queue.client.delete(f"{prefix}n:ann")
    (line,) = heard(queue, "me", lambda: look(queue, fix=True))
    assert line.startswith(b"t1\nFAILED\n1{")
    assert look(queue).found == []


def test_a_task_that_runs_gets_a_lease_again_and_its_worker_may_end_it(queue: "Bench") -> None:
    granted = queue.started()
    queue.client.delete(f"{queue.keys.prefix}running")
    look(queue, fix=True)
    assert queue.snapshot("running") == {"running": [("t1", queue.now_ms + 30_000)]}
    assert queue.finish(granted)[0][1] is TaskState.FINISHED


def test_keys_of_later_versions_are_not_changed(many: "Bench") -> None:
    many.client.set(f"{many.keys.prefix}later:x", "1")
    many.client.set(f"{many.keys.prefix}zebra", "1")
    assert look(many, fix=True).clean
    assert {"later:x", "zebra"} <= many.snapshot().keys()


def test_a_report_lists_a_thousand_findings_and_counts_all(queue: "Bench") -> None:
    for number in range(1_100):
        queue.client.set(f"{queue.keys.prefix}r:{number}", "1")
    report = look(queue, fix=True)
    assert (len(report.found), report.kinds, report.left) == (1_000, {"leftover": 1_100}, 0)
    assert report.lines()[-2:] == [
        "... and 100 more",
        f"queue {queue.keys.name!r}: {report.keys:,} keys checked, 1,100 findings, 1,100 fixed",
    ]


def test_running_tasks_are_counted_once_however_many_users_there_are(
    queue: "Bench", monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.push(*(queue.task(f"u{number}") for number in range(500)))
    queue.pop(100)
    queue.pop(100)
    amend_record(queue.client, f"{queue.keys.prefix}u:u0", inf=3)
    sent: list[str] = []
    run = queue.runner.run

    def remembering(call: Any) -> Any:
        sent.append(call.script)
        return run(call)

    monkeypatch.setattr(queue.runner, "run", remembering)
    assert [one.name for one in look(queue).found] == ["u0"]
    assert sent.count("verify_running") == 1
    assert sent.count("verify_users") > 2
    all_running = '"running", "-inf", "(inf", "LIMIT"'
    assert [name for name in script_names() if all_running in script(name).text] == ["verify_running"]


def test_nothing_is_found_under_load(new_queue: "Callable[[], Bench]") -> None:
    """Each check is atomic, so that it never sees a partial change under load."""
    queue = new_queue()
    queue.limit("u1", cap=1)
    queue.limit("u2", rate=500, burst=3)
    stopped = threading.Event()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            number = 0
            while not stopped.is_set():
                number += 1
                queue.advance(7)
                queue.push(*(queue.task(f"u{n}", delay_ms=5 * (n % 2), priority=n % 6 + 1) for n in range(7)))
                queue.push(queue.task("u1", task_id=f"p{number}"))
                queue.push(queue.task("u3", depends_on=[f"p{number}"]))
                first, *others = queue.pop(9)
                queue.fail(first, pause_ms=3)
                queue.release(others[0])
                queue.finish(*others[1:])
                queue.beat(*others)
                queue.sweep()
        except BaseException as error:  # noqa: BLE001 - shown by the test
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for fix in (False, True, False, True):
            report = look(queue, fix=fix)
            assert report.lines()[:-1] == []
    finally:
        stopped.set()
        thread.join()
        queue.drop()
    assert errors == []


class TestSchedules:
    """Damages after which a schedule would never fire, or be checked forever."""

    @pytest.fixture
    def timed(self, queue: "Bench") -> "Bench":
        schedules = [
            stored_schedule(schedule_id=name, every_ms=1_000, user_id="ann", func="f", paused=name == "off")
            for name in ("s", "off", "other")
        ]
        writes = [ScheduleWrite(schedule=one, revision=0, next_at=queue.now_ms + 5_000) for one in schedules]
        queue.run(calls.schedule(queue.keys, writes, message_limit=262_144))
        return queue

    def broken(self, queue: "Bench", name: str) -> str:
        """Do a damage, and return of which schedule."""
        prefix, client = queue.keys.prefix, queue.client
        record = f"{prefix}schedule:s"
        queue.push(queue.task(task_id="t"))
        damages: dict[str, Callable[[], Any]] = {
            "cut off": lambda: client.set(record, (client.get(record) or b"")[:-3]),
            "a time that is none": lambda: amend_record(client, record, next=-1),
            "misses that are none": lambda: amend_record(client, record, misses=7),
            "misses that say nothing": lambda: amend_record(client, record, misses="1 2 3"),
            "a step that says nothing": lambda: amend_record(client, record, did="1 2"),
            "the record of a task": lambda: client.set(record, client.get(f"{prefix}t:t") or b""),
            "gone": lambda: client.delete(record),
            "gone and not due": lambda: client.delete(record) + client.zrem(f"{prefix}due", "s"),
            "not listed": lambda: client.zrem(f"{prefix}schedules", "s"),
            "not due": lambda: client.zrem(f"{prefix}due", "s"),
            "due at another time": lambda: client.zadd(f"{prefix}due", {"s": 5}),
            "never to be computed": lambda: amend_record(client, record, next=False, **{"from": False}),
            "off and due": lambda: client.zadd(f"{prefix}due", {"off": 5}),
        }
        damages[name]()
        return "off" if name == "off and due" else "s"

    LOST = (
        *("cut off", "a time that is none", "misses that are none", "misses that say nothing"),
        *("a step that says nothing", "the record of a task"),
    )
    GONE = ("gone", "gone and not due")
    KEPT = ("not listed", "not due", "due at another time", "never to be computed", "off and due")

    def found(self, queue: "Bench", *, fix: bool) -> list[tuple[str, str, bool]]:
        return [(one.kind, one.name, one.fixed) for one in look(queue, fix=fix).found]

    def test_intact_schedules_have_no_findings_and_are_not_changed(self, timed: "Bench") -> None:
        before = timed.snapshot_raw()
        assert self.found(timed, fix=True) == []
        assert timed.snapshot_raw() == before

    @pytest.mark.parametrize("damage", [*LOST, *GONE, *KEPT])
    def test_each_damage_is_found_and_fixed(self, timed: "Bench", damage: str) -> None:
        name = self.broken(timed, damage)
        before = timed.snapshot_raw()
        assert set(self.found(timed, fix=False)) == {("schedule", name, False)}
        assert timed.snapshot_raw() == before
        assert self.found(timed, fix=True) == [("schedule", name, True)]
        assert self.found(timed, fix=False) == []

    @pytest.mark.parametrize(
        ("damage", "problem"),
        [("cut off", "schedule 's': .*Apply the schedule again"), ("of another", "is that of schedule 'other'")],
    )
    def test_a_definition_that_cannot_be_read_is_found_and_kept(
        self, timed: "Bench", damage: str, problem: str
    ) -> None:
        record = f"{timed.keys.prefix}schedule:s"
        if damage == "cut off":
            amend_record(timed.client, record, **{"def": '{"id": cut off}'})
        else:
            timed.client.copy(f"{timed.keys.prefix}schedule:other", record, replace=True)
        before = timed.snapshot_raw()
        for fix in (False, True):
            (finding,) = look(timed, fix=fix).found
            assert (finding.kind, finding.name, finding.fixed) == ("definition", "s", False)
            assert re.search(problem, finding.what)
        assert timed.snapshot_raw() == before

    @pytest.mark.parametrize("damage", LOST)
    def test_an_unreadable_record_does_not_affect_the_list_of_the_others(self, timed: "Bench", damage: str) -> None:
        self.broken(timed, damage)
        page = timed.run(calls.read_schedules(timed.keys))
        assert [row.schedule.schedule_id for row in page.rows] == ["off", "other"]
        assert {lost.schedule_id for lost in page.unreadable} <= {"s"}

    @pytest.mark.parametrize("damage", LOST)
    def test_an_unreadable_record_is_set_aside(self, timed: "Bench", damage: str) -> None:
        self.broken(timed, damage)
        left = timed.client.get(f"{timed.keys.prefix}schedule:s")
        look(timed, fix=True)
        assert timed.client.get(f"{timed.keys.prefix}broken:schedule:s") == left
        assert timed.stats().broken == 1
        assert {name for name, _ in timed.snapshot("schedules")["schedules"]} == {"off", "other"}
        assert timed.snapshot("due") == {"due": [("other", timed.now_ms + 5_000)]}

    def test_a_schedule_missing_from_the_index_is_due_at_its_time(self, timed: "Bench") -> None:
        self.broken(timed, "not due")
        look(timed, fix=True)
        assert ("s", timed.now_ms + 5_000) in timed.snapshot("due")["due"]

    def test_a_schedule_without_a_next_run_is_due_now_so_that_the_leader_computes_it(self, timed: "Bench") -> None:
        self.broken(timed, "never to be computed")
        look(timed, fix=True)
        assert ("s", 0.0) in timed.snapshot("due")["due"]
        assert timed.run(calls.read_schedule(timed.keys, "s")).from_ms == timed.now_ms

    def test_indexes_of_the_wrong_type_are_rebuilt(self, timed: "Bench") -> None:
        before = timed.snapshot("schedules", "due")
        spoil(timed, "schedules")
        spoil(timed, "due", "string")
        look(timed, fix=True)
        assert timed.snapshot("schedules", "due") == before
        assert look(timed).found == []
