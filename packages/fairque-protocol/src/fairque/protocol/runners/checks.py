"""Checks of a server by its answer to INFO: pure functions, some of which run at each start."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

from attrs import frozen

from fairque.protocol.config import RedisSection
from fairque.protocol.embedded.binary import find_jemalloc

__all__ = ["CHECKS", "REQUIRED_CHECKS", "WARNED_CHECKS", "Finding", "Severity", "findings_of", "kind_of"]

#: An error breaks the queue, now or soon; a warning is a risk that an operator should know and may accept.
Severity: TypeAlias = Literal["error", "warning"]
Info: TypeAlias = Mapping[str, Any]

#: The oldest servers with the features that the scripts need: flags on scripts, and replication of their effects.
_OLDEST = {"redis": (7, 0), "valkey": (7, 2)}
_MEMORY_SHARE, _CLIENTS_SHARE = 0.8, 0.8
_MANY_SCRIPTS = 1_000


@frozen(kw_only=True)
class Finding:
    """One problem of a server.

    Attributes:
        check: Name of the check that found it.
        severity: Whether it breaks the queue.
        what: The problem.
        why: Its consequences.
        fix: The command or setting that fixes it.
    """

    check: str
    severity: Severity
    what: str
    why: str
    fix: str


_Check: TypeAlias = Callable[[Info, RedisSection], Iterator[Finding]]


def kind_of(info: Info) -> tuple[str, str]:
    """Return the kind of the server, and its version."""
    kind = "valkey" if "valkey_version" in info else "redis"
    return kind, str(info.get(f"{kind}_version", "0"))


def _sentinel(info: Info, _: RedisSection) -> Iterator[Finding]:
    if "sentinel" in (info.get("redis_mode"), info.get("server_mode")):
        yield Finding(
            check="sentinel",
            severity="error",
            what="this is a Sentinel, which watches servers and holds no data",
            why="nothing can be pushed or started here",
            fix="set redis.url to the address of the primary, shown by SENTINEL GET-MASTER-ADDR-BY-NAME NAME; "
            "after a failover that address must lead to the new primary (a name in DNS or a proxy)",
        )


def _version(info: Info, _: RedisSection) -> Iterator[Finding]:
    kind, version = kind_of(info)
    if tuple(int(number) for number in re.findall(r"\d+", version)[:2]) < _OLDEST[kind]:
        yield Finding(
            check="version",
            severity="error",
            what=f"{kind} {version} is too old",
            why="the scripts need what came with Redis 7.0 and Valkey 7.2",
            fix="fairque needs Redis 7.0 or Valkey 7.2 at least: upgrade the server",
        )


def _eviction(info: Info, settings: RedisSection) -> Iterator[Finding]:
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        yield Finding(
            check="eviction",
            severity="warning" if settings.allow_eviction else "error",
            what=f"the server may evict keys (maxmemory-policy {policy})",
            why="tasks can vanish",
            fix="CONFIG SET maxmemory-policy noeviction (and in its configuration file), "
            "or set redis.allow_eviction: true and accept the loss",
        )


def _role(info: Info, _: RedisSection) -> Iterator[Finding]:
    if info.get("role") == "slave":
        yield Finding(
            check="role",
            severity="error",
            what=f"this is a read only replica of {info.get('master_host')}:{info.get('master_port')}",
            why="it takes no writes, so nothing can be pushed or started",
            fix="set redis.url to the address of the primary, or promote this one: REPLICAOF NO ONE",
        )


def _persistence(info: Info, settings: RedisSection) -> Iterator[Finding]:
    # An embedded server in memory is chosen deliberately.
    if not info.get("aof_enabled", 1) and settings.url != "embedded://":
        yield Finding(
            check="persistence",
            severity="warning",
            what="the append-only file is off",
            why="a crash or restart of the server loses all tasks since its last snapshot",
            fix="CONFIG SET appendonly yes (and appendonly yes in its configuration file)",
        )
    for field, what in (
        ("rdb_last_bgsave_status", "the last snapshot could not be written"),
        ("aof_last_write_status", "the append-only file could not be written"),
    ):
        if info.get(field, "ok") != "ok":
            yield Finding(
                check="persistence",
                severity="error",
                what=what,
                why="the server refuses writes (MISCONF), or acknowledges tasks that a crash would lose",
                fix="free space on its disk, look at its log, then BGSAVE",
            )


def _memory(info: Info, _: RedisSection) -> Iterator[Finding]:
    most, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    if not most:
        yield Finding(
            check="memory",
            severity="warning",
            what="the server has no limit of memory (maxmemory 0)",
            why="a backlog may grow until the system kills the server, instead of a push being refused",
            fix="CONFIG SET maxmemory 2gb, or as much as the machine has to spare (and in its configuration file)",
        )
    elif used > _MEMORY_SHARE * most:
        yield Finding(
            check="memory",
            severity="error" if used >= most else "warning",
            what=f"{used / most:.0%} of maxmemory is used",
            why="pushes are refused without memory; workers continue",
            fix="raise it with CONFIG SET maxmemory, start more workers, or limit users: fairque users --help",
        )


def _clients(info: Info, _: RedisSection) -> Iterator[Finding]:
    most, now = int(info.get("maxclients", 0)), int(info.get("connected_clients", 0))
    if most and now > _CLIENTS_SHARE * most:
        yield Finding(
            check="clients",
            severity="warning",
            what=f"{now:,} of at most {most:,} clients are connected",
            why="the server refuses further ones: workers cannot start, producers cannot push",
            fix="CONFIG SET maxclients 10000, or as many as the file limit of the server allows",
        )


def _scripts(info: Info, _: RedisSection) -> Iterator[Finding]:
    cached = int(info.get("number_of_cached_scripts", 0))
    if cached > _MANY_SCRIPTS:
        yield Finding(
            check="scripts",
            severity="warning",
            what=f"the server keeps {cached:,} scripts; fairque has fewer than a hundred",
            why="a program that makes a new script for each call fills the memory, which no limit of keys can free",
            fix="find it (MONITOR, EVAL with changing text), then SCRIPT FLUSH: fairque loads its own again by itself",
        )


def _allocator(info: Info, settings: RedisSection) -> Iterator[Finding]:
    # INFO reports the allocator of the build, not one that was preloaded, as for an embedded server.
    preloaded = settings.url.startswith("embedded:") and find_jemalloc() is not None
    if info.get("mem_allocator") == "libc" and not preloaded:
        yield Finding(
            check="allocator",
            severity="warning",
            what="the server was built with the allocator of libc",
            why="scripts take a quarter to a third longer than with jemalloc",
            fix="start it with LD_PRELOAD=libjemalloc.so.2 (this finding stays then, since the server reports how it "
            "was built), or use a server that was built with jemalloc; for embedded:// install libjemalloc2",
        )


def _cluster(info: Info, _: RedisSection) -> Iterator[Finding]:
    if info.get("cluster_enabled"):
        yield Finding(
            check="cluster",
            severity="warning",
            what="the server is a node of a cluster",
            why="only queues whose slot is on this node can be used: a call about another one is refused (MOVED)",
            fix="use a server that is not a cluster; or see where a queue is: CLUSTER KEYSLOT 'fairque:{NAME}:meta'",
        )


#: All checks, by name.
CHECKS: dict[str, _Check] = {
    "version": _version,
    "eviction": _eviction,
    "sentinel": _sentinel,
    "role": _role,
    "persistence": _persistence,
    "memory": _memory,
    "clients": _clients,
    "scripts": _scripts,
    "allocator": _allocator,
    "cluster": _cluster,
}
#: Checks that must succeed before any process of fairque starts.
REQUIRED_CHECKS = ("sentinel", "version", "eviction", "role")
#: Checks whose findings a worker logs when it starts.
WARNED_CHECKS = ("persistence",)


def findings_of(info: Info, settings: RedisSection, checks: tuple[str, ...] = tuple(CHECKS)) -> list[Finding]:
    """Run some checks.

    Args:
        info: The server's answer to INFO.
        settings: With ``allow_eviction``, eviction is only a warning.
        checks: Names of the checks.
    """
    return [finding for name in checks for finding in CHECKS[name](info, settings)]
