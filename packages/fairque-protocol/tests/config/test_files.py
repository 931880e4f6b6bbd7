"""Every file in config/ loads, holds every key with a comment, and names no secret."""

import re
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen, has

from fairque.protocol.config import (
    DefaultLimits,
    FairnessSettings,
    QueueSettings,
    RedisSettings,
    UserLimits,
    load_settings,
)
from fairque.protocol.errors import ConfigurationError

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
    lease_seconds: float
    heartbeat_seconds: float
    grace_seconds: float
    isolation: str
    cancel_grace_seconds: float
    max_abandoned: int
    http_host: str
    http_port: int | None
    modules: tuple[str, ...]


@frozen(kw_only=True)
class SchedulerSection:
    lease_seconds: float
    grace_seconds: float
    modules: tuple[str, ...]
    http_host: str
    http_port: int | None


@frozen(kw_only=True)
class Everything:
    redis: RedisSettings
    queue: QueueSettings
    client: ClientSection
    worker: WorkerSection
    scheduler: SchedulerSection
    fairness: FairnessSettings


@frozen(kw_only=True)
class Fairness:
    fairness: FairnessSettings


def test_there_is_a_file_for_each_environment() -> None:
    assert [path.stem for path in FILES] == ["development", "production", "test"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_loads(path: Path) -> None:
    settings = load_settings(path, Everything, environ={"REDIS_URL": "redis://:pw@cache:6379/0"})
    assert settings.redis.url == "redis://:pw@cache:6379/0"
    assert settings.worker.heartbeat_seconds * 3 <= settings.worker.lease_seconds


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_key_is_there_under_a_comment_with_its_default(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    keys = [index for index, line in enumerate(lines) if re.match(r"  [a-z_]+:", line)]
    assert {lines[index].strip().partition(":")[0] for index in keys} == {
        *RedisSettings.__annotations__,
        *QueueSettings.__annotations__,
        *ClientSection.__annotations__,
        *WorkerSection.__annotations__,
        *SchedulerSection.__annotations__,
        *FairnessSettings.__annotations__,
    }
    assert all(lines[index - 1].startswith("  # ") and "Default: " in lines[index - 1] for index in keys)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_commented_defaults_are_the_real_ones(path: Path) -> None:
    real = {"redis": RedisSettings(), "queue": QueueSettings(), "fairness": FairnessSettings()}
    for section, default in real.items():
        block = path.read_text(encoding="utf-8").partition(f"\n{section}:\n")[2].partition("\n\n")[0]
        found = re.findall(r"Default: (\S+).*\n  ([a-z_]+):", block)
        assert {key: text for text, key in found} == {
            key: written(key, getattr(default, key)) for key in type(default).__annotations__
        }


def written(key: str, value: Any) -> str:
    """A default as a file has it."""
    if value is None:
        return "null"
    if has(type(value)):
        return "{}"
    text = str(value).lower()
    return text.removesuffix(".0") if "ttl" in key else text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_examples_in_the_comments_load(path: Path, tmp_path: Path) -> None:
    defaults, users = re.findall(r"as in (\{.*\})[:;]", path.read_text(encoding="utf-8"))
    example = tmp_path / "example.yaml"
    example.write_text(f"fairness:\n  defaults: {defaults}\n  users: {users}\n")
    assert load_settings(example, Fairness, environ={}).fairness == FairnessSettings(
        defaults=DefaultLimits(cap=50, rate=10.0, burst=20, backlog=100_000),
        users={"acme": UserLimits(weight=3.0, cap=200), "trial": UserLimits(weight=0.2, paused=True)},
    )


def test_test_and_development_need_no_variable_but_production_does() -> None:
    assert load_settings(FOLDER / "test.yaml", Everything, environ={}).redis.url == "embedded://"
    assert load_settings(FOLDER / "development.yaml", Everything, environ={}).redis == RedisSettings()
    with pytest.raises(ConfigurationError, match=r"redis\.url: the environment variable REDIS_URL is not set"):
        load_settings(FOLDER / "production.yaml", Everything, environ={})
