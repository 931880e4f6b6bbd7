"""Each field of the layout, spoiled in each way: scripts continue or change nothing, others are served, verify repairs.

The fields are those that a busy queue has, so that one which is added later is looked at by itself.
"""

import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator
from importlib import resources
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import pytest

from fairque.console.verifier import Report, verify
from fairque.protocol.calls.schedules import ScheduleWrite
from fairque.protocol.errors import FairqueError, ProtocolError, SchemaMismatch
from fairque.protocol.model.states import Priority, TaskState
from fairque.testing.internal import (
    TASK_RECORD,
    USER_RECORD,
    calls,
    examples,
    only_thorough,
    stored_schedule,
    stored_schedule_with,
)

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench

#: What somebody may have written in the place of a number, as text.
TEXTS: dict[str, bytes] = {
    "nothing": b"",
    "a word": b"many",
    "NaN": b"nan",
    "infinity": b"inf",
    "minus infinity": b"-inf",
    "less than nothing": b"-5",
    "the largest integer": b"9223372036854775807",
    "a huge float": b"1e308",
    "a fraction": b"1.5",
    "bytes": b"\xff\x00\xfe",
    "a long number": b"9" * 500,
}

#: The same in a record, as Lua.
VALUES = {
    "gone": "nil",
    "a word": '"many"',
    "a number as text": '"5"',
    "NaN": "0/0",
    "infinity": "1/0",
    "less than nothing": "-5",
    "the largest integer": "9223372036854775807",
    "a huge float": "1e308",
    "minus a huge float": "-1e308",
    "a fraction": "1.5",
    "a list": "{1, {2}}",
    "yes": "true",
    "no": "false",
}

SCORES = {"infinity": "+inf", "minus infinity": "-inf", "a huge float": "1e308", "minus a huge float": "-1e308"}
SCORES |= {"the largest integer": "9223372036854775807", "a fraction": "1.5", "less than nothing": "-5"}

T = TypeVar("T")
#: Makes one more queue like the template.
Copy: TypeAlias = Callable[[], "Bench"]

BROUGHT = stored_schedule(schedule_id="s", every_ms=1_000, user_id="ann", func="f", overlap="skip")


def some(values: Iterable[T], few: int, turn: int) -> list[T]:
    """All values in a thorough run; otherwise a few of them, in each turn others."""
    values = [*values]
    return list(itertools.islice(itertools.cycle(values), few * turn, few * turn + examples(few, len(values))))


def busy(queue: "Bench") -> None:
    """Let a queue have all that the layout names."""
    queue.run(calls.configure(queue.keys, backlog=10_000))
    queue.run(calls.limit(queue.keys, [calls.Setting("", "cap", 50), calls.Setting("", "burst", 2)]))
    queue.limit("bob", weight=2, cap=3, rate=1_000, burst=5, backlog=900)
    queue.limit("off", paused=1)
    queue.limit("slow", rate=1, burst=1)
    for user in ("ann", "bob", "off", "slow", "eve"):
        queue.fill(user, 4)
        queue.fill(user, 1, priority=Priority.CRITICAL)
    queue.fill("ann", 1, delay_ms=50_000)
    queue.push(queue.task("ann", task_id="parent", delay_ms=60_000, dedup_key="k"))
    queue.push(queue.task("ann", task_id="twin", dedup_key="k"), queue.task(None, task_id="kin", depends_on=["twin"]))
    queue.push(queue.task(None, task_id="child", depends_on=["parent"]))
    queue.run(calls.watch(queue.keys, "parent", "me"))
    queue.fill("zed", 1)
    held = queue.pop(12)
    (long,) = [one for one in held if json.loads(one.message)["user"] == "zed"]
    done, dead, again, canceled, lost, back, *_ = [one for one in held if one is not long]
    queue.run(calls.progress(queue.keys, [calls.Reported(lost.task_id, lost.token, parsed())]))
    queue.cancel(canceled.task_id)
    queue.beat(lost)
    queue.finish(done, result=b"1", xcom=b'{"a":1}')
    queue.fail(dead, verdict="dead")
    queue.fail(again, pause_ms=5_000)
    queue.release(back)
    queue.advance(5_000)
    queue.pop(6)
    # Something is queued whatever the rings are, and somebody has a debt.
    queue.fill("zoe", 3)
    for user in ("ann", "zoe"):
        queue.fill(user, 2, priority=Priority.LOW)
    queue.finish(long, ran_us=5_000_000)
    queue.push(queue.task("eve", task_id="late", depends_on=[done.task_id]))
    writes = [
        ScheduleWrite(schedule=stored_schedule_with(BROUGHT, schedule_id=name), revision=0, next_at=queue.now_ms)
        for name in "qrst"
    ]
    queue.run(calls.schedule(queue.keys, writes, message_limit=10_000))
    queue.run(calls.lead(queue.keys, "me", lease_ms=10_000))
    for step in range(2):
        at = queue.now_ms + step
        move = calls.move(BROUGHT, 1, time=at, following=at + 1, fire_at=at, missed=step, missed_last=at)
        queue.run(calls.fire(queue.keys, [move], term=1, result_ttl_ms=60_000))
    queue.advance(5)
    queue.guarded_sweep(5_000)


def parsed() -> Any:
    return calls.parse_progress(b'5\n{"done":1}')


class Copies:
    """Queues that are like one another, made of one template by DUMP and RESTORE."""

    def __init__(self, new_queue: Callable[[], "Bench"]) -> None:
        template = new_queue()
        busy(template)
        self.template = template.snapshot()
        prefix = template.keys.prefix.encode()
        names: list[Any] = template.client.keys(f"{template.keys.prefix}*")
        with template.client.pipeline(transaction=True) as pipeline:
            for name in names:
                pipeline.dump(name)
                pipeline.pttl(name)
            answers = iter(pipeline.execute())
        self._dumps = [(name[len(prefix) :], next(answers), next(answers)) for name in names]
        self._now_us = template.now_us
        template.drop()

    def make(self, queue: "Bench") -> "Bench":
        queue.now_us = self._now_us
        queue.begin_names_at(1_000)
        with queue.client.pipeline(transaction=True) as pipeline:
            for name, dump, ttl in self._dumps:
                pipeline.restore(queue.keys.prefix.encode() + name, max(0, ttl), dump, replace=True)
            pipeline.execute()
        return queue


@pytest.fixture(scope="module")
def made() -> dict[str, Copies]:
    """The template, made once. One kind of server is enough: what is asked here does not depend on it."""
    return {}


@pytest.fixture
def copy(queue_on: Callable[[str], "Bench"], made: dict[str, Copies], fairque_server_url: str) -> Iterator[Copy]:
    if "copies" not in made:
        made["copies"] = Copies(lambda: queue_on(fairque_server_url))
    queues: list[Bench] = []

    def make() -> "Bench":
        queues.append(made["copies"].make(queue_on(fairque_server_url)))
        return queues[-1]

    yield make
    for queue in queues:
        queue.drop()


def use(queue: "Bench", turn: int, *, watched: bool = False) -> list[str]:
    """Send every script, and return those that failed; when it is watched, none of these may have changed anything."""
    held: list[calls.Granted] = []
    k, ttl = queue.keys, {"result_ttl_ms": 60_000}
    both = {**ttl, "dead_ttl_ms": 60_000}
    move = calls.move(BROUGHT, 1, time=queue.now_ms, following=queue.now_ms + 9, fire_at=queue.now_ms)
    writes = ScheduleWrite(
        schedule=stored_schedule_with(BROUGHT, schedule_id=f"z{turn}"), revision=0, next_at=queue.now_ms + 5
    )
    pop = queue.pop_call(4)
    some = [f"n{turn}", "parent", "t1", "nobody"]
    tried: list[Any] = [
        lambda: calls.push(k, [queue.task("ann", task_id=f"n{turn}", dedup_key=f"k{turn}")], message_limit=9_999),
        lambda: calls.push(k, [queue.task(None, depends_on=[f"n{turn}", "parent"])], message_limit=9_999),
        lambda: calls.push(k, [queue.task("bob", delay_ms=5)], message_limit=9_999),
        lambda: calls.limit(k, [calls.Setting("bob", "cap", turn + 2)]),
        lambda: pop,
        lambda: calls.beat(k, pairs(held), lease_ms=30_000),
        lambda: calls.progress(k, [calls.Reported(*pair, parsed()) for pair in pairs(held)]),
        lambda: calls.release(k, [calls.Released(*pair, 5) for pair in pairs(held)[3:] or NOBODY], **ttl),
        lambda: calls.fail(k, [calls.Failed(*one, 5, "retry", 0, b"{}") for one in pairs(held)[2:] or NOBODY], **both),
        lambda: calls.finish(k, [calls.Finished(*pair, 5, b"1") for pair in pairs(held)], **ttl),
        lambda: calls.watch_many(k, some, "me"),
        lambda: calls.cancel(k, f"n{turn}", reason="", **ttl),
        lambda: calls.purge(k, "eve", reason="", most=1, **ttl),
        lambda: calls.redrive(k, dead_letters(queue), **ttl),
        lambda: calls.delete(k, dead_letters(queue)[:1], **ttl),
        lambda: calls.sweep(k, guard_ms=1_000, max_lost_workers=5, **both),
        lambda: calls.configure(k, backlog=9_000 + turn),
        lambda: calls.lead(k, f"other{turn}", lease_ms=10_000),
        lambda: calls.schedule(k, [writes], message_limit=9_999),
        lambda: calls.enable(k, "s", on=turn % 2 == 0),
        lambda: calls.fire(k, [move], term=10**13, **ttl),
        lambda: calls.unschedule(k, f"z{turn}"),
        lambda: calls.rouse(k),
        lambda: calls.interrupt(k, "w1"),
        lambda: calls.read_stats(k),
        lambda: calls.read_user(k, "ann"),
        lambda: calls.read_user(k, "bob"),
        lambda: calls.read_users(k),
        lambda: calls.read_configured(k),
        lambda: calls.explain(k, "parent"),
        lambda: calls.read_task(k, "parent"),
        lambda: calls.read_outputs(k, "kin", some),
        lambda: calls.read_progress(k, some),
        lambda: calls.read_dead(k),
        lambda: calls.due(k, ahead_ms=5),
        lambda: calls.read_some(k, ["s"]),
        lambda: calls.read_schedules(k),
        lambda: calls.read_scheduler(k),
    ]
    failed = []
    for make in tried:
        call = make()
        before = queue.snapshot_raw() if watched else {}
        broke, answer = carried_out(queue, call)
        if broke:
            failed.append(call.script)
            assert not watched or queue.snapshot_raw() == before, call.script
        elif call is pop and answer is not None:
            held = [*answer.tasks]
    queue.advance(1_000)
    return failed


def carried_out(queue: "Bench", call: Any) -> tuple[bool, Any]:
    """Send a call, and return whether its script failed, and the answer, None when it was refused."""
    try:
        return False, queue.run(call)
    except ProtocolError:
        return True, None
    except FairqueError:
        return False, None


NOBODY = [("nobody", "1:a")]


def pairs(held: list[calls.Granted]) -> list[tuple[str, str]]:
    return [(one.task_id, one.token) for one in held] or NOBODY


def dead_letters(queue: "Bench") -> list[str]:
    try:
        return [letter.task_id for letter in queue.run(calls.read_dead(queue.keys))] or ["nobody"]
    except FairqueError:
        return ["nobody"]


def others_are_served(queue: "Bench") -> None:
    """Of a user that came later, a task is finished."""
    queue.push(queue.task("yan", task_id="y"))
    for _ in range(200):
        held = queue.pop(20)
        queue.finish(*held) if held else None
        if any(one.task_id == "y" for one in held):
            break
    assert queue.state("y") is TaskState.FINISHED


def look(queue: "Bench", *, fix: bool = False) -> Report:
    return verify(queue.runner, queue.keys, fix, result_ttl_ms=60_000, dead_ttl_ms=120_000)


#: Findings of what is gone for good.
LOST = ("message", "result")


def is_repaired(queue: "Bench", what: str) -> None:
    """After a verification that repairs, nothing is found, every script works, and every task comes to its end."""
    repaired = look(queue, fix=True)
    assert [one for one in repaired.found if not one.fixed and one.kind not in LOST] == [], what
    assert [one for one in look(queue).found if one.kind not in LOST] == [], what
    assert use(queue, 7) == [], what
    assert [one for one in look(queue).found if one.kind not in LOST] == [], what


def every_task_ends(queue: "Bench", what: str) -> None:
    for user, limits in (("off", {"paused": None}), ("slow", {"rate": None}), ("bob", {"cap": None, "rate": None})):
        queue.limit(user, **limits)
    for _ in range(40):
        queue.advance(31_000)
        held = queue.pop(100)
        queue.finish(*held) if held else None
    left = queue.snapshot("n:", "c:", "s:", "running", "delayed", "deferred", "ready", "fresh", "critical")
    assert left == {}, what


def check(copy: Copy, spoil: Callable[["Bench"], object], what: str, *, found: bool = False) -> "Bench":
    """Spoil something in a queue, and look at what becomes of it and of all others."""
    queue = copy()
    spoil(queue)
    before = queue.snapshot_raw()
    seen = look(queue)
    assert queue.snapshot_raw() == before, what
    if found:
        assert seen.found, f"nothing was found: {what}"
    if use(queue, 0):
        again = copy()
        spoil(again)
        use(again, 0, watched=True)
    others_are_served(queue)
    use(queue, 1)
    is_repaired(queue, what)
    return queue


# HASHES

#: Values that are not error there, by field and value.
FINE = {
    ("cfg:bob weight", "a fraction"), ("cfg:bob rate", "a fraction"),
    *(("lock holder", value) for value in TEXTS),
    *(("meta schema", value) for value in ("the largest integer",)),
}  # fmt: skip

HASH_FIELDS = (
    *(f"meta {field}" for field in ("cost_mode", "backlog", "limits", "born")),
    *(f"lock {field}" for field in ("holder", "term", "until", "lease")),
    *(f"cfg:bob {field}" for field in ("weight", "cap", "rate", "burst", "backlog")),
    *("cfg:off paused", "cfg: cap", "cfg: burst"),
    *(f"counts {field}" for field in ("failed", "canceled", "retried", "changes", "fired")),
)


@pytest.mark.parametrize("field", HASH_FIELDS)
def test_a_field_of_a_hash(copy: Copy, field: str) -> None:
    name, _, of = field.partition(" ")
    for value in some(("a word", "NaN", "the largest integer", "less than nothing"), 1, HASH_FIELDS.index(field)):

        def spoil(queue: "Bench", text: bytes = TEXTS[value]) -> None:
            queue.client.hset(f"{queue.keys.prefix}{name}", of, text)

        check(copy, spoil, f"{field} is {value}", found=(field, value) not in FINE)
    queue = check(copy, lambda queue: queue.client.hdel(f"{queue.keys.prefix}{name}", of), f"{field} is gone")
    every_task_ends(queue, f"{field} is gone")


#: Values that are not errors in the scheduler record, by field and value.
FINE_GLOBALS = {
    *((field, "a fraction") for field in ("V", "est0", "next_at", "owe_min", "kept_at")),
    ("owe_min", "less than nothing"),
}
GLOBALS = (
    *("V", "aseq", "est0", "pop_at", "queued", "pushed", "finished", "seen", "shift"),
    *("next_at", "owe_min", "fresh_n", "kept_at"),
)
DOUBLES = {"NaN": math.nan, "infinity": math.inf, "less than nothing": -5, "a huge float": 1e308, "a fraction": 1.5}


@pytest.mark.parametrize("field", GLOBALS)
def test_a_value_of_the_scheduler_record(copy: Copy, field: str) -> None:
    for name, value in some(DOUBLES.items(), 1, GLOBALS.index(field)):

        def spoil(queue: "Bench", value: float = value) -> None:
            queue.amend_globals(**{field: value})

        what = f"{field} is {name}"
        every_task_ends(check(copy, spoil, what, found=(field, name) not in FINE_GLOBALS), what)


#: Values that a script could have written, and that are wrong here.
WRONG = {"next_at": 2**53, "owe_min": 2**53, "kept_at": 2**53, "fresh_n": 50}


@pytest.mark.parametrize("field", WRONG)
def test_a_wrong_value_of_the_scheduler_record(copy: Copy, field: str) -> None:
    def spoil(queue: "Bench") -> None:
        queue.amend_globals(**{field: WRONG[field]})

    every_task_ends(check(copy, spoil, f"{field} is wrong", found=True), f"{field} is wrong")


@pytest.mark.parametrize("flags", [0, 8, 255])
def test_flags_that_do_not_follow_from_the_settings(copy: Copy, flags: int) -> None:
    queue = check(copy, lambda queue: queue.amend_globals(flags=flags), f"flags are {flags}", found=True)
    every_task_ends(queue, f"flags are {flags}")


@pytest.mark.parametrize(
    "text", [b"", b"\x01", b"\x02" * 75, b"x" * 500], ids=["empty", "cut", "another version", "a text"]
)
def test_an_unreadable_scheduler_record(copy: Copy, text: bytes) -> None:
    queue = check(copy, lambda queue: queue.client.set(f"{queue.keys.prefix}g", text), repr(text), found=True)
    every_task_ends(queue, repr(text))


@pytest.mark.parametrize("value", [*[*TEXTS][:3], *only_thorough(*[*TEXTS][3:])])
def test_all_fields_of_hashes_at_once(copy: Copy, value: str) -> None:
    def spoil(queue: "Bench") -> None:
        for field in HASH_FIELDS:
            name, _, of = field.partition(" ")
            queue.client.hset(f"{queue.keys.prefix}{name}", of, TEXTS[value])

    queue = check(copy, spoil, f"all fields are {value}", found=True)
    every_task_ends(queue, f"all fields are {value}")


@pytest.mark.parametrize("value", [*[*TEXTS][:3], *only_thorough(*[*TEXTS][3:])])
def test_a_schema_that_is_not_a_number_is_refused_by_all_scripts_and_repaired(copy: Copy, value: str) -> None:
    queue = copy()
    queue.client.hset(queue.keys.meta, "schema", TEXTS[value])
    before = queue.snapshot_raw()
    with pytest.raises(SchemaMismatch):
        queue.push()
    seen = look(queue)
    assert [one.name for one in seen.found] == ["meta schema"]
    assert seen.unseen
    assert queue.snapshot_raw() == before
    is_repaired(queue, f"schema is {value}")
    every_task_ends(queue, f"schema is {value}")


# RECORDS


def fields_of(kind: str) -> tuple[str, ...]:
    return {
        "t": (
            *("state", "user", "prio", "digest", "timeout", "pushed_at", "ended_at", "cost", "dedup", "token"),
            *("settled", "charged", "score", "attempt", "lost", "fails", "solo", "worker", "cancel", "watch", "open"),
            *("root_at", "due", "at", "kids", "instead", "xcom", "keep", "told", "last", "result"),
            "large",
        ),
        "u": (
            *("S", "inf", "lane", "borrows", "sorted", "cs", "tat", "ewma", "served", "since", "leeway", "cut"),
            *("tombstones", "limited"),
        ),
        "schedule": (
            *("def", "timing", "rev", "on", "next", "from", "forget", "last", "fired", "missed", "skipped", "misses"),
            *("did", "content"),
        ),
    }[kind]


RECORDS = [(kind, field) for kind in ("t", "u", "schedule") for field in fields_of(kind)]

_SPOIL = """
local r = cmsgpack.unpack(redis.call("GET", KEYS[1]))
r[ARGV[1]] = {value}
redis.call("SET", KEYS[1], cmsgpack.pack(r))
"""


#: A value that its head cannot hold leaves the record as it is.
_SPOIL_TASK = (
    TASK_RECORD
    + """
local r = read_task(ARGV[1], ARGV[2])
r[ARGV[3]] = {value}
pcall(write_task, ARGV[1], ARGV[2], r)
"""
)

#: As `_SPOIL_TASK`.
_SPOIL_USER = (
    USER_RECORD
    + """
local r = parse_user(redis.call("HGET", KEYS[1], ARGV[1]))
r[ARGV[2]] = {value}
local fits, text = pcall(pack_user, r)
if fits then redis.call("HSET", KEYS[1], ARGV[1], text) end
"""
)


@pytest.mark.parametrize(("kind", "field"), [*RECORDS[::2], *only_thorough(*RECORDS[1::2])])
def test_a_field_of_a_record(copy: Copy, kind: str, field: str) -> None:
    """Of every second record of the kind at once, in as many ways: who comes upon one continues with the others."""
    ways = some(VALUES.items(), AT_ONCE[kind], RECORDS.index((kind, field)))
    while ways:
        now, ways = ways[: AT_ONCE[kind]], ways[AT_ONCE[kind] :]

        def spoil(queue: "Bench", now: list[tuple[str, str]] = now) -> None:
            if kind == "u":
                users: list[Any] = queue.client.hkeys(f"{queue.keys.prefix}u")
                for user, (_, lua) in zip(sorted(users)[::2], itertools.cycle(now), strict=False):
                    queue.client.eval(_SPOIL_USER.replace("{value}", lua), 1, f"{queue.keys.prefix}u", user, field)
                return
            keys: list[Any] = queue.client.keys(f"{queue.keys.prefix}{kind}:*")
            for key, (_, lua) in zip(sorted(keys)[::2], itertools.cycle(now), strict=False):
                if kind == "t":
                    task_id = key.decode().removeprefix(f"{queue.keys.prefix}t:")
                    text = _SPOIL_TASK.replace("{value}", lua)
                    queue.client.eval(text, 1, key, queue.keys.prefix, task_id, field)
                    continue
                queue.client.eval(_SPOIL.format(value=lua), 1, key, field)

        what = f"{field} of {kind}: is {[value for value, _ in now]}"
        every_task_ends(check(copy, spoil, what), what)


@pytest.mark.parametrize("tag", ["-1/0", "-1e308", "-2^53", "-1e15"])
def test_a_tag_that_no_user_can_have_does_not_make_its_user_the_next_one_forever(queue: "Bench", tag: str) -> None:
    queue.fill("ann", 41)
    queue.finish(*queue.pop())
    queue.fill("yan", 40)
    queue.client.eval(_SPOIL_USER.replace("{value}", tag), 1, f"{queue.keys.prefix}u", "ann", "S")
    queue.client.zadd(f"{queue.keys.prefix}ready", {"ann": queue.client.eval(f"return tostring({tag})", 0)}, xx=True)
    served: list[str] = []
    for _ in range(40):
        (held,) = queue.pop()
        served.append(json.loads(held.message)["user"])
        queue.advance(100)
        queue.finish(held, ran_us=100_000)
    assert served.count("yan") >= 10


@pytest.mark.parametrize("tag", ["1/0", "1e308", "2^53-1", "2^52"])
def test_a_tag_above_all_others_is_found_and_its_user_begins_at_virtual_time(queue: "Bench", tag: str) -> None:
    queue.fill("ann", 41)
    queue.finish(*queue.pop())
    queue.client.eval(_SPOIL_USER.replace("{value}", tag), 1, f"{queue.keys.prefix}u", "ann", "S")
    queue.client.zadd(f"{queue.keys.prefix}ready", {"ann": queue.client.eval(f"return tostring({tag})", 0)}, xx=True)
    assert {finding.what for finding in look(queue, fix=True).found} == {"its record cannot be read"}
    assert look(queue).clean
    place: Any = queue.client.zscore(f"{queue.keys.prefix}ready", "ann")
    assert place < 1_000_000


def test_a_tail_with_a_number_as_a_name_is_found_and_set_aside(queue: "Bench") -> None:
    queue.fill("ann", 3)
    key = f"{queue.keys.prefix}u"
    record: Any = queue.client.hget(key, "ann")
    queue.client.hset(key, "ann", record + b"\x81\x01\x02")
    assert {finding.what for finding in look(queue).found} == {"its record cannot be read"}
    assert queue.standing("ann").waiting == 3
    assert len(queue.pop(3)) == 3


#: Of how many records there are in the template at least, every second one.
AT_ONCE = {"t": 13, "u": 3, "schedule": 2}


def test_the_fields_of_records_are_those_of_the_specification() -> None:
    page = resources.files("fairque.protocol").joinpath("lua/README.md").read_text(encoding="utf-8")
    for kind, heading in (("t", "### Task record"), ("u", "### User record"), ("schedule", "## Schedules")):
        section = page.split(f"{heading}\n")[1].split("\n#")[0]
        rows = [row.split("|")[1] for row in section.splitlines() if row.startswith("| `")]
        listed = {name.strip(" `") for row in rows for name in row.split(",")}
        assert listed == {*fields_of(kind)}


# SCORES

INDEXES = (
    *("ready", "fresh", "critical", "owe", "timers", "users", "configured", "running", "delayed", "deferred"),
    *("kept", "held", "dead", "schedules", "due", "z:ann", "z:zoe", "c:ann", "s:ann", "w:parent"),
)


@pytest.mark.parametrize("index", INDEXES)
def test_the_scores_of_an_index(copy: Copy, index: str) -> None:
    """All of them, each in another way, from one or another on."""
    for first in some((0, 3), 1, INDEXES.index(index)):

        def spoil(queue: "Bench", first: int = first) -> None:
            key = f"{queue.keys.prefix}{index}"
            scores = itertools.islice(itertools.cycle(SCORES.values()), first, None)
            for member, score in zip(queue.client.zrange(key, 0, -1), scores, strict=False):
                queue.client.execute_command("ZADD", key, score, member)

        what = f"the scores of {index} are spoiled from {first} on"
        every_task_ends(check(copy, spoil, what), what)


@pytest.mark.thorough
@pytest.mark.parametrize("index", [one for one in INDEXES if one not in ("schedules", "due", "configured")])
def test_unknown_members_before_all_others(copy: Copy, index: str) -> None:
    names = [name for number in range(300) for name in (b"nobody%d" % number, b"\xff%d" % number)]
    strays: dict[Any, float] = dict.fromkeys(names, -1e300)
    check(copy, lambda queue: queue.client.zadd(f"{queue.keys.prefix}{index}", strays), f"strays in {index}")


# TYPES AND VALUES OF WHOLE KEYS

OTHER_TYPES: dict[str, Callable[[Any, str], Any]] = {
    "string": lambda client, key: client.set(key, b"\xff\x00 text"),
    "empty string": lambda client, key: client.set(key, b""),
    "hash": lambda client, key: client.hset(key, b"\xff", "b"),
    "list": lambda client, key: client.rpush(key, b"\xff\x00", ""),
    "set": lambda client, key: client.sadd(key, b"\xff\x00"),
    "zset": lambda client, key: client.zadd(key, {b"\xff\x00": 1}),
    "gone": lambda client, key: client.delete(key),
}

KINDS = (
    *("meta", "t:", "a", "x:", "r:", "p:", "w:", "n:", "z:", "c:", "u", "ready", "fresh", "critical", "owe", "timers"),
    *("users", "cfg:", "configured", "g", "running", "delayed", "deferred", "s:", "d:", "pending", "kept", "held"),
    *("dead", "counts", "dedup:", "claim:", "wake", "sweeping", "schedule:", "schedules", "due", "lock"),
)


#: What is not a string.
HELD_AS_OTHERS = [kind for kind in KINDS if kind[:-1] not in (*"txrp", "dedup", "claim", "schedule")]


@pytest.mark.parametrize("kind", [*KINDS[::2], *only_thorough(*KINDS[1::2])])
def test_a_key_of_another_type(copy: Copy, kind: str) -> None:
    # Strings for what is none, and a hash for those; the others in turn.
    turn = KINDS.index(kind) % 3
    first = "string" if kind in HELD_AS_OTHERS else "hash"
    others = (first, ("list", "set", "zset")[turn], "empty string", "gone")
    for other in some(others, 1, KINDS.index(kind)):

        def spoil(queue: "Bench", write: Callable[[Any, str], Any] = OTHER_TYPES[other]) -> None:
            keys: list[Any] = queue.client.keys(f"{queue.keys.prefix}{kind}{'*' if kind.endswith(':') else ''}")
            for key in sorted(keys)[:3]:
                queue.client.delete(key)
                write(queue.client, key)

        if kind == "meta":
            meta_is_repaired(copy, spoil, f"meta is {other}")
        else:
            check(copy, spoil, f"{kind} is {other}")


def meta_is_repaired(copy: Copy, spoil: Callable[["Bench"], object], what: str) -> None:
    queue = copy()
    spoil(queue)
    before = queue.snapshot_raw()
    if queue.client.type(queue.keys.meta) not in (b"hash", b"none"):
        with pytest.raises(ProtocolError, match="WRONGTYPE"):
            queue.push()
        assert queue.snapshot_raw() == before
    seen = look(queue)
    assert seen.found, what
    # Without its settings the queue goes by the server's clock, and notes that.
    unchanged = [key for key in before if not key.endswith(b":g")]
    after = queue.snapshot_raw()
    assert [after.get(key) for key in unchanged] == [before[key] for key in unchanged]
    look(queue, fix=True)
    assert look(queue).clean, what
    assert queue.run(calls.read_configured(queue.keys)).users
    queue.push(queue.task("yan"))


def test_every_kind_of_key_is_there(copy: Copy) -> None:
    """Each kind of key exists, so that each test checks something."""
    there = {name.partition(":")[0] for name in copy().snapshot()}
    assert {kind.rstrip(":") for kind in KINDS} - there <= {"pending", "wake"}
