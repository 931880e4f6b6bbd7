"""Bytes become the same answers as with redis-py, however they arrive."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, NoScriptError, ReadOnlyError, ResponseError

from fairque.protocol.runners.replies import Incomplete, Replies

numbers = st.integers(-(2**63), 2**63 - 1)
leaves = numbers | st.binary(max_size=30) | st.none() | st.sampled_from([b"\r\n", b":1\r\n", b"$-1", b""])
answers = st.recursive(leaves, lambda inner: st.lists(inner, max_size=6), max_leaves=30)


def encoded(answer: Any) -> bytes:
    if isinstance(answer, int):
        return b":%d\r\n" % answer
    if isinstance(answer, bytes):
        return b"$%d\r\n%b\r\n" % (len(answer), answer)
    if answer is None:
        return b"$-1\r\n"
    return b"*%d\r\n%b" % (len(answer), b"".join(map(encoded, answer)))


def replies(*parts: bytes) -> Replies:
    made = Replies(ResponseError)
    for part in parts:
        made.feed(part)
    return made


def taken(data: bytes, sizes: list[int], number: int) -> list[Any]:
    """The answers of bytes that arrive in parts of these sizes, over and over."""
    found: list[Any] = []
    made, at, turn = replies(), 0, 0
    while len(found) < number:
        try:
            found.append(made.take())
        except Incomplete:
            assert at < len(data), "it wants more bytes than there are"
            size = sizes[turn % len(sizes)]
            made.feed(data[at : at + size])
            at, turn = at + size, turn + 1
    return found


@given(answers)
def test_an_answer_that_arrives_at_once_is_read(answer: Any) -> None:
    assert replies(encoded(answer)).take() == answer


@given(st.lists(answers, min_size=1, max_size=4), st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_answers_that_arrive_in_parts_are_read(several: list[Any], sizes: list[int]) -> None:
    assert taken(b"".join(map(encoded, several)), sizes, len(several)) == several


def test_a_long_answer_is_read_in_parts() -> None:
    answer = [1, *(value for number in range(20_000) for value in (number, b"QUEUED", b"%036d" % number))]
    assert taken(encoded(answer), [65_536], 1) == [answer]


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"+OK\r\n", b"OK"),
        (b"*-1\r\n", None),
        (b"*0\r\n", []),
        (b"*2\r\n*0\r\n*-1\r\n", [[], None]),
        (b"*2\r\n+OK\r\n:1\r\n", [b"OK", 1]),
        (b"*1\r\n$2\r\n\r\n\r\n", [b"\r\n"]),
        (b"*2\r\n$-1\r\n:007\r\n", [None, 7]),
    ],
)
def test_rare_answers_are_read(data: bytes, answer: Any) -> None:
    assert replies(data).take() == answer


def test_an_error_is_returned_with_its_text() -> None:
    made = replies(b"*2\r\n-ERR inside\r\n:1\r\n-NOSCRIPT none\r\n")
    (inside, number), error = made.take(), made.take()
    assert (str(inside), number, str(error)) == ("ERR inside", 1, "NOSCRIPT none")


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("NOSCRIPT No matching script.", NoScriptError),
        ("READONLY You can't write against a read only replica.", ReadOnlyError),
        ("LOADING Redis is loading the dataset in memory", RedisConnectionError),
        ("WRONGTYPE Operation against a key", ResponseError),
    ],
)
def test_errors_have_the_types_of_redis_py(line: str, kind: type[Exception]) -> None:
    from redis.connection import Connection  # noqa: PLC0415 - its parser is what runners pass

    made = Replies(Connection(protocol=2)._parser.parse_error)
    made.feed(f"-{line}\r\n".encode())
    assert isinstance(made.take(), kind)


@pytest.mark.parametrize("data", [b"", b"*2\r\n:1\r\n", b"$5\r\nab", b"$5\r\nabcde", b":1", b"*1\r\n*1\r\n"])
def test_more_bytes_are_asked_for(data: bytes) -> None:
    with pytest.raises(Incomplete):
        replies(data).take()


@pytest.mark.parametrize("data", [b"HTTP/1.1 400\r\n", b"\r\n", b"*1\r\n\x15\x03\r\n", b":x\r\n", b"*x\r\n", b"$x\r\n"])
def test_what_is_no_answer_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidResponse, match="Protocol Error"):
        replies(data).take()


@given(st.binary(max_size=60))
def test_no_bytes_raise_another_error(data: bytes) -> None:
    made = replies(data)
    try:
        for _ in range(5):
            made.take()
    except (Incomplete, InvalidResponse):
        pass
