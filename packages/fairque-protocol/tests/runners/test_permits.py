"""Users whose ACL lacks any right that a script needs are refused before the first write."""

import asyncio
import re
from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any, TypeAlias

import pytest
import redis

from fairque.protocol.config import RedisSection
from fairque.protocol.errors import FairqueError, ServerUnsuitable
from fairque.protocol.model.task import Task
from fairque.protocol.runners import Runner
from fairque.protocol.runners.aio import AsyncRunner
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.rights import KEYS, ROLES, needs_of, needs_of_role
from fairque.protocol.wire.scripts import script_names
from fairque.testing import PlainServer
from fairque.testing.internal import calls, pop_call, stored_schedule, stored_schedule_with

QUEUE = QueueKeys("q")
P = QUEUE.prefix
TTLS: dict[str, int] = {"result_ttl_ms": 60_000, "dead_ttl_ms": 60_000}
PASSWORD = "pw"  # noqa: S105 - of a server of the test

#: A user of the server, made of ACL rules.
As: TypeAlias = Callable[..., Runner]


def pop(number: int = 1) -> Call[calls.Popped]:
    return pop_call(QUEUE, number)


def push(*task_ids: str, **fields: Any) -> Call[Any]:
    tasks: list[Task[Any]] = [Task(task_id=task_id, user_id="ann", **fields) for task_id in task_ids]
    return calls.push(QUEUE, tasks, message_limit=1_000)


@pytest.fixture(scope="module")
def server() -> Iterator[PlainServer]:
    with PlainServer() as server:
        yield server


@pytest.fixture
def root(server: PlainServer) -> Iterator[Any]:
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def as_user(server: PlainServer, root: Any) -> Iterator[As]:
    """Makes runners of a user with some rules; what an earlier one was granted is gone."""
    made: list[Runner] = []

    def user(*rules: str) -> Runner:
        root.execute_command("ACL", "SETUSER", "u", "reset", "on", f">{PASSWORD}", *rules)
        made.append(Runner(RedisSection(url=server.url.replace("unix://", f"unix://u:{PASSWORD}@"), retries=0)))
        return made[-1]

    yield user
    for runner in made:
        runner.close()


def dumped(root: Any) -> dict[bytes, bytes]:
    return {key: root.dump(key) for key in root.keys("*")}


def corpus(admin: Runner) -> dict[str, Call[Any]]:
    """Fill a queue, and return a call of each script that would change or read much there."""
    brought = stored_schedule(schedule_id="s", every_ms=1_000, user_id="ann", func="f")
    writes = calls.ScheduleWrite(schedule=brought, revision=0, next_at=1_000)
    admin.run(calls.limit(QUEUE, [calls.Setting("bob", "rate", 10)]))
    admin.run(push("a", "b", "c", "d", "e"))
    admin.run(push("k", dedup_key="k"))
    admin.run(push("child", depends_on=["a"]))
    admin.run(calls.watch(QUEUE, "a", "me"))
    admin.run(calls.schedule(QUEUE, [writes], message_limit=1_000))
    admin.run(calls.lead(QUEUE, "me", lease_ms=60_000))
    a, b, c, d = admin.run(pop(4)).tasks
    admin.run(calls.fail(QUEUE, [calls.Failed(d.task_id, d.token, 1, "dead", 0, b"{}")], **TTLS))
    move = calls.move(brought, 1, time=1_000, following=2_000, fire_at=1_000)
    every: list[Call[Any]] = [
        push("new", dedup_key="n"),
        pop(2),
        calls.beat(QUEUE, [(a.task_id, a.token)], lease_ms=30_000),
        calls.finish(QUEUE, [calls.Finished(a.task_id, a.token, 1, b"1", b'{"x":1}')], result_ttl_ms=60_000),
        calls.fail(QUEUE, [calls.Failed(b.task_id, b.token, 1, "retry", 0, b"{}")], **TTLS),
        calls.release(QUEUE, [calls.Released(c.task_id, c.token, 1)], result_ttl_ms=60_000),
        calls.progress(QUEUE, [calls.Reported(a.task_id, a.token, calls.parse_progress(b'5\n{"done":1}'))]),
        calls.sweep(QUEUE, guard_ms=5_000, max_lost_workers=5, **TTLS),
        calls.rouse(QUEUE),
        calls.interrupt(QUEUE, "w"),
        calls.watch(QUEUE, "e", "me"),
        calls.cancel(QUEUE, "e", reason="", result_ttl_ms=1_000),
        calls.purge(QUEUE, "ann", reason="", result_ttl_ms=1_000),
        calls.limit(QUEUE, [calls.Setting("ann", "cap", 3)]),
        calls.configure(QUEUE, backlog=1_000),
        calls.redrive(QUEUE, [d.task_id], result_ttl_ms=1_000),
        calls.delete(QUEUE, [d.task_id], result_ttl_ms=1_000),
        calls.schedule(
            QUEUE,
            [calls.ScheduleWrite(schedule=stored_schedule_with(brought, schedule_id="z"), revision=0)],
            message_limit=999,
        ),
        calls.enable(QUEUE, "s", on=False),
        calls.fire(QUEUE, [move], term=9, result_ttl_ms=60_000),
        calls.lead(QUEUE, "me", lease_ms=0),
        calls.unschedule(QUEUE, "s"),
        calls.due(QUEUE, ahead_ms=5),
        calls.read_task(QUEUE, "a"),
        calls.read_stats(QUEUE),
        calls.read_user(QUEUE, "ann"),
        calls.read_users(QUEUE),
        calls.read_configured(QUEUE),
        calls.explain(QUEUE, "e"),
        calls.read_outputs(QUEUE, "child", ["a"]),
        calls.read_progress(QUEUE, ["a"]),
        calls.read_dead(QUEUE),
        calls.read_some(QUEUE, ["s"]),
        calls.read_schedules(QUEUE),
        calls.read_scheduler(QUEUE),
        calls.rights(QUEUE, ["GET *"]),
        calls.verify_keys(QUEUE, [b"r:nobody"], fix=True),
        calls.verify_tasks(QUEUE, [b"a"], lease_ms=1_000, **TTLS, fix=True),
        calls.verify_parents(QUEUE, [(b"child", [])], result_ttl_ms=1_000, fix=True),
        calls.verify_places(QUEUE, [(b"running", b"nobody")], dead_ttl_ms=1_000, fix=True),
        calls.verify_users(QUEUE, [b"ann"], fix=True),
        calls.verify_running(QUEUE, [b"ann"], fix=True),
        calls.verify_schedules(QUEUE, [b"s"], fix=True),
        calls.verify_settings(QUEUE, fix=True),
        calls.verify_counts(QUEUE, fix=True),
    ]
    return {call.script: call for call in every}


ALL = (f"~{P}*", f"&{P}*", "+@all")
CONNECTS = ("+evalsha", "+script|load", "+info", "+ping", "+hmget", "+time", "+get")


def script_commands(name: str) -> list[str]:
    return sorted({need.command for need in needs_of(name) if not need.place})


@pytest.mark.parametrize("name", script_names())
def test_a_user_with_what_a_script_needs_may_run_it_to_its_end(as_user: As, root: Any, name: str) -> None:
    call = corpus(as_user(*ALL))[name]
    commands = [f"+{command}" for command in script_commands(name)]
    runner = as_user(f"~{P}*", f"&{P}*", *CONNECTS, *commands)
    runner.run(call)
    assert root.acl_log() == [] or not any(entry["username"] == "u" for entry in root.acl_log())


@pytest.mark.parametrize("name", script_names())
def test_a_user_that_lacks_any_command_of_a_script_is_refused_before_the_first_write(
    as_user: As, root: Any, name: str
) -> None:
    call = corpus(as_user(*ALL))[name]
    before = dumped(root)
    for command in script_commands(name) if name != "rights" else ():
        with pytest.raises(ServerUnsuitable, match="may not do this") as caught:
            as_user(*ALL, f"-{command}").run(call)
        assert command in str(caught.value).lower()
        assert dumped(root) == before, command


@pytest.mark.parametrize("name", ["push", "pop", "finish", "sweep", "limit", "fire"])
@pytest.mark.parametrize(
    "rules",
    [
        ("~other:*", f"&{P}*", "+@all"),
        (f"%R~{P}*", f"&{P}*", "+@all"),
        (f"%W~{P}*", f"%R~{P}meta", f"&{P}*", "+@all"),
        (f"~{P}meta", f"~{P}t:*", f"~{P}m:*", f"&{P}*", "+@all"),
        (f"~{P}[a-t]*", f"&{P}*", "+@all"),
        ("~*", "resetchannels", "+@all"),
        ("~*", "&other", "+@all"),
        ("~*", "&*", "+@all", "-@sortedset"),
        ("~*", "&*", "+@read"),
        ("~*", "&*", "-@all", "(+@all ~other:*)"),
    ],
    ids=[
        *("no keys", "read only", "write only", "some", "most", "no channels", "another channel", "no sorted sets"),
        *("read commands", "selector"),
    ],
)
def test_rules_of_keys_and_channels_are_seen_before_the_first_write(
    as_user: As, root: Any, name: str, rules: tuple[str, ...]
) -> None:
    call = corpus(as_user(*ALL))[name]
    before = dumped(root)
    runner = as_user(*rules)
    if name in ("push", "limit") and any("channel" in rule or rule == "&other" for rule in rules):
        needs_no_channel = not any(need.command == "publish" for need in needs_of(name))
        if needs_no_channel:
            runner.run(call)
            return
    with pytest.raises(ServerUnsuitable, match="may not do this"):
        runner.run(call)
    assert dumped(root) == before


@pytest.mark.parametrize("key", [key for key in KEYS if key != "broken:"])
def test_a_key_that_is_kept_from_a_user_is_seen_before_the_first_write(as_user: As, root: Any, key: str) -> None:
    """By a pattern for each of the others."""
    every = corpus(as_user(*ALL))
    before = dumped(root)
    runner = as_user(*(f"~{P}{other}{'*' if other.endswith(':') else ''}" for other in KEYS if other != key), *ALL[1:])
    touching = [name for name in every if any(need.place.endswith(f" {key}") for need in needs_of(name))]
    touching.remove("rights") if "rights" in touching else None
    assert touching
    for name in touching:
        with pytest.raises(ServerUnsuitable):
            runner.run(every[name])
        assert dumped(root) == before, name


def test_a_selector_that_grants_all_of_it_is_enough(as_user: As) -> None:
    runner = as_user("-@all", f"(+@all ~{P}* &{P}*)")
    assert runner.run(push("a"))[0].task_id == "a"


def test_the_error_names_what_is_lacking_and_its_advice_grants_it(as_user: As, root: Any) -> None:
    runner = as_user(*ALL, "-zadd", "-mset")
    with pytest.raises(ServerUnsuitable, match=r"push of queue 'q' .* may not send: mset, zadd\.") as caught:
        runner.run(push("a"))
    (advice,) = re.findall(r"Grant it: (.*)$", str(caught.value))
    root.execute_command(*advice.replace(" USER ", " u ").split())
    fresh = Runner(runner.settings)
    fresh.run(push("a"))
    fresh.close()


@pytest.mark.parametrize("command", ["exists", "zadd", "time", "hmget"])
def test_a_command_that_the_server_has_under_another_name_is_told_from_one_that_is_not_granted(command: str) -> None:
    with PlainServer("--rename-command", command, f"hidden-{command}") as server:
        runner = Runner(RedisSection(url=server.url))
        with pytest.raises(ServerUnsuitable, match=rf"no user may send: {command}\..*rename-command") as caught:
            runner.run(push("a"))
        runner.close()
        with redis.Redis.from_url(server.url) as client:
            assert client.dbsize() == 0
    assert "ACL SETUSER" not in str(caught.value)


def test_many_calls_at_once_are_refused_all_together(as_user: As, root: Any) -> None:
    admin = as_user(*ALL)
    every = corpus(admin)
    before = dumped(root)
    runner = as_user(*ALL, "-publish")
    with pytest.raises(ServerUnsuitable):
        runner.run_all([every["limit"], every["finish"]])
    assert dumped(root) == before


def test_rights_that_are_taken_away_later_are_seen_after_the_first_refusal(as_user: As, root: Any) -> None:
    runner = as_user(*ALL)
    runner.run(push("a"))
    root.execute_command("ACL", "SETUSER", "u", "-rpush")
    with pytest.raises(ServerUnsuitable):
        runner.run(push("b"))
    root.execute_command("ACL", "SETUSER", "u", "+rpush", "-mset")
    before = dumped(root)
    with pytest.raises(ServerUnsuitable, match="may not send: mset"):
        runner.run(push("c"))
    assert dumped(root) == before
    root.execute_command("ACL", "SETUSER", "u", "+mset")


def test_rights_granted_later_are_used_by_the_next_call(as_user: As, root: Any) -> None:
    runner = as_user(*ALL, "-zadd")
    for _ in range(2):
        with pytest.raises(ServerUnsuitable, match="may not send: zadd"):
            runner.run(push("a"))
    root.execute_command("ACL", "SETUSER", "u", "+zadd")
    runner.run(push("a"))


def test_an_asynchronous_client_uses_rights_granted_later_too(as_user: As, root: Any) -> None:
    settings = as_user(*ALL, "-zadd").settings

    async def push_twice() -> None:
        runner = AsyncRunner(settings)
        try:
            with pytest.raises(ServerUnsuitable, match="may not send: zadd"):
                await runner.run(push("a"))
            root.execute_command("ACL", "SETUSER", "u", "+zadd")
            await runner.run(push("a"))
        finally:
            await runner.close()

    asyncio.run(push_twice())


def test_the_rights_are_read_once_per_queue(as_user: As, root: Any) -> None:
    runner = as_user(*ALL)
    runner.run(push("a"))
    root.config_resetstat()
    for number in range(20):
        runner.run(push(f"b{number}"))
    sent = root.info("commandstats")
    assert sent["cmdstat_evalsha"]["calls"] == 20


@pytest.mark.parametrize("missing", ["-zadd", "-publish", "-hset"])
def test_an_asynchronous_client_is_refused_too(as_user: As, root: Any, missing: str) -> None:
    every = corpus(as_user(*ALL))
    before = dumped(root)
    settings = as_user(*ALL, missing).settings

    async def finish() -> None:
        runner = AsyncRunner(settings)
        try:
            await runner.run(every["finish"])
        finally:
            await runner.close()

    with pytest.raises(ServerUnsuitable, match="before it changes anything"):
        asyncio.run(finish())
    assert dumped(root) == before


@pytest.mark.parametrize("role", ROLES)
def test_a_process_is_refused_at_its_start_if_its_role_lacks_a_right(as_user: As, role: str) -> None:
    as_user(*ALL).require(QUEUE, role)
    commands = {need.command for need in needs_of_role(role) if not need.place}
    for command in sorted(commands - {"evalsha", "script|load", "info", "ping", "select", "hmget", "time", "get"}):
        with pytest.raises(ServerUnsuitable, match=f"a {role} of queue"):
            as_user(*ALL, f"-{command}").require(QUEUE, role)


@pytest.mark.parametrize("command", ["evalsha", "script|load", "hmget", "time", "info"])
def test_without_rights_that_every_call_needs_nothing_is_changed(as_user: As, root: Any, command: str) -> None:
    root.script_flush()
    runner = as_user(*ALL, f"-{command}")
    with pytest.raises(FairqueError):
        runner.run(push("a"))
    assert dumped(root) == {}


def test_rights_are_checked_for_the_keys_of_the_specification() -> None:
    page = resources.files("fairque.protocol").joinpath("lua/README.md").read_text(encoding="utf-8")
    section = page.split("## Keys\n")[1].split("\n### ")[0]
    rows = [row.split("|")[1:4] for row in section.splitlines() if row.startswith("| `")]
    listed = {re.sub(r"<\w+>.*", "", name.strip(" `")) for name, kind, what in rows if "*reserved*" not in what}
    assert listed - {"now", "done:", "changed"} == {*KEYS}
