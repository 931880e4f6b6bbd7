"""Call builders: what they refuse before anything is sent, and how they decode answers."""

from hashlib import blake2b
from typing import Any

import pytest

from fairque.protocol.calls.endings import Finished
from fairque.protocol.errors import BatchTooLarge, InvalidTask, ProtocolError, SchemaMismatch, TaskTooLarge
from fairque.protocol.model.dependencies import After
from fairque.protocol.model.task import Task, from_fields
from fairque.protocol.wire.codec import encode_task
from fairque.protocol.wire.keys import QueueKeys
from fairque.testing.internal import calls

KEYS = QueueKeys("q")
MIB = 1_048_576


def task(**fields: Any) -> Task[Any]:
    return from_fields(user_id="ann", created_at=0, **fields)


def hashed(key: str) -> str:
    return blake2b(key.encode(), digest_size=16).hexdigest()


class TestPush:
    @pytest.mark.parametrize("number", [0, 1_001])
    def test_a_batch_has_1_to_1000_tasks(self, number: int) -> None:
        with pytest.raises(BatchTooLarge, match="an atomic call takes 1 to 1,000"):
            calls.push(KEYS, [task()] * number, message_limit=1_000)

    def test_a_batch_has_at_most_4_mib(self) -> None:
        large = [task(payload="x" * (MIB - 1_000)) for _ in range(5)]
        with pytest.raises(BatchTooLarge, match=r"have 5,\d\d\d,\d\d\d bytes: an atomic call takes at most 4,194,304"):
            calls.push(KEYS, large, message_limit=MIB)
        assert calls.push(KEYS, large[:4], message_limit=MIB)

    def test_a_message_has_a_limit(self) -> None:
        with pytest.raises(TaskTooLarge, match=r"task t1: the message has .* bytes, allowed are 500") as caught:
            calls.push(KEYS, [task(task_id="t1", payload="é" * 250)], message_limit=500)
        assert (caught.value.task_id, caught.value.limit) == ("t1", 500)
        assert caught.value.size > 500

    def test_a_message_of_exactly_the_limit_is_accepted(self) -> None:
        only = task(task_id="t1", payload="x" * 100)
        size = encode_task(only).size
        assert calls.push(KEYS, [only], message_limit=size)
        with pytest.raises(TaskTooLarge):
            calls.push(KEYS, [only], message_limit=size - 1)

    def test_tasks_are_sent_after_their_dependencies_and_otherwise_in_order(self) -> None:
        tasks = [task(task_id="c", depends_on=["a", "b"]), task(task_id="b", depends_on=["a"]), task(task_id="a")]
        assert calls.push(KEYS, tasks, message_limit=1_000).args[2::2] == ("a", "b\nca", "c\nca\ncb")
        assert calls.push(KEYS, [task(task_id=t) for t in "cab"], message_limit=1_000).args[2::2] == ("c", "a", "b")

    @pytest.mark.parametrize(
        ("options", "lines"),
        [
            ({}, []),
            ({"delay_ms": 1_500}, ["+1500"]),
            ({"execute_at": 1_767_225_600_000}, ["@1767225600000"]),
            ({"depends_on": ["a", After("b", "run")]}, ["ca", "rb"]),
            ({"delay_ms": 2_000, "dedup_key": "k", "dedup_ttl_ms": 3_000}, ["+2000", f"d{hashed('k')} 3000"]),
            ({"dedup_key": "k"}, [f"d{hashed('k')}"]),
        ],
    )
    def test_what_few_tasks_have_follows_the_id_a_line_each(self, options: Any, lines: list[str]) -> None:
        call = calls.push(KEYS, [task(task_id="t", **options)], message_limit=1_000)
        assert call.args[2] == "\n".join(["t", *lines])

    def test_a_cycle_is_reported(self) -> None:
        tasks = [task(task_id="a", depends_on=["c"]), task(task_id="b", depends_on=["a"])]
        calls.push(KEYS, tasks, message_limit=1_000)
        with pytest.raises(InvalidTask, match=r"in a cycle.*: (a -> c -> b -> a|b -> a -> c -> b|c -> b -> a -> c)"):
            calls.push(KEYS, [*tasks, task(task_id="c", depends_on=["b"])], message_limit=1_000)
        with pytest.raises(InvalidTask, match=r"in a cycle.*: d -> d"):
            calls.push(KEYS, [task(task_id="d", depends_on=["d"])], message_limit=1_000)

    def test_a_task_without_a_user_is_refused(self) -> None:
        with pytest.raises(InvalidTask, match="has no user_id"):
            calls.push(KEYS, [Task(task_id="t1")], message_limit=1_000)

    def test_a_deduplication_key_is_sent_as_a_hash_of_fixed_length(self) -> None:
        def dedup(key: str) -> Any:
            return calls.push(KEYS, [task(task_id="t", dedup_key=key)], message_limit=1_000).args[2]

        assert dedup("a" * 128) != dedup("b" * 128)
        assert len(dedup("a" * 128)) == len("t\nd") + 32
        assert dedup("a") == dedup("a")


def test_building_a_call_twice_gives_the_same_arguments() -> None:
    one = calls.finish(KEYS, [Finished("t1", "1:ab", 5, b"1")], result_ttl_ms=9)
    two = calls.finish(KEYS, [Finished("t1", "1:ab", 5, b"1")], result_ttl_ms=9)
    assert (one.script, one.keys, one.args) == (two.script, two.keys, two.args)
    assert one.args == (9, "t1", "1:ab", 5, b"1", b"")


def test_a_pop_requests_at_most_what_the_script_allows() -> None:
    call = calls.pop(
        KEYS,
        worker="w",
        claim="ab",
        count=5_000,
        lease_ms=1,
        max_lost_workers=1,
        result_ttl_ms=1,
        dead_ttl_ms=1,
    )
    assert call.args[2] == 100


def test_refused_arguments_are_a_protocol_error() -> None:
    with pytest.raises(ProtocolError, match="queue 'q': too few"):
        calls.read_stats(KEYS).decode([-5, b"too few"])


@pytest.mark.parametrize(
    ("found", "advice"),
    [(b"0", "upgrade the processes that still write"), (b"2", "upgrade fairque-protocol here"), (b"x", "upgrade")],
)
def test_another_schema_says_which_side_to_upgrade(found: bytes, advice: str) -> None:
    with pytest.raises(SchemaMismatch, match=advice):
        calls.read_stats(KEYS).decode([-6, found])
