"""Every file in config/ loads, holds every key with a comment, and names no secret."""

import re
from pathlib import Path

import pytest
from attrs import frozen

from fairque.protocol.config import (
    FairnessSection,
    LogSection,
    QueueSection,
    RedisSection,
    Seconds,
    load_settings,
)
from fairque.protocol.errors import ConfigurationError
from fairque.protocol.model.limits import Limits

FOLDER = Path(__file__).parents[4] / "config"
FILES = sorted(FOLDER.glob("*.yaml"))

# A source distribution holds the tests, but not the workspace around them.
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="outside of the workspace: there is no config/")


@frozen(kw_only=True)
class ClientSection:
    default_user_id: str | None


@frozen(kw_only=True)
class WorkerSection:
    concurrency: int
    lease: Seconds
    heartbeat: Seconds
    stop_timeout: Seconds
    isolation: str
    cancel_timeout: Seconds
    max_abandoned: int
    http_host: str
    http_port: int | None
    modules: tuple[str, ...]


@frozen(kw_only=True)
class SchedulerSection:
    lease: Seconds
    stop_timeout: Seconds
    modules: tuple[str, ...]
    http_host: str
    http_port: int | None


@frozen(kw_only=True)
class Everything:
    redis: RedisSection
    queue: QueueSection
    client: ClientSection
    worker: WorkerSection
    scheduler: SchedulerSection
    log: LogSection
    fairness: FairnessSection


@frozen(kw_only=True)
class Fairness:
    fairness: FairnessSection


def test_there_is_a_file_for_each_environment() -> None:
    assert [path.stem for path in FILES] == ["development", "production", "test"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_loads(path: Path) -> None:
    settings = load_settings(path, Everything, environ={"REDIS_URL": "redis://:pw@cache:6379/0"})
    assert settings.redis.url == "redis://:pw@cache:6379/0"
    assert settings.worker.heartbeat * 3 <= settings.worker.lease


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_key_is_listed_under_a_comment_with_its_default(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    keys = [index for index, line in enumerate(lines) if re.match(r"  [a-z_]+:", line)]
    assert {lines[index].strip().partition(":")[0] for index in keys} == {
        *RedisSection.__annotations__,
        *QueueSection.__annotations__,
        *ClientSection.__annotations__,
        *WorkerSection.__annotations__,
        *SchedulerSection.__annotations__,
        *LogSection.__annotations__,
        *FairnessSection.__annotations__,
    }
    assert all(lines[index - 1].startswith("  # ") and "Default: " in lines[index - 1] for index in keys)


@frozen(kw_only=True)
class Own:
    redis: RedisSection
    queue: QueueSection
    log: LogSection
    fairness: FairnessSection


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_commented_defaults_are_correct(path: Path, tmp_path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    written = tmp_path / "defaults.yaml"
    for section in ("redis", "queue", "log", "fairness"):
        block = text.partition(f"\n{section}:\n")[2].partition("\n\n")[0]
        found = re.findall(r"Default: (\S+).*\n  ([a-z_]+):", block)
        with written.open("a", encoding="utf-8") as file:
            file.write(f"{section}:\n" + "".join(f"  {key}: {default}\n" for default, key in found))
    assert load_settings(written, Own, environ={}) == Own(
        redis=RedisSection(), queue=QueueSection(), log=LogSection(), fairness=FairnessSection()
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_examples_in_the_comments_load(path: Path, tmp_path: Path) -> None:
    defaults, users = re.findall(r"as in (\{.*\})[:;]", path.read_text(encoding="utf-8"))
    example = tmp_path / "example.yaml"
    example.write_text(f"fairness:\n  user_defaults: {defaults}\n  users: {users}\n")
    assert load_settings(example, Fairness, environ={}).fairness == FairnessSection(
        user_defaults=Limits(cap=50, rate=10.0, burst=20, backlog=100_000),
        users={"acme": Limits(weight=3.0, cap=200), "trial": Limits(weight=0.2, paused=True)},
    )


def test_test_and_development_need_no_variable_but_production_does() -> None:
    assert load_settings(FOLDER / "test.yaml", Everything, environ={}).redis.url == "embedded://"
    assert load_settings(FOLDER / "development.yaml", Everything, environ={}).redis == RedisSection()
    with pytest.raises(ConfigurationError, match=r"redis\.url: the environment variable REDIS_URL is not set"):
        load_settings(FOLDER / "production.yaml", Everything, environ={})
