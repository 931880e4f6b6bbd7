"""Settings: from a URL, from a file, and what is refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fairque.client import (
    AsyncTaskQueue,
    ClientSection,
    ClientSettings,
    ConfigurationError,
    RedisSection,
    ServerUnsuitable,
    TaskQueue,
    task,
)
from fairque.protocol.embedded import EmbeddedServer


@task
def nothing() -> None: ...


@pytest.mark.parametrize("kind", [TaskQueue, AsyncTaskQueue])
def test_a_url_is_enough(kind: type[TaskQueue]) -> None:
    settings = kind.from_url("redis://h:1/2").settings
    assert settings == ClientSettings(redis=RedisSection(url="redis://h:1/2"))


@pytest.mark.parametrize("kind", [TaskQueue, AsyncTaskQueue])
def test_the_error_for_a_url_in_place_of_settings_names_from_url(kind: Any) -> None:
    with pytest.raises(TypeError, match=r"takes ClientSettings, not str: TaskQueue.from_url"):
        kind("redis://h:1/2")


def test_queue_and_default_user_are_given_with_the_url() -> None:
    settings = TaskQueue.from_url("redis://h", queue="mail", default_user_id="ann").settings
    assert (settings.queue.name, settings.client.default_user_id) == ("mail", "ann")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"url": "http://h"}, "url: must start with one of redis://"),
        ({"url": 5}, "url: must start with one of redis://"),
        ({"queue": "a b"}, "name: must be 1 to 64 ASCII letters"),
        ({"default_user_id": ""}, "default_user_id is empty"),
        ({"default_user_id": 7}, "default_user_id must be a string, not int"),
    ],
)
@pytest.mark.parametrize("kind", [TaskQueue, AsyncTaskQueue])
def test_invalid_values_are_refused_at_once(kind: type[TaskQueue], given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        kind.from_url(**{"url": "redis://h", **given})


@pytest.mark.parametrize("kind", [TaskQueue, AsyncTaskQueue])
def test_the_environment_overrides_the_settings_of_a_file(
    kind: type[TaskQueue], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "fairque.yaml"
    path.write_text(
        "redis:\n  url: redis://h\nqueue:\n  name: mail\n  message_limit: 1000\n"
        "client:\n  default_user_id: ann\nworker:\n  concurrency: 4\n"
    )
    monkeypatch.delenv("FAIRQUE_REDIS_URL", raising=False)
    monkeypatch.setenv("FAIRQUE_QUEUE_NAME", "other")
    settings = kind.from_config(path).settings
    assert (settings.redis.url, settings.queue.name, settings.queue.message_limit) == ("redis://h", "other", 1_000)
    assert settings.client == ClientSection(default_user_id="ann")
    named = kind.from_config(path, queue="mine", default_user_id="bob").settings
    assert (named.redis.url, named.queue.name, named.queue.message_limit) == ("redis://h", "mine", 1_000)
    assert named.client == ClientSection(default_user_id="bob")
    with pytest.raises(ConfigurationError, match="name: must be"):
        kind.from_config(path, queue="a b")


def test_all_mistakes_of_a_file_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "fairque.yaml"
    path.write_text("queue:\n  nam: mail\nclient:\n  default_user_id: ''\n")
    with pytest.raises(ConfigurationError) as caught:
        TaskQueue.from_config(path)
    assert len(caught.value.problems) == 2


@pytest.fixture
def evicting_server() -> Iterator[str]:
    with EmbeddedServer() as server:
        import redis  # noqa: PLC0415 - to set it up

        with redis.Redis.from_url(server.url) as client:
            client.config_set("maxmemory-policy", "allkeys-lru")
        yield server.url


def test_a_server_that_may_evict_tasks_is_refused_with_the_command_that_fixes_it(evicting_server: str) -> None:
    with (
        TaskQueue.from_url(evicting_server, default_user_id="ann") as queue,
        pytest.raises(ServerUnsuitable, match=r"allkeys-lru.*CONFIG SET maxmemory-policy noeviction"),
    ):
        queue.push(nothing.task())


async def test_the_asynchronous_queue_refuses_it_too(evicting_server: str) -> None:
    async with AsyncTaskQueue.from_url(evicting_server, default_user_id="ann") as queue:
        with pytest.raises(ServerUnsuitable, match="noeviction"):
            await queue.push(nothing.task())


def test_it_is_accepted_with_allow_eviction(evicting_server: str) -> None:
    settings = ClientSettings(redis=RedisSection(url=evicting_server, allow_eviction=True))
    with TaskQueue(settings) as queue:
        assert queue.info().totals["pushed"] == 0


def test_importing_the_client_imports_no_package_that_producers_may_lack(
    run_python: "Any",
) -> None:
    lines = (
        "import sys, fairque.client\n"
        "print(sorted({'yaml', 'click', 'structlog', 'fairque.worker', 'fairque.scheduler', 'prometheus_client'}"
        " & {*sys.modules}))"
    )
    done = run_python("-c", lines)
    assert done.stdout.strip() == "[]", done.stderr


def test_only_the_runners_import_redis() -> None:
    folder = Path(__file__).parent.parent / "src"
    assert [path.name for path in folder.rglob("*.py") if "import redis" in path.read_text("utf-8")] == []
