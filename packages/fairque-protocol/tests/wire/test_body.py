"""The body of a task is read as it was packed."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairque.protocol.model.task import Task
from fairque.protocol.wire.body import content, content_head, digest_in, message_in, read_body
from fairque.protocol.wire.codec import encode_task
from fairque.testing.internal import packed

NUMBERS = st.integers(0, 2**53 - 1)
USERS = st.text(min_size=1, max_size=32)


@given(
    NUMBERS,
    st.tuples(st.integers(1, 6), NUMBERS, NUMBERS | st.none()),
    st.binary(min_size=8, max_size=8),
    USERS,
    st.lists(st.binary()),
)
def test_a_body_is_read_as_it_was_packed(
    pushed_us: int, options: tuple[int, int, int | None], digest: bytes, user_id: str, parts: list[bytes]
) -> None:
    priority, timeout_ms, cost_us = options
    message = b"".join(parts)
    sent = content(content_head(priority, timeout_ms, cost_us), digest, user_id, *parts)
    cost = -1 if cost_us is None else cost_us
    assert sent == packed(
        user_id, priority=priority, timeout_ms=timeout_ms, cost_us=cost, digest=digest, message=message
    )
    assert digest_in(sent) == digest
    body = struct.pack("<Bd", 1, pushed_us) + sent
    assert read_body(body) == (pushed_us // 1_000, priority, user_id, message)
    assert message_in(body) == message


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x02" + b"x" * 100, b"x" * 100])
def test_what_is_not_a_body_has_no_message(data: bytes) -> None:
    assert message_in(data) is None
    assert read_body(data) == (0, 0, "", b"")


@given(st.binary())
def test_any_bytes_can_be_read(data: bytes) -> None:
    read_body(b"\x01" + data)


def test_an_encoded_task_is_its_content() -> None:
    task = Task(task_id="t1", user_id="zoë", timeout=5, cost=0.25, args=[1])
    message = encode_task(task)
    digest = bytes.fromhex(message.digest)
    assert message.content == packed("zoë", timeout_ms=5_000, cost_us=250_000, digest=digest, message=message.data)
    assert message.size == len(message.data)
