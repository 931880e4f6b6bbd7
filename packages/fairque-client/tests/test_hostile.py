"""Hostile text and sizes in the client: stored unchanged or refused with a clear message, never partly stored."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairque.client import Task, TaskQueue
from fairque.console.verifier import verify
from fairque.protocol.config import RedisSection
from fairque.protocol.errors import FairqueError, InvalidTask, TaskTooLarge
from fairque.protocol.runners import Runner
from fairque.protocol.wire.keys import QueueKeys
from fairque.testing.internal import read_message

TEXTS = [
    *("{}", "{other}", "a:b", "a\x00b", "a\r\nb", "\n", "\x7f", "\x85", "\ud800", "a\udfffb", "", " ", "*", "?[a-z]"),
    *("\u00fcn\u00ef", "\u65e5\u672c", "\U0001f600" * 32, "\U0001f600" * 33, "x" * 128, "x" * 129, "\u202e", "\ufeff"),
    *("%s%n", "'; DROP", "../..", "$(x)"),
]


@pytest.fixture
def keys(fairque_queue_name: str) -> QueueKeys:
    return QueueKeys(fairque_queue_name)


@pytest.fixture
def queue(fairque_server_url: str, fairque_queue_name: str) -> Any:
    with TaskQueue.from_url(fairque_server_url, queue=fairque_queue_name) as queue:
        yield queue


@pytest.fixture
def runner(fairque_server_url: str) -> Any:
    runner = Runner(RedisSection(url=fairque_server_url))
    yield runner
    runner.close()


@pytest.fixture
def client(fairque_server_url: str) -> Any:
    with redis.Redis.from_url(fairque_server_url) as client:
        yield client


def everything(client: Any, keys: QueueKeys) -> dict[bytes, bytes]:
    return {key: client.dump(key) for key in client.keys(f"{keys.prefix}*")}


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
@pytest.mark.parametrize("field", ["user_id", "task_id", "dedup_key", "func", "payload", "key", "parent", "group_id"])
def test_text_is_stored_unchanged_or_refused_before_anything_is_stored(
    queue: Any, client: Any, runner: Runner, keys: QueueKeys, *, field: str, text: str
) -> None:
    fields: dict[str, Any] = {"user_id": "ann", "func": "f"}
    match field:
        case "key":
            fields["kwargs"] = {text: 1}
        case "parent":
            fields["depends_on"] = [text]
        case _:
            fields[field] = text
    try:
        handle = queue.push(Task(**fields))
    except (FairqueError, ValueError, TypeError):
        assert everything(client, keys) == {}
    else:
        assert handle.info().user_id == fields["user_id"]
        handle.cancel()
        assert verify(runner, keys).found == []


#: Methods that read or control a task or a user by id.
BY_NAME: dict[str, Callable[[Any, str], Any]] = {
    "state": lambda queue, text: queue.task(text).state(),
    "explain": lambda queue, text: queue.task(text).explain(),
    "cancel": lambda queue, text: queue.task(text).cancel(),
    "users.get": lambda queue, text: queue.users.get(text),
    "users.set": lambda queue, text: queue.users.set(text, weight=1),
    "users.pause": lambda queue, text: queue.users.pause(text),
    "tasks.cancel_all": lambda queue, text: queue.tasks.cancel_all(user_id=text),
}


@pytest.mark.parametrize("method", BY_NAME)
@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_reading_and_control_accept_any_text_or_refuse_it(queue: Any, method: str, text: str) -> None:
    with suppress(FairqueError, ValueError):
        BY_NAME[method](queue, text)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=20,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values)
def test_any_payload_is_stored_unchanged_or_refused(queue: Any, client: Any, keys: QueueKeys, payload: Any) -> None:
    handle = None
    with suppress(InvalidTask):
        handle = queue.push(Task(user_id="ann", payload=payload))
    if handle is None:
        # JSON cannot represent NaN, infinity, keys that are not strings, and lone surrogates without loss.
        assert json.loads(json.dumps(payload)) != payload or "Infinity" in json.dumps(payload)
    else:
        message = json.loads(read_message(client, keys.prefix, handle.task_id))
        assert message.get("payload") == payload


@pytest.mark.parametrize(
    "payload",
    ["x" * 10_000_000, ["x"] * 3_000_000, {str(n): n for n in range(200_000)}],
    ids=["text", "list", "object"],
)
def test_ten_megabytes_are_refused_with_the_size_and_the_limit(
    queue: Any, client: Any, keys: QueueKeys, payload: Any
) -> None:
    with pytest.raises(TaskTooLarge, match="allowed are 262,144"):
        queue.push(Task(user_id="ann", payload=payload))
    assert everything(client, keys) == {}


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_deeply_nested_values_are_refused_at_any_depth(queue: Any, client: Any, keys: QueueKeys) -> None:
    queue.push(Task(user_id="ann", payload=nested(32)))
    before = everything(client, keys)
    for depth in (33, 1_000, 100_000):
        with pytest.raises(InvalidTask, match="nested deeper than 32 levels"):
            queue.push(Task(user_id="ann", payload=nested(depth)))
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidTask, match="nested deeper"):
        queue.push(Task(user_id="ann", payload=endless))
    assert everything(client, keys) == before


def test_one_bad_task_refuses_its_whole_push(queue: Any, client: Any, keys: QueueKeys) -> None:
    tasks = [Task(user_id="ann", payload=n) for n in range(5)]
    for bad in (Task(user_id="ann", payload="x" * 300_000), Task(user_id="ann", payload={1: 2})):
        with pytest.raises(InvalidTask):
            queue.push_many([*tasks, bad])
    assert everything(client, keys) == {}
