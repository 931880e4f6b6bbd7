"""The header of each script lists its arguments, answers and transitions; these tests check that it is correct."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fairque.protocol.calls.endings import Failed, Finished, Released
from fairque.protocol.calls.limits import Setting
from fairque.protocol.calls.progress import Reported
from fairque.protocol.calls.schedules import ScheduleWrite
from fairque.protocol.limits import LIMITS
from fairque.protocol.model.dependencies import After
from fairque.protocol.model.progress import Progress
from fairque.protocol.model.states import TRANSITIONS, TaskState
from fairque.protocol.model.task import Task
from fairque.protocol.wire.call import SCHEMA, Call
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.scripts import script, script_names
from fairque.protocol.wire.status import Status
from fairque.testing.internal import calls, stored_schedule

if TYPE_CHECKING:
    from tests.lua.conftest import Source

KEYS = QueueKeys("q")
#: A worker and its tasks must continue when the server is out of memory.
WORKER = {"pop", "beat", "finish", "fail", "release", "cancel", "sweep", "rouse", "interrupt", "watch", "progress"}
SCHEDULER = {"lead"}
#: What an operator needs when it is: to stop users and to drop their tasks.
OPERATOR = {"limit", "configure", "purge", "redrive", "delete", "enable", "unschedule"}
#: What looks for damage, and fixes it.
VERIFIER = {
    "verify_keys",
    "verify_tasks",
    "verify_parents",
    "verify_places",
    "verify_users",
    "verify_running",
    "verify_schedules",
    "verify_counts",
    "verify_settings",
}
READERS = {
    *("read_task", "read_stats", "read_user", "read_users", "read_configured", "explain", "rights"),
    *("read_outputs", "read_progress", "read_dead"),
    *("read_schedule", "read_schedules", "read_scheduler", "due"),
}
#: What makes something that was not there before.
MAKERS = {"push", "schedule", "fire"}


def sample(name: str, number: int) -> Call[Any]:
    """A call of a script for so many tasks."""
    each = range(number)
    ttl = {"result_ttl_ms": 1}
    both = {**ttl, "dead_ttl_ms": 1}
    schedules = [stored_schedule(schedule_id=f"s{n}", every_ms=1_000, user_id="ann") for n in each]
    writes = [ScheduleWrite(schedule=one, revision=0) for one in schedules]
    moves = [calls.move(one, 1, time=5, following=9, fire_at=5) for one in schedules]
    builders: dict[str, Any] = {
        "push": lambda: calls.push(KEYS, [Task(user_id="ann") for _ in each], message_limit=1_000),
        "interrupt": lambda: calls.interrupt(KEYS, "w"),
        "pop": lambda: calls.pop(
            KEYS,
            worker="w",
            claim="ab",
            count=1,
            lease_ms=1,
            max_lost_workers=1,
            finished=[Finished("t", "1:a", 1, b"") for _ in each],
            **both,
        ),
        "beat": lambda: calls.beat(KEYS, [("t", "1:a") for _ in each], lease_ms=1),
        "finish": lambda: calls.finish(KEYS, [Finished("t", "1:a", 1, b"") for _ in each], **ttl),
        "fail": lambda: calls.fail(KEYS, [Failed("t", "1:a", 1, "dead", 0, b"") for _ in each], **both),
        "release": lambda: calls.release(KEYS, [Released("t", "1:a", 1) for _ in each], **ttl),
        "cancel": lambda: calls.cancel(KEYS, "t", reason="", **ttl),
        "sweep": lambda: calls.sweep(KEYS, guard_ms=0, max_lost_workers=1, **both),
        "watch": lambda: calls.watch_many(KEYS, ["t" for _ in each]),
        "progress": lambda: calls.progress(KEYS, [Reported("t", "1:a", Progress(1)) for _ in each]),
        "read_progress": lambda: calls.read_progress(KEYS, ["t" for _ in each]),
        "read_task": lambda: calls.read_task(KEYS, "t"),
        "read_stats": lambda: calls.read_stats(KEYS),
        "rouse": lambda: calls.rouse(KEYS),
        "limit": lambda: calls.limit(KEYS, [Setting("ann", "cap", 1) for _ in each]),
        "configure": lambda: calls.configure(KEYS, backlog=1),
        "purge": lambda: calls.purge(KEYS, "ann", reason="", **ttl),
        "read_user": lambda: calls.read_user(KEYS, "ann"),
        "read_users": lambda: calls.read_users(KEYS),
        "read_configured": lambda: calls.read_configured(KEYS),
        "schedule": lambda: calls.schedule(KEYS, writes, message_limit=500),
        "enable": lambda: calls.enable(KEYS, "s", on=True),
        "unschedule": lambda: calls.unschedule(KEYS, "s"),
        "read_schedule": lambda: calls.read_some(KEYS, [one.schedule_id for one in schedules]),
        "read_schedules": lambda: calls.read_schedules(KEYS),
        "read_scheduler": lambda: calls.read_scheduler(KEYS),
        "due": lambda: calls.due(KEYS, ahead_ms=5),
        "fire": lambda: calls.fire(KEYS, moves, term=1, **ttl),
        "lead": lambda: calls.lead(KEYS, "a", lease_ms=1),
        "explain": lambda: calls.explain(KEYS, "t"),
        "rights": lambda: calls.rights(KEYS, ["GET *" for _ in each]),
        "read_dead": lambda: calls.read_dead(KEYS),
        "redrive": lambda: calls.redrive(KEYS, ["t" for _ in each], **ttl),
        "delete": lambda: calls.delete(KEYS, ["t" for _ in each], **ttl),
        "read_outputs": lambda: calls.read_outputs(KEYS, "t", ["t" for _ in each]),
        "verify_keys": lambda: calls.verify_keys(KEYS, [b"t:t" for _ in each], fix=False),
        "verify_tasks": lambda: calls.verify_tasks(KEYS, [b"t" for _ in each], fix=False, lease_ms=1, **both),
        "verify_parents": lambda: calls.verify_parents(KEYS, [(b"t", [After("p")]) for _ in each], fix=False, **ttl),
        "verify_places": lambda: calls.verify_places(KEYS, [(b"n:a", b"t") for _ in each], fix=False, dead_ttl_ms=1),
        "verify_users": lambda: calls.verify_users(KEYS, [b"ann" for _ in each], fix=False),
        "verify_schedules": lambda: calls.verify_schedules(KEYS, [b"s" for _ in each], fix=False),
        "verify_running": lambda: calls.verify_running(KEYS, [b"ann" for _ in each], fix=False),
        "verify_settings": lambda: calls.verify_settings(KEYS, fix=False),
        "verify_counts": lambda: calls.verify_counts(KEYS, fix=False),
    }
    call: Call[Any] = builders[name]()
    return call


def test_every_script_gets_the_meta_key_and_no_other(source: "Source") -> None:
    assert source.parts["KEYS"].split() == ["KEYS[1]", "meta"]
    assert "KEYS[2]" not in source.body


def test_the_builder_sends_the_arguments_of_the_header(source: "Source") -> None:
    arguments = source.arguments
    for number in (1, 3):
        sent = sample(source.name, number).args
        assert len(sent) == len(arguments.fixed) + number * len(arguments.group)


def test_the_stride_of_the_script_matches_its_header(source: "Source") -> None:
    stride = re.search(r"^local STRIDE = (\d+)$", source.body, re.MULTILINE)
    if stride:
        assert int(stride[1]) == len(source.arguments.group)


def test_the_codes_are_statuses(source: "Source") -> None:
    assert source.codes <= set(Status)


def test_the_header_lists_every_code_that_the_script_answers(source: "Source") -> None:
    answered = {int(code) for code in re.findall(r"(?:return|\breply\b.*=) \{(-?\d+)[,}]", source.body)}
    if holds := re.search(r"^local function holds\(.*?^end", source.body, re.MULTILINE | re.DOTALL):
        answered |= {int(code) for code in re.findall(r"return (-?\d+)\b", holds[0])}
    assert answered - {Status.BAD_ARGS} <= source.codes
    assert (Status.BAD_ARGS in source.codes) == ("bad_arguments" in source.functions)


def test_every_code_is_used(sources: list["Source"]) -> None:
    assert {code for source in sources for code in source.codes} == set(Status)


def test_the_moves_match_the_transitions_of_the_verb(source: "Source") -> None:
    """A verb makes its own transitions, and those of the functions that it uses, as promote and reclaim."""
    verbs = {source.name} | source.functions
    expected = {(t.before or "NEW", t.after) for t in TRANSITIONS if t.verb in verbs}
    assert source.moves == expected


def test_every_transition_has_a_script(sources: list["Source"]) -> None:
    moved = {move for source in sources for move in source.moves}
    assert moved == {(t.before or "NEW", t.after) for t in TRANSITIONS}


def test_scripts_that_only_read_are_flagged_no_writes(source: "Source") -> None:
    assert ("no-writes" in source.flags) == (source.name in READERS)


def test_scripts_of_workers_are_allowed_when_out_of_memory(source: "Source") -> None:
    assert ("allow-oom" in source.flags) == (source.name in WORKER | SCHEDULER | OPERATOR | VERIFIER)


def test_only_scripts_that_create_records_are_refused_when_out_of_memory() -> None:
    assert set(script_names()) == WORKER | SCHEDULER | OPERATOR | VERIFIER | READERS | MAKERS


def test_the_commands_that_a_script_needs_are_all_that_it_sends(source: "Source") -> None:
    """By whichever function it sends them: a right that is not asked for is missing in the ACL of a worker."""
    sent = set(re.findall(r'\w\("([A-Z]{3,})"', re.sub(r"--.*", "", source.body)))
    if "no-writes" in source.flags:
        sent -= {"RENAME", "PEXPIRE", "HINCRBY"}  # of set_aside, which it never calls
    assert sent - script(source.name).commands == set()


def test_a_script_is_short(source: "Source") -> None:
    assert len(source.lines) <= 120
    assert max(map(len, source.lines)) <= 120


def test_an_include_is_shorter_and_has_a_description(lua_folder: Path) -> None:
    for path in (lua_folder / "includes").iterdir():
        lines = path.read_text().splitlines()
        assert len(lines) <= 150, path.name
        assert max(map(len, lines)) <= 120, path.name
        assert lines[0].startswith(f"-- {path.stem}: "), path.name


def test_every_include_is_used(lua_folder: Path, sources: list["Source"]) -> None:
    used = {name for source in sources for name in source.includes}
    assert used == {path.stem for path in (lua_folder / "includes").iterdir()}


def test_no_include_is_left_over_in_a_script(source: "Source", lua_folder: Path) -> None:
    """A name that the include defines is used outside it."""
    paths = [f"{source.name}.lua", *(f"includes/{name}.lua" for name in sorted(source.includes))]
    texts = {path: (lua_folder / path).read_text() for path in paths}
    for path, text in texts.items():
        if path.startswith("includes/") and not path.startswith("includes/quick_"):
            defined = re.findall(r"^local (?:function )?(\w+)", text, re.MULTILINE)
            others = "\n".join(other for name, other in texts.items() if name != path)
            assert any(re.search(rf"\b{name}\b", others) for name in defined), path


def test_a_script_uses_nothing_before_it_is_defined(source: "Source") -> None:
    """Lua would read a global of that name, and the server refuses that only when the line is run."""
    code = "\n".join(line.partition("--")[0] for line in source.body.splitlines() if not line.startswith("#!"))
    for name in re.findall(r"^local function (\w+)", code, re.MULTILINE):
        first_call = re.search(rf"(?<![\w.:])(?<!function ){name}\(", code)
        defined = code.index(f"local function {name}(")
        assert first_call is None or defined < first_call.start(), name


def test_the_scripts_and_python_agree_on_the_schema(source: "Source") -> None:
    assert f'meta[1] ~= "{SCHEMA}"' in source.body
    for written in re.findall(r'"schema", "(\d+)"', source.body):
        assert int(written) == SCHEMA


def test_the_scripts_and_python_agree_on_the_states_in_which_a_task_has_ended(lua_folder: Path) -> None:
    (written,) = re.findall(r"TERMINAL = \{(.*)\}", (lua_folder / "includes" / "tasks.lua").read_text())
    assert {one.split(" = ")[0] for one in written.split(", ")} == {state for state in TaskState if state.ended}
    for path in lua_folder.rglob("*.lua"):
        assert path.stem in ("tasks", "readable") or "CANCELED = true" not in path.read_text(), path


def test_no_script_scans_keys_or_parses_json_of_users(source: "Source") -> None:
    assert not re.search(r'"(KEYS|SCAN|HSCAN|ZSCAN|SSCAN)"|cjson\.decode', source.body)


def test_every_range_has_a_bound(source: "Source") -> None:
    """By a LIMIT, as the head of the list, by a number of places, or as one place."""
    for command in re.findall(
        r'call\("(ZRANGEBYSCORE|ZREVRANGEBYSCORE|ZRANGEBYLEX|ZRANGE|ZREVRANGE|LRANGE)", (.*)', source.body
    ):
        assert "LIMIT" in command[1] or re.search(
            r', "?0"?, "?(?:0|\d+)"?[,)]|(?:most|\d+) - 1\)|(rank|first), \1 \+ (?:most|\d+)\)|middle, middle\)',
            command[1],
        ), command


@pytest.mark.parametrize("name", script_names())
def test_numbers_are_written_without_loss(name: str) -> None:
    """Lua's own conversion prints 14 digits; times in microseconds have 16."""
    code = re.sub(r"--.*", "", script(name).text)
    assert "tostring(" not in code
    assert not re.search(r"\.\. *now\b|\bnow *\.\.", code)


def test_the_scripts_have_the_same_limits_as_python(lua_folder: Path) -> None:
    text = (lua_folder / "includes" / "user_record.lua").read_text()
    found = {
        name: (float(least), float(most), whole == "true", of_all == "true")
        for name, least, most, whole, of_all in re.findall(r"(\w+) = \{([\d.e-]+), ([\d.e-]+), (\w+), (\w+)\}", text)
    }
    assert found == {name: (one.least, one.most, one.whole, one.of_all) for name, one in LIMITS.items()}
    (names,) = re.findall(r"SETTINGS = \{(.*)\}", text)
    assert [name.strip('"') for name in names.split(", ")] == list(LIMITS)
