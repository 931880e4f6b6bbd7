"""The checks of a server by its answer to INFO."""

from typing import Any

import pytest

from fairque.protocol.config import RedisSection
from fairque.protocol.embedded.binary import find_jemalloc
from fairque.protocol.runners.checks import CHECKS, REQUIRED_CHECKS, findings_of

HEALTHY: dict[str, Any] = {
    "redis_version": "7.0.15",
    "maxmemory_policy": "noeviction",
    "role": "master",
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "rdb_last_bgsave_status": "ok",
    "maxmemory": 1_000,
    "used_memory": 500,
    "maxclients": 100,
    "connected_clients": 10,
    "number_of_cached_scripts": 30,
    "cluster_enabled": 0,
}


def found(settings: RedisSection | None = None, **changes: Any) -> list[tuple[str, str]]:
    return [(f.check, f.severity) for f in findings_of({**HEALTHY, **changes}, settings or RedisSection())]


def test_a_healthy_server_has_no_findings() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"redis_version": "6.2.14"}, ("version", "error")),
        ({"valkey_version": "7.1.0", "redis_version": "7.2.4"}, ("version", "error")),
        ({"maxmemory_policy": "allkeys-lru"}, ("eviction", "error")),
        ({"maxmemory_policy": "volatile-ttl"}, ("eviction", "error")),
        ({"role": "slave", "master_host": "h", "master_port": 1}, ("role", "error")),
        ({"aof_enabled": 0}, ("persistence", "warning")),
        ({"aof_last_write_status": "err"}, ("persistence", "error")),
        ({"rdb_last_bgsave_status": "err"}, ("persistence", "error")),
        ({"maxmemory": 0}, ("memory", "warning")),
        ({"used_memory": 900}, ("memory", "warning")),
        ({"used_memory": 1_000}, ("memory", "error")),
        ({"connected_clients": 90}, ("clients", "warning")),
        ({"number_of_cached_scripts": 5_000}, ("scripts", "warning")),
        ({"mem_allocator": "libc"}, ("allocator", "warning")),
        ({"cluster_enabled": 1}, ("cluster", "warning")),
    ],
    ids=str,
)
def test_each_problem_has_exactly_one_finding(changes: dict[str, Any], finding: tuple[str, str]) -> None:
    assert found(**changes) == [finding]


@pytest.mark.parametrize("version", ["7.0.0", "7.4.1", "8.0.0", "10.1"])
def test_a_version_that_is_new_enough_is_fine(version: str) -> None:
    assert found(redis_version=version) == []


def test_accepted_eviction_is_a_warning() -> None:
    assert found(RedisSection(allow_eviction=True), maxmemory_policy="allkeys-lru") == [("eviction", "warning")]


def test_an_embedded_server_in_memory_needs_no_persistence() -> None:
    assert found(RedisSection(url="embedded://"), aof_enabled=0) == []


@pytest.mark.skipif(find_jemalloc() is None, reason="jemalloc is not installed")
def test_an_embedded_server_has_jemalloc_preloaded() -> None:
    assert found(RedisSection(url="embedded://"), mem_allocator="libc") == []


def test_every_finding_says_what_why_and_how_to_fix_it() -> None:
    worst = {
        **HEALTHY,
        "redis_mode": "sentinel",
        "redis_version": "5.0",
        "maxmemory_policy": "allkeys-lru",
        "role": "slave",
        "aof_enabled": 0,
        "maxmemory": 0,
        "connected_clients": 99,
        "number_of_cached_scripts": 9_999,
        "mem_allocator": "libc",
        "cluster_enabled": 1,
    }
    findings = findings_of(worst, RedisSection())
    assert {one.check for one in findings} == {*CHECKS}
    assert all(one.what and one.why and one.fix for one in findings)


def test_the_checks_of_every_start_are_listed() -> None:
    assert {*REQUIRED_CHECKS} <= {*CHECKS}
