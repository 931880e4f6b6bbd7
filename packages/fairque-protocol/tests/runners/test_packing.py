"""Calls as bytes: the same as those of redis-py."""

from typing import Any

import pytest
from redis.connection import Connection

from fairque.protocol.errors import ProtocolError
from fairque.protocol.runners.connection import command, script_text
from fairque.protocol.runners.packing import pack, pack_again, pack_command
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.keys import QueueKeys

KEYS = QueueKeys("packing")


class Text(str):
    """A subclass, such as a member of a StrEnum."""

    __slots__ = ()


def call(*args: Any, script: str = "push") -> Call[Any]:
    return Call(script, KEYS, args, lambda reply: reply)


def by_redis(*commands: tuple[Any, ...]) -> bytes:
    return b"".join(Connection(protocol=2).pack_commands(commands))


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("", "text", "träg", Text("part")),
        (b"", b"\x00\r\n", b"x" * 10_000),
        (0, -1, 2**60, 0.1, 1e300, -0.0, 5.0),
    ],
    ids=["none", "text", "bytes", "numbers"],
)
def test_a_call_has_the_bytes_that_redis_py_would_send(args: tuple[Any, ...]) -> None:
    assert pack([call(*args)]).commands == by_redis(command(call(*args)))


def test_several_calls_begin_with_the_scripts_that_the_server_may_lack() -> None:
    calls = [call(1), call(2, script="pop"), call(3)]
    packet = pack(calls, {"pop"})
    load = ("SCRIPT LOAD", script_text(calls[0]))
    assert packet.commands == by_redis(load, *map(command, calls))
    assert (packet.loads, packet.number) == (("push",), 4)


def test_a_call_whose_script_was_missing_is_sent_with_it() -> None:
    assert pack_again(call("x")) == (by_redis(("SCRIPT LOAD", script_text(call())), command(call("x"))), 2)


def test_any_command_can_be_packed() -> None:
    assert pack_command("BLPOP", "key", 0.5) == by_redis(("BLPOP", "key", 0.5))


@pytest.mark.parametrize("value", [None, True, ["x"], {}], ids=repr)
def test_a_value_that_no_script_takes_is_refused(value: Any) -> None:
    with pytest.raises(ProtocolError, match="queue 'packing': an argument of push cannot be sent: it is of type"):
        pack([call(value)])
