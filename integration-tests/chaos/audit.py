"""What the keys say when all is quiet: the records of all tasks, and whether indexes and counters agree (rule C12)."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from fairque.protocol.calls import sweep
from fairque.protocol.runners import Runner
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.keys import QueueKeys

if TYPE_CHECKING:
    import redis

__all__ = ["audit", "final_records", "left_over"]

_ENDED = ("FINISHED", "FAILED", "CANCELED")
_EMPTY = ("running", "delayed", "deferred", "pending", "ready", "fresh", "critical", "timers")
#: What stays when the last task is forgotten, and what goes by its own TTL.
_LASTING = ("meta", "g", "counts", "now", "wake", "sweeping", "claim:")
_FAR_AHEAD_US = 60 * 86_400 * 1_000_000
_PAGE = 200


def final_records(runner: Runner, keys: QueueKeys, ids: Sequence[str]) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Give the record of each task with what it left; None for one that is not known."""
    for first in range(0, len(ids), _PAGE):
        page = ids[first : first + _PAGE]
        records = runner.run_all([_read(keys, task_id) for task_id in page])
        left = runner.run_all([Call("watch", keys, (task_id, ""), _blob) for task_id in page])
        for task_id, record, blob in zip(page, records, left, strict=True):
            if record is not None:
                record["reason"] = blob.get("reason", "") if record["state"] == "FAILED" else ""
                record["result"] = blob if record["state"] == "FINISHED" else None
            yield task_id, record


def audit(admin: "redis.Redis", keys: QueueKeys, records: Iterable[dict[str, Any]]) -> list[str]:
    """Say what is wrong with the keys of a queue in which all tasks have ended."""
    states = Counter(record["state"] for record in records)
    prefix, ended = keys.prefix, sum(states[state] for state in _ENDED)
    names = ("pushed", "queued", "finished", "failed", "canceled")
    said = {name: int(admin.hget(f"{prefix}counts", name) or 0) for name in names}
    there = {
        "pushed": sum(states.values()),
        "queued": 0,
        **{state.lower(): states[state] for state in _ENDED},
    }
    problems = [
        f"the counter {name} says {said[name]}, there are {there[name]}" for name in there if said[name] != there[name]
    ]
    cards = {name: admin.zcard(f"{prefix}{name}") for name in (*_EMPTY[:3], *_EMPTY[4:], "kept", "dead")}
    cards["pending"] = admin.llen(f"{prefix}pending")
    wanted = {**dict.fromkeys(_EMPTY, 0), "kept": ended, "dead": states["FAILED"]}
    problems += [
        f"{name} has {cards[name]} members, not {wanted[name]}" for name in wanted if cards[name] != wanted[name]
    ]
    kinds: Counter[str] = Counter()
    for key in admin.scan_iter(f"{prefix}*", count=1000):
        kinds[key.decode().removeprefix(prefix).partition(":")[0]] += 1
    problems += [f"{kinds[kind]} keys {kind}: are left" for kind in ("n", "c", "s", "d", "w", "dedup") if kinds[kind]]
    if kinds["t"] != ended:
        problems.append(f"there are {kinds['t']} records of tasks, and {ended} tasks have ended")
    return problems


def left_over(admin: "redis.Redis", runner: Runner, keys: QueueKeys) -> list[str]:
    """Let the time of keeping pass and say which keys are left: there should be none of any task or user."""
    seconds, micros = admin.time()
    admin.hset(keys.meta, "test", "1")
    admin.set(f"{keys.prefix}now", seconds * 1_000_000 + micros + _FAR_AHEAD_US)
    while True:
        swept = runner.run(sweep(keys, guard_ms=0, max_deliveries=5, result_ttl_ms=1, dead_ttl_ms=1))
        if swept is not None and not (swept.forgotten or swept.users):
            break
    left = (key.decode().removeprefix(keys.prefix) for key in admin.scan_iter(f"{keys.prefix}*", count=1000))
    return [f"the key {key} is left when all tasks are forgotten" for key in left if not key.startswith(_LASTING)]


def _read(keys: QueueKeys, task_id: str) -> Call[dict[str, Any] | None]:
    def decode(reply: list[Any]) -> dict[str, Any] | None:
        places = iter(reply[2:])
        return {name.decode(): value.decode() for name, value in zip(places, places, strict=True)} or None

    return Call("read_task", keys, (task_id,), decode)


def _blob(reply: list[Any]) -> Any:
    return json.loads(reply[2]) if len(reply) > 2 and reply[2] else {}
