"""push: what is stored, what a repeated push answers, and what is refused."""

import math
import struct
from typing import TYPE_CHECKING, Any

import pytest

from fairque.protocol.errors import SchemaMismatch, TaskConflict, TaskTooLarge
from fairque.protocol.model.states import Priority, TaskState
from fairque.protocol.model.task import with_fields
from fairque.protocol.wire.codec import encode_task
from fairque.protocol.wire.status import Status
from fairque.testing.internal import calls, packed, set_schema

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench

NO_NUMBERS = (-0.5, 0.5, math.nan, math.inf, -math.inf, 2.0**53, 1e300)
QUEUED, SCHEDULED = TaskState.QUEUED, TaskState.SCHEDULED
MALFORMED = Status.BAD_ARGS


def test_a_push_stores_everything_in_the_table_of_keys(queue: "Bench") -> None:
    task = queue.task(cost=0.25)
    assert queue.push(task) == [(Status.OK, QUEUED, "t1")]
    message = encode_task(task)
    assert queue.snapshot() == {
        "meta": {"test": "1", "schema": "1", "born": str(queue.now_us)},
        "g": queue.new_globals(aseq=1, pushed=1, queued=1, clk=queue.now_us, fresh_n=1),
        "fresh": [("ann", 1.0)],
        "n:ann": [("t1", queue.now_us - 120_000_000)],
        "users": [("ann", 0.0)],
        "u:ann": {
            "S": "0",
            "inf": "0",
            "lane": "F",
            "served": "0",
            "since": str(queue.now_ms),
        },
        "m:t1": message.data.decode(),
        "t:t1": {
            "state": "QUEUED",
            "user": "ann",
            "digest": message.digest,
            "pushed_at": str(queue.now_us),
            "cost": "250000",
        },
        "wake": ["1"],
    }


def test_a_delayed_task_waits_for_its_time(queue: "Bench") -> None:
    assert queue.push(queue.task(delay_ms=500)) == [(Status.OK, SCHEDULED, "t1")]
    found = queue.snapshot()
    assert found["delayed"] == found["s:ann"] == [("t1", queue.now_ms + 500)]
    assert found["t:t1"]["state"] == "SCHEDULED"
    assert not queue.snapshot("n:", "u:", "fresh", "ready")


def test_a_task_with_a_time_waits_for_it(queue: "Bench") -> None:
    queue.push(queue.task(execute_at=queue.now_ms + 1))
    assert queue.snapshot("delayed") == {"delayed": [("t1", queue.now_ms + 1)]}


def test_a_task_whose_time_has_passed_is_runnable(queue: "Bench") -> None:
    assert queue.push(queue.task(execute_at=queue.now_ms)) == [(Status.OK, QUEUED, "t1")]


def test_a_repeated_push_answers_the_current_state_and_changes_nothing(queue: "Bench") -> None:
    tasks = [queue.task(), queue.task(delay_ms=5), queue.task("bob", dedup_key="k")]
    queue.push(*tasks)
    before = queue.snapshot()
    assert queue.push(*tasks) == [
        (Status.ALREADY, QUEUED, "t1"),
        (Status.ALREADY, SCHEDULED, "t2"),
        (Status.ALREADY, QUEUED, "t3"),
    ]
    assert queue.snapshot() == before


def test_a_push_repeated_after_the_end_answers_the_ending(queue: "Bench") -> None:
    task = queue.task()
    queue.push(task)
    queue.finish(*queue.pop())
    assert queue.push(task) == [(Status.ALREADY, TaskState.FINISHED, "t1")]
    assert queue.pop() == ()


def test_the_same_task_with_another_creation_time_is_the_same(queue: "Bench") -> None:
    task = queue.task()
    queue.push(task)
    assert queue.push(with_fields(task, created_at=99)) == [(Status.ALREADY, QUEUED, "t1")]


def test_the_same_id_with_different_content_is_a_conflict_and_nothing_of_the_batch_is_stored(queue: "Bench") -> None:
    queue.push(queue.task(task_id="same"))
    before = queue.snapshot()
    with pytest.raises(TaskConflict, match="same exists with different content"):
        queue.push(queue.task(), queue.task(task_id="same", args=[1]))
    assert queue.snapshot() == before


def test_a_conflict_inside_a_batch_stores_nothing(queue: "Bench") -> None:
    before = queue.snapshot()
    with pytest.raises(TaskConflict):
        queue.push(queue.task(task_id="same"), queue.task(task_id="same", args=[1]))
    assert queue.snapshot() == before


def test_a_task_twice_in_a_batch_is_stored_once(queue: "Bench") -> None:
    task = queue.task()
    assert queue.push(task, task) == [(Status.OK, QUEUED, "t1"), (Status.ALREADY, QUEUED, "t1")]
    assert queue.snapshot("n:") == {"n:ann": [("t1", queue.now_us - 120_000_000)]}


def test_a_batch_keeps_its_order_whatever_its_ids(queue: "Bench") -> None:
    ids = [f"{(n * 7919) % 1000:03}" for n in range(1000)]
    queue.push(*(queue.task(task_id=task_id) for task_id in ids))
    assert [i for _ in range(10) for i in queue.pop_ids(100)] == ids


def test_two_batches_at_the_same_moment_keep_their_order(queue: "Bench") -> None:
    queue.push(queue.task(task_id="b"), queue.task(task_id="a"))
    queue.push(queue.task(task_id="0"))
    assert queue.pop_ids(3) == ["b", "a", "0"]


def test_a_clock_that_steps_back_keeps_the_order(queue: "Bench") -> None:
    queue.push(queue.task(task_id="b"))
    queue.advance(-10_000)
    queue.push(queue.task(task_id="a"))
    assert queue.pop_ids(2) == ["b", "a"]


def test_a_critical_task_is_in_its_own_lane(queue: "Bench") -> None:
    queue.push(queue.task(priority=Priority.CRITICAL))
    assert queue.snapshot("c:", "n:") == {"c:ann": [("t1", queue.now_us)]}
    assert queue.snapshot("critical") == {"critical": [("ann", -2_000_000.0)]}


def test_a_user_id_may_contain_any_printable_text(queue: "Bench") -> None:
    user = "auth0|{x}:*?[a] ü %s"
    queue.push(queue.task(user))
    assert [t.task_id for t in queue.pop()] == ["t1"]
    assert queue.info("t1").user_id == user


class TestDeduplication:
    def test_a_second_push_with_the_key_gets_the_first_task(self, queue: "Bench") -> None:
        queue.push(queue.task(dedup_key="k"))
        before = queue.snapshot()
        assert queue.push(queue.task(dedup_key="k")) == [(Status.DEDUPLICATED, QUEUED, "t1")]
        assert queue.snapshot() == before

    def test_the_key_holds_also_for_another_user_and_while_the_task_runs(self, queue: "Bench") -> None:
        queue.started(dedup_key="k")
        assert queue.push(queue.task("bob", dedup_key="k"))[0][:2] == (Status.DEDUPLICATED, TaskState.STARTED)

    def test_within_a_batch_the_first_task_holds_the_key(self, queue: "Bench") -> None:
        tasks = [queue.task(dedup_key="k"), queue.task(dedup_key="k", delay_ms=5)]
        assert queue.push(*tasks) == [(Status.OK, QUEUED, "t1"), (Status.DEDUPLICATED, QUEUED, "t1")]

    @pytest.mark.parametrize("ending", ["finish", "dead", "cancel"])
    def test_the_key_is_free_after_any_ending(self, queue: "Bench", ending: str) -> None:
        queue.push(queue.task(dedup_key="k"))
        if ending == "cancel":
            queue.cancel("t1")
        elif ending == "dead":
            queue.fail(*queue.pop(), verdict="dead")
        else:
            queue.finish(*queue.pop())
        assert not queue.snapshot("dedup:")
        assert queue.push(queue.task(task_id="new", dedup_key="k")) == [(Status.OK, QUEUED, "new")]

    def test_a_retry_keeps_the_key(self, queue: "Bench") -> None:
        queue.fail(queue.started(dedup_key="k"))
        assert queue.push(queue.task(dedup_key="k"))[0][:2] == (Status.DEDUPLICATED, SCHEDULED)

    def test_with_a_ttl_the_key_outlives_the_task(self, queue: "Bench") -> None:
        queue.finish(queue.started(dedup_key="k", dedup_ttl_ms=50_000))
        (key,) = queue.snapshot("dedup:")
        assert 40_000 < queue.ttl_ms(key) <= 50_000
        answer = (Status.DEDUPLICATED, TaskState.FINISHED, "t1")
        assert queue.push(queue.task(dedup_key="k", dedup_ttl_ms=50_000)) == [answer]

    def test_a_key_whose_task_has_expired_is_still_held(self, queue: "Bench") -> None:
        queue.finish(queue.started(dedup_key="k", dedup_ttl_ms=5_000_000))
        queue.advance(60_000)
        queue.sweep()
        assert queue.push(queue.task(dedup_key="k")) == [(Status.DEDUPLICATED, None, "t1")]

    def test_the_ending_of_an_older_task_does_not_free_the_key_of_a_newer_one(self, queue: "Bench") -> None:
        granted = queue.started(dedup_key="k")
        (key,) = queue.snapshot("dedup:")
        queue.client.set(f"{queue.keys.prefix}{key}", "another")
        queue.finish(granted)
        assert queue.snapshot("dedup:") == {key: "another"}


class TestRefusals:
    def test_the_script_also_refuses_a_message_above_the_limit(self, queue: "Bench") -> None:
        before = queue.snapshot()
        call = calls.push(queue.keys, [queue.task(), queue.task(args=["x" * 200])], message_limit=300)
        refused = queue.raw("push", 200, *call.args[1:])
        assert refused[:2] == [Status.TOO_LARGE, b"t2"]
        with pytest.raises(TaskTooLarge, match=r"allowed are 300"):
            call.decode(refused)
        assert queue.snapshot() == before

    def test_another_schema_is_refused(self, queue: "Bench") -> None:
        set_schema(queue.client, queue.keys.prefix, "2")
        before = queue.snapshot()
        with pytest.raises(SchemaMismatch, match="has schema 2"):
            queue.push()
        assert queue.snapshot() == before

    @pytest.mark.parametrize("first", ["", "x" * 129, "a\x00b", "a\rb", "\n+5"])
    def test_a_malformed_id_is_refused(self, queue: "Bench", first: str) -> None:
        is_refused(queue, first, packed())

    @pytest.mark.parametrize(
        "line",
        [
            *("", "5", "x", "xparent", " +5", "\t"),
            *("+", "+-5", "+5.5", "+soon", "+" + "9" * 16, "+" + "9" * 400, "+5 ", "+5\n+6", "+5\n@6"),
            *("@", "@-5", "@1e3", "@" + "9" * 16),
            *(
                "d",
                "dkey",
                "d" + "a" * 65,
                "dab ",
                "dab x",
                "dab -1",
                "dab 0.3",
                "dab inf",
                "dab " + "9" * 16,
                "dab 5 6",
            ),
            *("dab\ndcd", "dab\r"),
            *("c", "r", "c" + "p" * 129, "cp\n\ncq", "cp\n"),
        ],
    )
    def test_a_malformed_line_after_the_id_is_refused(self, queue: "Bench", line: str) -> None:
        is_refused(queue, f"bad\n{line}", packed())

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            packed()[:18],
            packed(message=b"")[:-1],
            packed(priority=7),
            packed(priority=255),
            *(packed(timeout_ms=number) for number in NO_NUMBERS),
            *(packed(cost_us=number) for number in (*NO_NUMBERS, -2)),
            packed(digest=b""),
            packed(digest=b"d" * 7),
            packed(digest=b"d" * 9),
            packed(digest=b"d" * 16),
            packed("é" * 65),
            *(packed(user) for user in ("a\x00b", "a\nb", "\x7f", "")),
            packed(priority=0),
        ],
    )
    def test_a_malformed_content_is_refused(self, queue: "Bench", content: bytes) -> None:
        is_refused(queue, "bad", content)

    @pytest.mark.parametrize(
        "arguments",
        [
            [],
            ["1000"],
            ["1000", "5"],
            ["x", "5", "id", packed()],
            ["1000", "x", "id", packed()],
            ["1048577", "5", "id", packed()],
            ["1000", "5", "id"],
            ["1000", "5", "id", packed(), "other"],
        ],
        ids=["none", "one", "no task", "no limit", "no retention time", "limit too high", "one short", "one too many"],
    )
    def test_wrong_numbers_of_arguments_are_refused(self, queue: "Bench", arguments: list[Any]) -> None:
        before = queue.snapshot()
        assert queue.raw("push", *arguments)[0] == MALFORMED
        assert queue.snapshot() == before

    def test_the_script_also_refuses_a_batch_above_the_limits(self, queue: "Bench") -> None:
        def tasks(number: int, message: bytes) -> list[Any]:
            return [a for n in range(number) for a in (f"t{n}", packed(message=message))]

        before = queue.snapshot()
        assert queue.raw("push", 1_000, 1_000, *tasks(1_001, b"{}"))[0] == MALFORMED
        assert queue.raw("push", 1_048_576, 1_000, *tasks(5, b"x" * 1_048_576))[0] == MALFORMED
        assert queue.snapshot() == before


class TestContent:
    """What a producer packs is stored as it is, and popped as it was stored."""

    @pytest.mark.parametrize("size", [0, 1, 2_000, 300_000])
    def test_any_bytes_may_be_the_message(self, queue: "Bench", size: int) -> None:
        message = bytes(number % 256 for number in range(size))
        queue.raw("push", 1_000_000, 1_000, "t", packed(message=message))
        (held,) = queue.pop()
        assert held.message == message

    @pytest.mark.parametrize("lines", ["", "\n+0", "\ndab", "\ncp"], ids=["plain", "due", "with a key", "dependent"])
    def test_every_way_stores_the_same_bytes(self, queue: "Bench", lines: str) -> None:
        queue.finish(queue.started(task_id="p"))
        content = packed("zoë", timeout_ms=5, cost_us=7, message=b"{}")
        assert queue.raw("push", 1_000, 1_000, f"t{lines}", content)[0] == Status.OK
        stored: Any = queue.client.get(f"{queue.keys.prefix}t:t")
        kind, pushed_us = struct.unpack_from("<Bd", stored)
        assert (kind, pushed_us // 1_000, stored[9:]) == (1, queue.now_ms, content)
        record = queue.snapshot()["t:t"]
        assert [record[name] for name in ("user", "timeout", "cost", "digest")] == ["zoë", "5", "7", "64" * 8]

    def test_an_inherited_user_and_priority_are_filled_in(self, queue: "Bench") -> None:
        queue.push(queue.task("zoë", task_id="p", priority=Priority.LOW))
        own = packed("", priority=0, timeout_ms=5, cost_us=7, message=b"{}")
        assert queue.raw("push", 1_000, 1_000, "t\ncp", own)[0] == Status.OK
        stored: Any = queue.client.get(f"{queue.keys.prefix}t:t")
        assert stored[9:] == packed("zoë", priority=2, timeout_ms=5, cost_us=7, message=b"{}")


def is_refused(queue: "Bench", first: str, content: bytes) -> None:
    before = queue.snapshot()
    good: list[Any] = ["good", packed()]
    for others in ([], good):
        code, why = queue.raw("push", 1_000, 1_000, *others, first, content)
        assert code == MALFORMED
        assert b"malformed" in why
        assert queue.snapshot() == before
