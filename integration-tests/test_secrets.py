"""Passwords in addresses: no command, error, log, `repr` or traceback shows them."""

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from click.testing import CliRunner

from fairque.client import FairqueError, TaskQueue
from fairque.console.cli import main as console
from fairque.protocol.config import RedisSection
from fairque.protocol.embedded import resolve_url
from fairque.scheduler.cli import main as scheduler
from fairque.worker import Worker
from fairque.worker.cli import main as worker

SECRETS = ("hunter2", "hunter%32", "h%75nter2", "swordfish")

#: Valid and invalid ones.
ADDRESSES = [
    "redis://:hunter2@127.0.0.1:1/0",
    "redis://hunter2@127.0.0.1:1/0",
    "redis://ann:hunter%32@127.0.0.1:1/0",
    "redis://127.0.0.1:1/0?password=hunter2",
    "redis://127.0.0.1:1/0?pass%77ord=hunter2",
    "redis://127.0.0.1:1/0?username=swordfish&password=h%75nter2",
    "redis://ann:hunter2@127.0.0.1:1/0?client_name=x",
    "unix:///nowhere/s?password=hunter2",
    "unix://:hunter2@/nowhere/s",
    "rediss://:hunter2@127.0.0.1:1/0?ssl_certfile=/nowhere&ssl_keyfile=/nowhere&ssl_password=swordfish",
    "redis://127.0.0.1:1/0?password=p@hunter2",
    "redis://:p@hunter2@127.0.0.1:1/0",
    "redis://:hunter2#x@127.0.0.1:1/0",
    "redis://:hunter2/x@127.0.0.1:1/0",
    "redis://:hunter2?x@127.0.0.1:1/0",
    "redis://:12?hunter2@127.0.0.1:1/0",
    "redis://127.0.0.1:1/0?passwrod=hunter2",
    "redis://127.0.0.1:1/0?password=hunter2&password=hunter2",
    "redis://127.0.0.1:1/0?decode_responses=hunter2",
    "redis://127.0.0.1:1/0#hunter2",
    "redis://127.0.0.1:hunter2/0",
    "redis://127.0.0.1:1/hunter2",
    "redis://[hunter2/0",
    "http://:hunter2@127.0.0.1:1/0",
    "embedded://?password=hunter2",
    "embedded:///nowhere?password=hunter2",
    "embedded:///nowhere#hunter2",
    "embedded://:hunter2@/nowhere",
    "sentinel://:hunter2@127.0.0.1:1/mymaster",
    "hunter2",
]
COMMANDS = [
    (worker, ["json"]),
    (console, ["config", "show"]),
    (console, ["config", "show", "--json"]),
    (console, ["doctor"]),
    (console, ["doctor", "--json"]),
    (console, ["users", "list"]),
    (console, ["verify"]),
    (scheduler, []),
    (console, ["doctor", "--role", "scheduler"]),
    (console, ["schedules", "list"]),
]


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Restore the logger, which the commands configure for the whole process."""
    logger = logging.getLogger("fairque")
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.level, logger.propagate = before


def shows_none(text: str) -> bool:
    return not any(secret in text for secret in SECRETS)


@pytest.mark.parametrize("url", ADDRESSES)
@pytest.mark.parametrize("given", ["variable", "option", "file"])
def test_no_command_shows_a_secret(tmp_path: Any, url: str, given: str) -> None:
    file = tmp_path / "fairque.yaml"
    file.write_text(f"redis:\n  url: '{url}'\n  retries: 0\n")
    option = {"variable": [], "option": ["--url", url], "file": ["--config", str(file)]}[given]
    environ = {"FAIRQUE_REDIS_RETRIES": "0", **({"FAIRQUE_REDIS_URL": url} if given == "variable" else {})}
    for command, args in COMMANDS if given == "variable" else COMMANDS[:2]:
        result = CliRunner().invoke(command, [*args, *option], env=environ)
        assert shows_none(result.output), result.output
        assert isinstance(result.exception, SystemExit | None)
        assert result.exit_code in (0, 1, 3, 78)


def _said(make: Callable[[], Any]) -> str:
    try:
        made = make()
    except (FairqueError, ValueError) as error:
        return f"{error} {error!r} {error.__cause__}"
    return f"{made} {made!r} {getattr(made, 'settings', '')}"


@pytest.mark.parametrize("url", ADDRESSES)
def test_no_error_or_representation_shows_a_secret(url: str) -> None:
    for make in (RedisSection, TaskQueue.from_url, Worker.from_url):
        kind: Any = make
        said = _said(partial(kind, url=url))
        assert shows_none(said), said
    if url.startswith("embedded:"):
        with pytest.raises(FairqueError) as caught:
            resolve_url(url)
        assert shows_none(str(caught.value))


@pytest.mark.parametrize("url", [url for url in ADDRESSES if "127.0.0.1:1/" in url and "?p" not in url])
def test_no_traceback_or_log_of_a_program_shows_a_secret(url: str) -> None:
    code = (
        "import logging, os, sys\nlogging.basicConfig(level='DEBUG')\nfrom fairque.client import Task, TaskQueue\n"
        "TaskQueue.from_url(sys.stdin.read(), default_user_id='ann').push(Task(func='a:b'))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], input=url, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr
    assert shows_none(ended.stderr), ended.stderr
