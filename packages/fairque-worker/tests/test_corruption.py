"""Corrupt records in Redis: the worker sets them aside with a reason, and serves all others."""

from collections.abc import Callable
from typing import Any

import pytest

from fairque.protocol.jsonvalue import dumps, loads
from fairque.testing.internal import amend_record, eventually, read_message, write_message


def nothing() -> None:
    """The shortest task."""


def spoiled_messages() -> dict[str, Callable[[bytes], bytes]]:
    def without(field: str) -> Callable[[bytes], bytes]:
        return lambda message: dumps({name: value for name, value in loads(message).items() if name != field})

    def having(**fields: Any) -> Callable[[bytes], bytes]:
        return lambda message: dumps({**loads(message), **fields})

    return {
        "cut off": lambda message: message[:-20],
        "nothing": lambda _: b"",
        "no JSON": lambda _: b"\x00\xff\xfe",
        "no object": lambda _: b"[1,2,3]",
        "a number": lambda _: b"5",
        "deep": lambda _: b"[" * 100_000,
        "without an id": without("id"),
        "without a version": without("v"),
        "of a future version": having(v=99),
        "a version that is not a number": having(v="one"),
        "a wrong priority": having(priority=99),
        "wrong arguments": having(args=5),
        "a wrong timeout": having(timeout_ms="soon"),
        "wrong retries": having(retry={"factor": "x"}),
        "wrong parents": having(depends_on=[{"id": 5}]),
    }


@pytest.mark.parametrize("name", spoiled_messages())
def test_a_message_that_cannot_be_read_is_a_dead_letter_with_a_reason_and_others_are_served(
    bench: Any, name: str
) -> None:
    task_id = bench.push(nothing)
    spoil_message(bench, task_id, spoiled_messages()[name])
    others = bench.push_all([bench.task(nothing, user=user) for user in ("ann", "bob")])
    worker = bench.start(nothing, concurrency=1)
    error = bench.error(task_id)
    assert error["reason"] == "unreadable"
    assert error["error"]
    for other in others:
        bench.result(other)
    eventually(lambda: worker.running == 0, what="a free worker")


def test_a_message_of_another_type_is_a_dead_letter_too(bench: Any) -> None:
    task_id = bench.push(nothing)
    amend_record(bench.client, f"{bench.keys.prefix}t:{task_id}", fails=1)
    spoil(bench, f"t:{task_id}", {"a": "b"})
    bench.start(nothing)
    assert bench.error(task_id)["reason"] == "unreadable"
    bench.result(bench.push(nothing))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("t:{task}", b"\x85\xa5state"),
        ("t:{task}", b""),
        ("t:{task}", b"\xc1"),
        ("t:{task}", None),
        ("t:{task}", {"a": "b"}),
    ],
    ids=["cut off", "nothing", "no MessagePack", "gone", "another type"],
)
def test_a_task_whose_record_cannot_be_read_is_a_dead_letter_with_a_reason_and_others_are_served(
    bench: Any, key: str, value: Any
) -> None:
    task_id = bench.push(nothing)
    other = bench.push(nothing, user="bob")
    spoil(bench, key.format(task=task_id), value)
    bench.start(nothing, concurrency=1)
    eventually(lambda: bench.client.zscore(f"{bench.keys.prefix}dead", task_id), what="the dead letter")
    error = bench.error(task_id)
    assert (error["type"], error["reason"]) == ("BrokenRecord", "broken")
    bench.result(other)
    bench.result(bench.push(nothing))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("u", {"ann": b"\x85\xa1S"}),
        ("u", {"ann": b"x" * 37 + b"\xc1"}),
        ("u", b"no hash"),
        ("u", None),
        ("cfg:ann", b"no settings"),
        ("ready", b"no index"),
        ("running", b"no index"),
        ("delayed", b"no index"),
        ("kept", b"no index"),
        ("claim:w", {"a": "b"}),
        ("pending", b"no list"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_corrupt_key_of_the_queue_stops_neither_its_user_nor_others(bench: Any, key: str, value: Any) -> None:
    bench.client.hset(bench.keys.meta, mapping={"schema": "1", "limits": "1"})
    tasks = bench.push_all([bench.task(nothing, user=user) for user in ("ann", "bob") for _ in range(3)])
    spoil(bench, key, value)
    bench.start(nothing, concurrency=1, name="w")
    for task_id in tasks:
        bench.result(task_id)


def spoil(bench: Any, key: str, value: Any) -> None:
    name = f"{bench.keys.prefix}{key}"
    bench.client.delete(name)
    if isinstance(value, bytes):
        bench.client.set(name, value)
    elif value is not None:
        bench.client.hset(name, mapping=value)


def spoil_message(bench: Any, task_id: str, change: Callable[[bytes], bytes]) -> None:
    message = read_message(bench.client, bench.keys.prefix, task_id)
    write_message(bench.client, bench.keys.prefix, task_id, change(message))
