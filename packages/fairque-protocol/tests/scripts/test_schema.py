"""The schema of a queue: stored by the first push; with another schema, all calls are refused."""

from typing import TYPE_CHECKING, Any

import pytest

from fairque.protocol.calls.endings import Failed, Finished, Released
from fairque.protocol.calls.limits import Setting
from fairque.protocol.calls.progress import Reported
from fairque.protocol.calls.schedules import ScheduleWrite
from fairque.protocol.errors import SchemaMismatch
from fairque.protocol.model.progress import Progress
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.scripts import script_names
from fairque.testing.internal import calls, set_schema, stored_schedule

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench


def every_call(keys: QueueKeys, queue: "Bench") -> dict[str, Call[Any]]:
    ttl: dict[str, Any] = {"result_ttl_ms": 1_000}
    both = {**ttl, "dead_ttl_ms": 1_000}
    nightly = stored_schedule(schedule_id="s", every_ms=1_000, user_id="ann", func="f")
    built: list[Call[Any]] = [
        calls.push(keys, [queue.task()], message_limit=1_000),
        calls.pop(keys, worker="w", claim="ab", count=1, lease_ms=1_000, max_lost_workers=1, **both),
        calls.beat(keys, [("t1", "1:ab")], lease_ms=1_000),
        calls.finish(keys, [Finished("t1", "1:ab", 5, b"")], **ttl),
        calls.fail(keys, [Failed("t1", "1:ab", 5, "retry", 0, b"")], **both),
        calls.release(keys, [Released("t1", "1:ab", 5)], **ttl),
        calls.cancel(keys, "t1", reason="", **ttl),
        calls.sweep(keys, guard_ms=0, max_lost_workers=1, **both),
        calls.watch(keys, "t1", "me"),
        calls.progress(keys, [Reported("t1", "1:ab", Progress(1))]),
        calls.read_progress(keys, ["t1"]),
        calls.read_dead(keys),
        calls.redrive(keys, ["t1"], **ttl),
        calls.delete(keys, ["t1"], **ttl),
        calls.read_task(keys, "t1"),
        calls.read_stats(keys),
        calls.rouse(keys),
        calls.interrupt(keys, "w"),
        calls.limit(keys, [Setting("ann", "cap", 1)]),
        calls.configure(keys, backlog=1),
        calls.purge(keys, "ann", reason="", **ttl),
        calls.read_user(keys, "ann"),
        calls.read_users(keys),
        calls.read_configured(keys),
        calls.explain(keys, "t1"),
        calls.rights(keys, ["GET *"]),
        calls.read_outputs(keys, "t2", ["t1"]),
        calls.schedule(keys, [ScheduleWrite(schedule=nightly, revision=0)], message_limit=1_000),
        calls.enable(keys, "s", on=True),
        calls.unschedule(keys, "s"),
        calls.read_schedule(keys, "s"),
        calls.read_schedules(keys),
        calls.read_scheduler(keys),
        calls.due(keys, ahead_ms=1),
        calls.fire(keys, [calls.move(nightly, 1, time=5, following=9, fire_at=5)], term=1, **ttl),
        calls.lead(keys, "a", lease_ms=1),
        calls.verify_keys(keys, [b"t:t1"], fix=True),
        calls.verify_tasks(keys, [b"t1"], fix=True, lease_ms=1, **both),
        calls.verify_parents(keys, [(b"t1", [])], fix=True, **ttl),
        calls.verify_places(keys, [(b"n:ann", b"t1")], fix=True, dead_ttl_ms=1),
        calls.verify_users(keys, [b"ann"], fix=True),
        calls.verify_schedules(keys, [b"s"], fix=True),
        calls.verify_running(keys, [b"ann"], fix=True),
        calls.verify_settings(keys, fix=True),
        calls.verify_counts(keys, fix=True),
    ]
    return {call.script: call for call in built}


@pytest.mark.parametrize("name", script_names())
def test_another_schema_is_refused_and_nothing_changed(queue: "Bench", name: str) -> None:
    queue.push()
    set_schema(queue.client, queue.keys.prefix, "7")
    before = queue.snapshot_raw()
    with pytest.raises(SchemaMismatch, match=r"has schema 7, .* supports 1: upgrade fairque-protocol") as caught:
        queue.run(every_call(queue.keys, queue)[name])
    assert (caught.value.queue, caught.value.found, caught.value.supported) == (queue.keys.name, "7", 1)
    assert queue.snapshot_raw() == before


@pytest.mark.parametrize("name", script_names())
def test_a_queue_that_needs_something_unknown_is_refused_and_nothing_changed(queue: "Bench", name: str) -> None:
    """Whoever writes that into the settings also writes the flag that ends the quick paths."""
    queue.push()
    queue.client.hset(queue.keys.meta, "needs", "groups more")
    queue.amend_globals(flags=33)
    before = queue.snapshot_raw()
    with pytest.raises(SchemaMismatch, match=r"needs 'groups', which this version of fairque does not know: upgrade"):
        queue.run(every_call(queue.keys, queue)[name])
    assert queue.snapshot_raw() == before


def test_a_push_records_the_schema_and_keeps_the_other_settings(queue: "Bench") -> None:
    queue.client.hset(queue.keys.meta, "of a later version", "x")
    queue.push()
    assert queue.snapshot("meta")["meta"] == {
        "test": "1",
        "schema": "1",
        "born": str(queue.now_us),
        "of a later version": "x",
    }


def test_reading_a_queue_does_not_create_it(queue: "Bench") -> None:
    queue.client.delete(queue.keys.meta)
    queue.stats()
    assert not queue.snapshot()


def test_a_test_clock_is_used_only_in_a_queue_for_tests(queue: "Bench") -> None:
    queue.client.hset(queue.keys.meta, "test", "0")
    assert abs(queue.stats().at_ms - queue.now_ms) > 60_000
