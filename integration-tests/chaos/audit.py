"""The keys at the end of a run: the records of all tasks, and whether indexes and counters agree (rule C12)."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from fairque.console.verifier import verify
from fairque.protocol.calls.read import read_stats
from fairque.protocol.calls.sweep import sweep
from fairque.protocol.calls.watch import watch_many
from fairque.protocol.jsonvalue import loads
from fairque.protocol.model.states import TaskState
from fairque.protocol.runners import Runner
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.keys import QueueKeys

if TYPE_CHECKING:
    import redis

__all__ = ["audit", "final_records", "left_over"]

_ENDED = ("FINISHED", "FAILED", "CANCELED")
#: Indexes without members when all tasks have ended.
_EMPTY = ("running", "delayed", "deferred", "ready", "fresh", "critical")
_LASTING = ("meta", "g", "counts", "now", "wake", "sweeping", "claim:", "running")
#: Expires this many milliseconds after it was set.
_PASSING = ("interrupt:", 60_000)
_FAR_AHEAD_US = 60 * 86_400 * 1_000_000
_PAGE = 200


def final_records(runner: Runner, keys: QueueKeys, ids: Sequence[str]) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Return the record of each task with its result; None for an unknown one."""
    for first in range(0, len(ids), _PAGE):
        page = ids[first : first + _PAGE]
        records = runner.run_all([_read(keys, task_id) for task_id in page])
        left = runner.run(watch_many(keys, page))
        for task_id, record, outcome in zip(page, records, left, strict=True):
            if record is not None and outcome is not None:
                blob = loads(outcome.blob or b"{}")
                record["reason"] = blob.get("reason", "") if outcome.state is TaskState.FAILED else ""
                record["result"] = blob if outcome.state is TaskState.FINISHED else None
            yield task_id, record


def audit(admin: "redis.Redis", runner: Runner, keys: QueueKeys, records: Iterable[dict[str, Any]]) -> list[str]:
    """Return the problems in the keys of a queue in which all tasks have ended."""
    states = Counter(record["state"] for record in records)
    there = {"pushed": sum(states.values()), "queued": 0, **{state.lower(): states[state] for state in _ENDED}}
    stats = runner.run(read_stats(keys))
    said = {name: getattr(stats, name) for name in there}
    problems = [
        f"the counter {name} says {said[name]}, and it is {there[name]}" for name in there if said[name] != there[name]
    ]
    sizes = {index: admin.zcount(f"{keys.prefix}{index}", "-inf", "(inf") for index in _EMPTY}
    problems += [f"{index} has {size} members after all tasks have ended" for index, size in sizes.items() if size]
    found = verify(runner, keys)
    return problems + [f"{one.kind} {one.name}: {one.what}" for one in found.found] + found.unseen


def left_over(admin: "redis.Redis", runner: Runner, keys: QueueKeys) -> list[str]:
    """Let the retention time pass and return the remaining keys: there should be none of any task or user."""
    seconds, micros = admin.time()
    admin.hset(keys.meta, "test", "1")
    admin.set(f"{keys.prefix}now", seconds * 1_000_000 + micros + _FAR_AHEAD_US)
    while True:
        swept = runner.run(sweep(keys, guard_ms=0, max_lost_workers=5, result_ttl_ms=1, dead_ttl_ms=1))
        if swept is not None and not (swept.forgotten or swept.users):
            break
    left = (key.decode().removeprefix(keys.prefix) for key in admin.scan_iter(f"{keys.prefix}*", count=1000))
    lasting = (key for key in left if not (key.startswith(_LASTING) or _passes(admin, keys, key)))
    return [f"the key {key} is left when all tasks are forgotten" for key in lasting]


def _passes(admin: "redis.Redis", keys: QueueKeys, key: str) -> bool:
    """Whether a key will expire: the interrupt of a wait that had already ended, of a worker that has stopped."""
    name, longest_ms = _PASSING
    if not key.startswith(name):
        return False
    remaining_ms = admin.pttl(f"{keys.prefix}{key}")
    return remaining_ms != -1 and remaining_ms <= longest_ms  # -1: no expiry


def _read(keys: QueueKeys, task_id: str) -> Call[dict[str, Any] | None]:
    def decode(reply: list[Any]) -> dict[str, Any] | None:
        places = iter(reply[2:])
        return {name.decode(): value.decode() for name, value in zip(places, places, strict=True)} or None

    return Call("read_task", keys, (task_id,), decode)
