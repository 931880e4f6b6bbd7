"""The doctor on real servers: its findings, and that its suggestions fix them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from attrs import evolve

from fairque.console.doctor import examine as examining
from fairque.console.doctor.examine import examine
from fairque.console.doctor.findings import Diagnosis
from fairque.protocol.config import QueueSection, RedisSection
from fairque.protocol.model.task import Task
from fairque.protocol.runners import Runner
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.rights import ROLES, commands_of, probe_of
from fairque.protocol.wire.scripts import script
from fairque.testing import PlainServer
from fairque.testing.internal import calls

PASSWORD = "hunter2"  # noqa: S105 - must not appear in the output
QUEUE = QueueSection(name="examined")
KEYS = QueueKeys(QUEUE.name)


@pytest.fixture
def server() -> Iterator[PlainServer]:
    with PlainServer("--maxmemory", "100mb") as server:
        yield server


@pytest.fixture
def client(server: PlainServer) -> Iterator[Any]:
    with redis.Redis.from_url(server.url) as client:
        yield client


def look(server: PlainServer, role: str = "worker", user: str = "", **changes: Any) -> Diagnosis:
    url = server.url.replace("unix://", f"unix://{user}:{PASSWORD}@") if user else server.url
    return examine(RedisSection(url=url, retries=0, **changes), QUEUE, role)


def found(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    # With what the server was built depends on the server that is installed.
    return [(finding.check, finding.severity) for finding in diagnosis.findings if finding.check != "allocator"]


def test_a_suitable_server_passes_all_checks_and_is_not_changed(server: PlainServer, client: Any) -> None:
    diagnosis = look(server)
    assert found(diagnosis) == []
    assert (diagnosis.ok, diagnosis.exit_code) == (True, 0)
    assert {"reach", "version", "eviction", "persistence", "clock", "latency", "rights", "schema"} <= {
        *diagnosis.passed
    }
    assert float(diagnosis.facts["round trip in ms"]) > 0
    assert client.keys("*") == []


def test_an_unsuitable_server_is_examined_too(server: PlainServer, client: Any) -> None:
    client.config_set("maxmemory-policy", "allkeys-lru")
    diagnosis = look(server)
    assert found(diagnosis) == [("eviction", "error")]
    assert "rights" in diagnosis.passed
    assert diagnosis.exit_code == 1


def test_the_suggested_commands_fix_the_problems(server: PlainServer, client: Any) -> None:
    for name, value in (("maxmemory-policy", "allkeys-lru"), ("appendonly", "no"), ("maxmemory", "0")):
        client.config_set(name, value)
    before = look(server)
    assert found(before) == [("eviction", "error"), ("persistence", "warning"), ("memory", "warning")]
    for finding in before.findings:
        _, _, name, value, *_ = finding.fix.replace(",", " ").split()
        client.config_set(name, value)
    assert found(look(server)) == []


def test_errors_come_first(server: PlainServer, client: Any) -> None:
    client.config_set("appendonly", "no")
    client.replicaof("127.0.0.1", "1")
    assert found(look(server)) == [("role", "error"), ("persistence", "warning")]


def test_a_server_that_does_not_answer(server: PlainServer) -> None:
    server.kill()
    diagnosis = look(server)
    assert found(diagnosis) == [("reach", "error")]
    assert (diagnosis.exit_code, diagnosis.passed) == (3, ())


def test_a_wrong_password_is_reported_but_not_shown(server: PlainServer) -> None:
    diagnosis = look(server, user="nobody")
    assert diagnosis.exit_code == 3
    assert "refused the user or password" in diagnosis.findings[0].what
    assert PASSWORD not in json.dumps(diagnosis.as_dict()) + "".join(diagnosis.lines())


def test_a_queue_of_another_version(server: PlainServer, client: Any) -> None:
    client.hset(KEYS.meta, "schema", "9")
    diagnosis = look(server)
    assert found(diagnosis) == [("schema", "error")]
    assert "has schema 9" in diagnosis.findings[0].what


def test_keys_of_the_wrong_type(server: PlainServer, client: Any) -> None:
    client.set(KEYS.meta, "no hash")
    assert found(look(server)) == [("schema", "error")]


def test_records_that_were_set_aside(server: PlainServer, client: Any) -> None:
    runner = Runner(RedisSection(url=server.url))
    client.set(f"{KEYS.prefix}n:ann", "no index")
    runner.run(calls.push(KEYS, [Task(user_id="ann")], message_limit=1_000))
    runner.close()
    diagnosis = look(server)
    assert found(diagnosis) == [("records", "warning")]
    assert "1 keys could not be read" in diagnosis.findings[0].what


class TestRights:
    @pytest.mark.parametrize("role", ROLES)
    def test_a_user_with_the_commands_of_its_role_passes(self, server: PlainServer, client: Any, role: str) -> None:
        rules = [f"+{command.lower()}" for command in commands_of(role)]
        client.execute_command("ACL", "SETUSER", role, "on", f">{PASSWORD}", "~fairque:*", "&fairque:*", *rules)
        assert found(look(server, role, role)) == []

    def test_each_denied_command_is_named_and_the_suggestion_grants_it(self, server: PlainServer, client: Any) -> None:
        client.execute_command(
            *("ACL", "SETUSER", "w", "on", f">{PASSWORD}", "~fairque:*", "&fairque:*", "+@all"),
            *("-zpopmin", "-blpop", "-publish", "-script|load", "+info"),
        )
        client.script_load(script("rights").text)
        client.script_load(script("read_stats").text)
        diagnosis = look(server, user="w")
        assert found(diagnosis) == [("rights", "error")]
        assert diagnosis.findings[0].what == "the user may not send: blpop, publish, script|load, zpopmin"
        client.execute_command(*diagnosis.findings[0].fix.replace(" USER ", " w ").split())
        assert found(look(server, user="w")) == []

    def test_granting_is_not_suggested_for_a_renamed_command(self) -> None:
        with PlainServer("--rename-command", "blpop", "hidden") as server:
            (finding,) = [finding for finding in look(server).findings if finding.check == "rights"]
        assert finding.what == "no user may send: blpop: the server does not have the command"
        assert "rename-command" in finding.fix

    def test_missing_rights_on_keys_and_channels_are_found_too(self, server: PlainServer, client: Any) -> None:
        client.execute_command("ACL", "SETUSER", "w", "on", f">{PASSWORD}", "~fairque:*", "&other:*", "+@all")
        assert look(server, user="w").findings[0].what == "the user may not send: publish"

    def test_missing_rights_to_scripts_are_found(self, server: PlainServer, client: Any) -> None:
        client.execute_command("ACL", "SETUSER", "w", "on", f">{PASSWORD}", "~fairque:*", "+info")
        diagnosis = look(server, user="w")
        assert found(diagnosis) == [("rights", "error")]
        assert "evalsha" in diagnosis.findings[0].what

    def test_a_missing_right_to_info_is_found(self, server: PlainServer, client: Any) -> None:
        client.execute_command("ACL", "SETUSER", "w", "on", f">{PASSWORD}", "~fairque:*", "+evalsha")
        assert look(server, user="w").findings[0].fix == "ACL SETUSER USER +info"

    def test_every_command_in_the_rights_exists_on_the_server(self, client: Any) -> None:
        known = {name.decode().upper() for name in client.eval("return redis.call('COMMAND', 'LIST')", 0)}
        for role in ROLES:
            assert {command.partition("|")[0] for command in commands_of(role)} <= known

    def test_a_viewer_does_not_need_commands_that_write(self, client: Any) -> None:
        writing = {name.decode().upper() for name in client.execute_command("ACL", "CAT", "write")}
        assert not writing & {*commands_of("viewer")}

    def test_an_admin_may_run_every_script(self) -> None:
        assert {*commands_of("admin")} >= {*commands_of("producer"), *commands_of("worker"), *commands_of("scheduler")}

    def test_the_sample_arguments_of_a_command_start_with_its_name(self) -> None:
        for role in ROLES:
            for command in commands_of(role):
                assert probe_of(command).startswith(command.replace("|", " "))


def test_a_slow_and_skewed_server_is_found(server: PlainServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the clocks of this process are patched, since that of the server cannot be."""
    ticks = iter(range(10_000))
    monkeypatch.setattr(examining, "monotonic", lambda: next(ticks) * 0.05)
    monkeypatch.setattr(examining, "now_ms", lambda: 0)
    assert found(look(server)) == [("latency", "warning"), ("clock", "warning")]


def test_a_diagnosis_can_be_written_as_json(server: PlainServer) -> None:
    values = json.loads(json.dumps(look(server).as_dict()))
    assert values["ok"] is True
    assert evolve(look(server), findings=()).lines()[-1].startswith("passed: ")
