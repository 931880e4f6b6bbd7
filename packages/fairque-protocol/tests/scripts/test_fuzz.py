"""With any arguments, and any overwritten keys, a script answers, and other tasks continue."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fairque.console.verifier import verify
from fairque.protocol.calls.schedules import ScheduleWrite
from fairque.protocol.errors import ProtocolError
from fairque.protocol.model.states import Priority, TaskState
from fairque.protocol.wire.scripts import script_names
from fairque.protocol.wire.status import Status
from fairque.testing.internal import TASK_RECORD, USER_RECORD, calls, examples, stored_schedule, stored_schedule_with

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.scripts.conftest import Bench

#: Kinds of findings that stay: contents that cannot be read, which a newer release may have written.
UNFIXED = ("message", "definition")
CODES = {int(status) for status in Status}

BROUGHT = stored_schedule(schedule_id="s", every_ms=1_000, user_id="ann", func="f")

quickly = settings(
    max_examples=examples(5, 25),
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

HOSTILE: list[bytes] = [
    *(b"", b" ", b"0", b"1", b"-1", b"2", b"6", b"7", b"1.5", b"1e3", b"1e300", b"nan", b"inf", b"-inf", b"0x10"),
    *(b"9007199254740991", b"9007199254740992", b"99999999999999999999", b"+5", b"+", b"-", b"(", b"(ann", b"[", b"*"),
    *(b"t1", b"t2", b"ann", b"bob", b"n:ann", b"running", b"retry", b"dead", b"QUEUED", b"weight", b"ct1", b"rt1\nct2"),
    *(b"{}", b"{q}", b"a\x00b", b"a\r\nb", b"\n", b"\xff\xfe", b"\xed\xa0\x80", b"?", b"[a-z]", b"%s%d%n", b"'", b'"'),
    *(b"x" * 127, b"x" * 129, b"x" * 5_000, b"x" * 300_000, b"[" * 5_000),
]


def life(queue: "Bench") -> dict[str, list[tuple[Any, ...]]]:
    """Let much happen in a queue, and return what was sent for that, by script."""
    sent: dict[str, list[tuple[Any, ...]]] = {name: [] for name in script_names()}
    run = queue.run

    def remembering(call: Any) -> Any:
        sent[call.script].append(call.args)
        return run(call)

    queue.run = remembering  # type: ignore[method-assign]
    queue.run(calls.configure(queue.keys, backlog=1_000))
    queue.limit("bob", cap=1, rate=10)
    queue.fill("ann", 4)
    queue.fill("ann", 1, priority=Priority.CRITICAL)
    queue.fill("bob", 3)
    queue.fill("ann", 1, delay_ms=5_000)
    queue.push(queue.task(task_id="p", dedup_key="k"), queue.task(task_id="c", depends_on=["p"]))
    queue.run(calls.watch(queue.keys, "p", "me"))
    first, second, third, *others = queue.pop(6)
    queue.beat(first, *others)
    queue.finish(first, result=b"1")
    queue.fail(second, verdict="dead")
    queue.release(third)
    queue.cancel("t3")
    queue.sweep()
    writes = [
        ScheduleWrite(schedule=BROUGHT, revision=0, next_at=queue.now_ms),
        ScheduleWrite(schedule=stored_schedule_with(BROUGHT, schedule_id="off", paused=True), revision=0),
    ]
    at = queue.now_ms
    move = calls.move(BROUGHT, 1, time=at, following=at + 1_000, fire_at=at)
    queue.run(calls.schedule(queue.keys, writes, message_limit=10_000))
    queue.run(calls.fire(queue.keys, [move], term=1, result_ttl_ms=60_000))
    queue.info("t1")
    queue.stats()
    queue.standing()
    for call in (
        calls.rouse(queue.keys),
        calls.explain(queue.keys, "t1"),
        calls.read_users(queue.keys),
        calls.read_configured(queue.keys),
        calls.read_dead(queue.keys),
        calls.purge(queue.keys, "eve", reason="", result_ttl_ms=1_000),
        calls.rights(queue.keys, ["GET *"]),
        calls.enable(queue.keys, "off", on=True),
        calls.due(queue.keys, ahead_ms=5_000),
        calls.read_some(queue.keys, ["s", "off"]),
        calls.read_schedules(queue.keys),
        calls.read_scheduler(queue.keys),
    ):
        queue.run(call)
    queue.run = run  # type: ignore[method-assign]
    return sent


def changed(draw: Any, args: tuple[Any, ...]) -> list[Any]:
    """The same arguments, a few of them spoiled."""
    spoiled = list(args)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(spoiled)))
        match draw(st.sampled_from(["replace", "replace", "replace", "remove", "insert", "repeat"])):
            case "replace" if place < len(spoiled):
                spoiled[place] = draw(st.sampled_from(HOSTILE) | st.binary(max_size=20))
            case "remove" if place < len(spoiled):
                del spoiled[place]
            case "insert":
                spoiled.insert(place, draw(st.sampled_from(HOSTILE)))
            case "repeat":
                spoiled += spoiled[place:]
    return spoiled


@pytest.mark.parametrize("name", script_names())
def test_any_arguments_get_a_known_status_and_a_refusal_changes_nothing(
    new_queue: "Callable[[], Bench]", name: str
) -> None:
    queue = new_queue()
    corpus = life(queue)[name] or [(b"1", b"t1", b"1:a", b"5", b"x")]

    @quickly
    @given(st.data())
    def spoil(data: Any) -> None:
        args = changed(data.draw, data.draw(st.sampled_from(corpus)))
        before = queue.snapshot_raw()
        reply = queue.raw(name, *args)
        assert isinstance(reply, list)
        assert reply[0] in CODES
        if reply[0] < 0:
            assert queue.snapshot_raw() == before
        else:
            assert [one for one in verify(queue.runner, queue.keys).found if one.kind not in UNFIXED] == []

    spoil()
    queue.drop()


@pytest.mark.parametrize("name", script_names())
@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 5, 7, 11, 200])
def test_any_number_of_arguments_gets_an_answer(queue: "Bench", name: str, number: int) -> None:
    queue.push()
    before = queue.snapshot_raw()
    reply = queue.raw(name, *[b""] * number)
    assert reply[0] in CODES
    assert reply[0] != Status.OK or queue.snapshot_raw() == before or number == 0


#: Ways in which somebody else may have written over a key.
SPOILS = ("cut", "bits", "nothing", "number", "text", "hash", "list", "zset", "gone", "field")

FIELDS = """
local record = cmsgpack.unpack(redis.call("GET", KEYS[1]))
local values = {"noon", -1, 1e300, 0/0, true, {1, {2}}, ""}
local names = {}
for name in pairs(record) do names[#names + 1] = name end
table.sort(names)
record[names[ARGV[1] % #names + 1]] = values[ARGV[2] % (#values + 1) + 1]
redis.call("SET", KEYS[1], cmsgpack.pack(record))
"""


USER_FIELDS = (
    USER_RECORD
    + """
local record = parse_user(redis.call("HGET", KEYS[1], ARGV[3]))
local values = {"noon", -1, 1e300, 0/0, true, {1, {2}}, ""}
local names = {"S", "served", "since", "ewma", "inf", "lane", "cs", "tat", "leeway", "cut"}
record[names[ARGV[1] % #names + 1]] = values[ARGV[2] % (#values + 1) + 1]
local fits, text = pcall(pack_user, record)
redis.call("HSET", KEYS[1], ARGV[3], fits and text or "")
"""
)


TASK_FIELDS = (
    TASK_RECORD
    + """
local record = read_task(ARGV[3], ARGV[4])
local values = {"noon", -1, 1e300, 0/0, true, {1, {2}}, ""}
local names = {}
for name in pairs(record) do names[#names + 1] = name end
table.sort(names)
record[names[ARGV[1] % #names + 1]] = values[ARGV[2] % (#values + 1) + 1]
if not pcall(write_task, ARGV[3], ARGV[4], record) then redis.call("HSET", ARGV[3] .. "a", ARGV[4], "") end
"""
)


def spoil_record(client: Any, key: bytes, how: str, dice: int) -> None:
    """Write over the record of a task or user in a hash."""
    names = sorted(client.hkeys(key))
    user = names[dice % len(names)]
    text = client.hget(key, user)
    place = dice % len(text)
    match how:
        case "cut":
            client.hset(key, user, text[:place])
        case "bits":
            client.hset(key, user, text[:place] + bytes([dice % 256]) + text[place + 1 :])
        case "field":
            of_user = key.endswith(b":u")
            more = (user,) if of_user else (key[:-1], user)
            client.eval(USER_FIELDS if of_user else TASK_FIELDS, 1, key, dice, dice // 7, *more)


def spoil_key(client: Any, key: bytes, how: str, dice: int) -> None:
    """Write over a key."""
    text = client.get(key) if client.type(key) == b"string" else b"some text"
    client.delete(key) if how not in ("cut", "bits", "field") else None
    match how:
        case "cut":
            client.set(key, text[: dice % (len(text) or 1)])
        case "bits":
            place = dice % (len(text) or 1)
            client.set(key, text[:place] + bytes([dice % 256]) + text[place + 1 :])
        case "nothing":
            client.set(key, b"")
        case "number":
            client.set(key, b"\x07")
        case "text":
            client.set(key, b"\xa3abc")
        case "hash":
            client.hset(key, "a", "b")
        case "list":
            client.rpush(key, "a")
        case "zset":
            client.zadd(key, {"a": 1})
        case "field":
            prefix, is_task, task_id = key.partition(b"}:t:")
            more = (prefix + b"}:", task_id) if is_task else ()
            client.eval(TASK_FIELDS if is_task else FIELDS, 1, key, dice, dice // 7, *more)


def lead(queue: "Bench") -> None:
    """What a leader does; its readers may fail where a definition, or the index itself, is spoiled."""
    with suppress(ProtocolError):
        soon = queue.run(calls.due(queue.keys, ahead_ms=5_000))
        known, _ = queue.run(calls.read_some(queue.keys, [name for name, _ in soon.times] or ["s"]))
        moves = [
            calls.move(BROUGHT, one.revision, time=at, following=at + 1_000, fire_at=at)
            for one in known
            if (at := one.next_ms) is not None and at <= queue.now_ms and one.schedule_id == "s"
        ]
        queue.run(calls.fire(queue.keys, moves, term=1, result_ttl_ms=60_000)) if moves else None


def use(queue: "Bench", number: int) -> None:
    """Every verb of workers, producers and schedulers, whatever it meets."""
    held = queue.pop(3)
    queue.beat(*held) if held else None
    queue.finish(*held[:1]) if held else None
    queue.fail(*held[1:2], pause_ms=0) if held[1:] else None
    queue.release(*held[2:]) if held[2:] else None
    queue.push(queue.task("ann", task_id=f"new{number}"), queue.task("bob"))
    queue.push(queue.task("ann", depends_on=[f"new{number}"]))
    queue.run(calls.watch(queue.keys, f"new{number}", "me"))
    queue.cancel(f"new{number}")
    queue.run(calls.purge(queue.keys, "bob", reason="", result_ttl_ms=1_000, most=1))
    queue.limit("ann", weight=number % 5 + 1)
    lead(queue)
    queue.advance(10_000)
    queue.sweep()


@pytest.mark.parametrize("how", SPOILS)
def test_overwritten_keys_block_nothing_else_and_can_be_fixed(new_queue: "Callable[[], Bench]", how: str) -> None:
    @settings(quickly, max_examples=examples(3, 15))
    @given(st.integers(0, 10**6), st.integers(0, 10**6))
    def spoil(which: int, dice: int) -> None:
        queue = new_queue()
        life(queue)
        names = [key.removeprefix(queue.keys.prefix.encode()) for key in queue.snapshot_raw()]
        if how == "field":
            names = [name for name in names if name.startswith((b"t:", b"schedule:")) or name in (b"a", b"u")]
        names = [name for name in names if name not in (b"meta", b"now", b"g", b"counts")]
        keys = [queue.keys.prefix.encode() + name for name in names]
        key = keys[which % len(keys)]
        in_hash = key.endswith((b"}:a", b"}:u")) and how in ("cut", "bits", "field")
        (spoil_record if in_hash else spoil_key)(queue.client, key, how, dice)
        for number in range(6):
            use(queue, number)
        # Others are served.
        queue.push(queue.task("zoe", task_id="z"))
        for _ in range(200):
            held = queue.pop(20)
            queue.finish(*held) if held else None
            if any(one.task_id == "z" for one in held):
                break
        assert queue.state("z") is TaskState.FINISHED
        verify(queue.runner, queue.keys, fix=True)
        left = verify(queue.runner, queue.keys)
        assert [one for one in left.found if one.kind not in UNFIXED] == []
        queue.drop()

    spoil()


def test_a_reader_reports_a_key_of_the_wrong_type_and_changes_nothing(queue: "Bench") -> None:
    queue.push()
    queue.client.delete(f"{queue.keys.prefix}n:ann")
    queue.client.set(f"{queue.keys.prefix}n:ann", "x")
    before = queue.snapshot_raw()
    with pytest.raises(ProtocolError, match="WRONGTYPE"):
        queue.standing()
    assert queue.snapshot_raw() == before
