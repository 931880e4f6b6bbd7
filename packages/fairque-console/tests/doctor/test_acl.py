"""ACL users of the roles on a real server: each can do its work and nothing else."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest
import redis
from redis.exceptions import NoPermissionError

from fairque.console.verifier import verify
from fairque.protocol.config import RedisSection
from fairque.protocol.errors import ServerUnsuitable
from fairque.protocol.model.ids import new_nonce
from fairque.protocol.model.states import TaskState
from fairque.protocol.model.task import Task
from fairque.protocol.runners import Runner
from fairque.protocol.runners.wait import WaitLine
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.rights import ROLES
from fairque.testing import PlainServer
from fairque.testing.internal import calls

KEYS = QueueKeys("q")
TTLS: dict[str, Any] = {"result_ttl_ms": 60_000, "dead_ttl_ms": 60_000}
PUSH = calls.push(KEYS, [Task(task_id="t", user_id="ann")], message_limit=1_000)

As: TypeAlias = Callable[[str], Runner]


def pop() -> Any:
    return calls.pop(KEYS, worker="w", claim=new_nonce(), count=1, lease_ms=30_000, max_lost_workers=5, **TTLS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlainServer]:
    """A server with the ACL files that the command wrote, loaded as an operator would."""
    folder = tmp_path_factory.mktemp("acl")
    environ = {**os.environ, **{f"FAIRQUE_ACL_{role.upper()}": f"pw-{role}" for role in ROLES if role != "scheduler"}}
    script = [sys.executable, "-m", "fairque.console", "acl", str(folder), "--queue", KEYS.name]
    output = subprocess.run(script, env=environ, check=True, capture_output=True, text=True).stdout  # noqa: S603 - ours
    assert "FAIRQUE_ACL_SCHEDULER is not set" in output
    lines = [path.read_text() for path in sorted(folder.glob("*.acl"))]
    assert not any("pw-" in line for line in lines)
    users = folder / "users.acl"
    users.write_text("user default on nopass ~* &* +@all\n" + "".join(lines))
    with PlainServer("--aclfile", str(users)) as server:
        yield server


@pytest.fixture
def root(server: PlainServer) -> Iterator[Any]:
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def runner_of(server: PlainServer, root: Any) -> Iterator[As]:  # noqa: ARG001 - empties the server first
    made: list[Runner] = []

    def as_role(role: str) -> Runner:
        url = server.url.replace("unix://", f"unix://fairque-{role}:pw-{role}@")
        made.append(Runner(RedisSection(url=url, retries=0)))
        return made[-1]

    yield as_role
    for runner in made:
        runner.close()


def test_a_producer_and_a_worker_can_process_a_task(runner_of: As) -> None:
    producer, worker = runner_of("producer"), runner_of("worker")
    heard: list[bytes] = []
    subscription = producer.listen(KEYS.done("me"), heard.append, lambda: None)
    producer.run(PUSH)
    producer.run(calls.watch(KEYS, "t", "me"))
    line: WaitLine[calls.Popped] = WaitLine(worker.settings)
    line.begin_wait([KEYS.wake, KEYS.interrupt("w")], 1, pop(), clear=KEYS.interrupt("w"))
    _, popped = line.receive_wait(30)
    line.close()
    worker.run(calls.interrupt(KEYS, "w"))
    (held,) = popped.tasks
    worker.run(calls.beat(KEYS, [(held.task_id, held.token)], lease_ms=30_000))
    worker.run(calls.release(KEYS, [calls.Released(held.task_id, held.token, 5)], result_ttl_ms=1_000))
    (held,) = worker.run(pop()).tasks
    failed = calls.Failed(held.task_id, held.token, 5, "retry", 0, b"{}")
    worker.run(calls.fail(KEYS, [failed], **TTLS))
    worker.run(calls.sweep(KEYS, guard_ms=0, max_lost_workers=5, **TTLS))
    (held,) = worker.run(pop()).tasks
    worker.run(calls.finish(KEYS, [calls.Finished(held.task_id, held.token, 5, b"1")], result_ttl_ms=60_000))
    assert producer.run(calls.watch(KEYS, "t")).state is TaskState.FINISHED
    subscription.close()
    assert heard


def test_an_admin_can_do_everything_and_verify(runner_of: As) -> None:
    admin = runner_of("admin")
    admin.run(PUSH)
    admin.run(calls.limit(KEYS, [calls.Setting("ann", "cap", 3)]))
    admin.run(calls.configure(KEYS, backlog=5))
    assert verify(admin, KEYS, fix=True).clean
    assert admin.run(calls.purge(KEYS, "ann", reason="", result_ttl_ms=1_000)).canceled == 1


def test_a_viewer_sees_everything_and_changes_nothing(runner_of: As, root: Any) -> None:
    runner_of("producer").run(PUSH)
    viewer = runner_of("viewer")
    before = {key: root.dump(key) for key in root.keys("*")}
    assert viewer.run(calls.read_stats(KEYS)).queued == 1
    assert viewer.run(calls.explain(KEYS, "t")).state is TaskState.QUEUED
    for call in (
        calls.push(KEYS, [Task(user_id="ann")], message_limit=1_000),
        pop(),
        calls.cancel(KEYS, "t", reason="", result_ttl_ms=1),
        calls.limit(KEYS, [calls.Setting("ann", "cap", 3)]),
        calls.purge(KEYS, "ann", reason="", result_ttl_ms=1_000),
    ):
        with pytest.raises(ServerUnsuitable, match="may not do this"):
            viewer.run(call)
    assert {key: root.dump(key) for key in root.keys("*")} == before


def test_a_producer_cannot_take_tasks(runner_of: As, root: Any) -> None:
    producer = runner_of("producer")
    producer.run(PUSH)
    before = {key: root.dump(key) for key in root.keys("*")}
    with pytest.raises(ServerUnsuitable, match="may not do this") as caught:
        producer.run(pop())
    assert ".." not in str(caught.value)
    assert {key: root.dump(key) for key in root.keys("*")} == before


def test_a_role_without_a_password_is_disabled(server: PlainServer) -> None:
    with (
        redis.Redis.from_url(server.url.replace("unix://", "unix://fairque-scheduler:@")) as client,
        pytest.raises(redis.exceptions.AuthenticationError),
    ):
        client.ping()


@pytest.mark.parametrize("role", [role for role in ROLES if role != "scheduler"])
@pytest.mark.parametrize(
    "command",
    [
        "FLUSHALL",
        "FLUSHDB",
        "KEYS *",
        "CONFIG GET *",
        "CONFIG SET appendonly no",
        "SHUTDOWN",
        "ACL LIST",
        "MONITOR",
        "EVAL x 0",
        "REPLICAOF 127.0.0.1 1",
        "SCRIPT FLUSH",
        "MODULE LIST",
        "CLIENT KILL TYPE normal",
        "GET other",
        "GET fairque:{other}:meta",
        "HGETALL fairque:{other}:meta",
        "SUBSCRIBE fairque:{other}:done:x",
        "PUBLISH other x",
    ],
)
def test_commands_that_a_role_does_not_need_are_denied(server: PlainServer, role: str, command: str) -> None:
    url = server.url.replace("unix://", f"unix://fairque-{role}:pw-{role}@")
    with redis.Redis.from_url(url) as client, pytest.raises(NoPermissionError):
        client.execute_command(*command.split())
