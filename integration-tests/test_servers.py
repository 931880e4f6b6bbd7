"""Servers that cannot hold a queue: messages and exit codes of worker, scheduler, commands and clients."""

import logging
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import click
import pytest
import redis
from click.testing import CliRunner, Result

from fairque.client import FairqueError, RedisUnavailable, ServerUnsuitable, Task, TaskHandle, TaskQueue
from fairque.console.cli import main as console
from fairque.scheduler.cli import main as scheduler
from fairque.testing import PlainServer
from fairque.testing.internal import eventually
from fairque.testing.servers import REDIS_SERVER
from fairque.worker.cli import main as worker

#: Address, text of the error, and exit code of the doctor.
Case: TypeAlias = tuple[str, str, int]


@contextmanager
def replica() -> Iterator[Case]:
    with PlainServer("--replicaof", "127.0.0.1 1") as server:
        yield server.url, r"read only replica of 127\.0\.0\.1:1", 1


@contextmanager
def locked() -> Iterator[Case]:
    with PlainServer("--requirepass", "hunter2") as server:
        yield server.url, "the address has none, and the server requires one", 3


@contextmanager
def wrong_password() -> Iterator[Case]:
    with PlainServer("--requirepass", "secret") as server:
        yield f"{server.url}?password=hunter2", "refused the user or password", 3


@contextmanager
def crowded() -> Iterator[Case]:
    with PlainServer("--maxclients", "1") as server, redis.Redis.from_url(server.url) as client:
        eventually(lambda: _ping(client), what="the only connection")
        yield server.url, "accepts no more connections .maxclients", 3


@contextmanager
def cluster_node() -> Iterator[Case]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        bus = free.getsockname()[1]
    with PlainServer("--cluster-enabled", "yes", "--cluster-port", str(bus)) as server:
        yield server.url, "node of a cluster that is down or incomplete", 3


@contextmanager
def sentinel() -> Iterator[Case]:
    if REDIS_SERVER is None:
        pytest.skip("needs a redis-server")
    with ExitStack() as stack, PlainServer() as place, socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
        free.close()
        configuration = Path(place.folder) / "sentinel.conf"
        configuration.write_text(f"port {port}\ndir {place.folder}\n")
        process = stack.enter_context(
            subprocess.Popen([REDIS_SERVER, os.fspath(configuration), "--sentinel"], stdout=subprocess.DEVNULL)
        )
        stack.callback(process.kill)
        with redis.Redis(port=port) as client:
            eventually(lambda: _ping(client), what="the Sentinel")
        yield f"redis://127.0.0.1:{port}", "this is a Sentinel", 1


def _ping(client: Any) -> bool:
    try:
        return bool(client.ping())
    except redis.exceptions.RedisError:
        return False


@pytest.fixture(params=[replica, locked, wrong_password, crowded, cluster_node, sentinel])
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    with request.param() as case:
        yield case


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Restore the logger, which the commands configure for the whole process."""
    logger = logging.getLogger("fairque")
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.level, logger.propagate = before


def run(command: click.Command, url: str, *args: str) -> Result:
    environ = {"FAIRQUE_REDIS_URL": url, "FAIRQUE_REDIS_RETRIES": "0"}
    result = CliRunner().invoke(command, args, env=environ)
    assert "hunter2" not in result.output
    assert "Traceback" not in result.output
    return result


@pytest.mark.parametrize(
    ("command", "args"),
    [
        (worker, ["json"]),
        (worker, ["json", "--burst"]),
        (console, ["users", "list"]),
        (console, ["verify"]),
        (scheduler, []),
        (console, ["schedules", "list"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value.name,
)
def test_a_command_reports_the_unsuitable_server_in_one_line_and_exits_with_3(
    case: Case, command: click.Command, args: list[str]
) -> None:
    url, words, _ = case
    result = run(command, url, *args)
    assert result.exit_code == 3
    assert re.search(words, result.stderr), result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("role", ["worker", "scheduler"])
def test_the_doctor_reports_it_as_a_finding(case: Case, role: str) -> None:
    url, words, code = case
    result = run(console, url, "doctor", "--role", role)
    assert result.exit_code == code
    assert re.search(words, result.stdout), result.stdout
    # The remedy is that of the cause, not a guess.
    assert "ACL SETUSER" not in result.stdout


def test_a_push_reports_it_and_stores_nothing(case: Case) -> None:
    url, words, _ = case
    with TaskQueue.from_url(url, default_user_id="ann") as queue:
        with pytest.raises(FairqueError, match=words) as caught:
            queue.push(Task(func="tasks:x"))
        assert isinstance(caught.value, RedisUnavailable | ServerUnsuitable)
        assert "hunter2" not in str(caught.value)


def test_a_wait_reports_it_too(case: Case) -> None:
    url, words, _ = case
    with TaskQueue.from_url(url) as queue, pytest.raises(FairqueError, match=words):
        # The first call is a watch.
        TaskHandle(queue._link, "t", known=True).result(timeout=1)
