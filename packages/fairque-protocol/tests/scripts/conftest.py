"""One queue for each test, on each kind of server, with a clock that only the test moves."""

import contextlib
import heapq
import json
import math
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from itertools import count, pairwise
from typing import Any, TypeVar

import pytest
import redis

from fairque.protocol.calls.pop import Granted
from fairque.protocol.config import RedisSection
from fairque.protocol.model.standing import UserStanding
from fairque.protocol.model.states import TaskState
from fairque.protocol.model.task import Task, from_fields
from fairque.protocol.runners import Runner
from fairque.protocol.wire.scripts import script
from fairque.protocol.wire.status import Status
from fairque.testing.internal import (
    TASK_RECORD,
    USER_RECORD,
    QueueBench,
    amend_globals,
    calls,
    parse_globals,
    read_globals,
)
from fairque.testing.internal.bench import DEAD_TTL_MS, LEASE_MS, RESULT_TTL_MS

T = TypeVar("T")

START_US = 1_800_000_000_000_000


class Bench(QueueBench):
    """A queue with every verb, with default arguments.

    Attributes:
        client: A client to inspect the stored data.
        now_us: The time of the queue's clock.
    """

    def __init__(self, client: "redis.Redis", runner: Runner, name: str) -> None:
        super().__init__(runner, name)
        self.client = client
        self.now_us = START_US
        self._numbers = count(1)
        client.hset(self.keys.meta, "test", "1")
        self.advance(0)

    @property
    def now_ms(self) -> int:
        return self.now_us // 1000

    def advance(self, milliseconds: float) -> None:
        """Move the clock of the queue."""
        self.now_us += round(milliseconds * 1000)
        self.client.set(f"{self.keys.prefix}now", self.now_us)

    def raw(self, name: str, *arguments: str | bytes | float) -> Any:
        """Send arguments to a script that no call builder sends."""
        return self.client.eval(script(name).text, 1, self.keys.meta, *arguments)

    def task(self, user: str | None = "ann", task_id: str = "", **fields: Any) -> Task[Any]:
        """Create a task with the next of the names t1, t2, t3 …"""
        number = next(self._numbers)
        return from_fields(task_id=task_id or f"t{number}", user_id=user, func="f", created_at=0, **fields)

    def begin_names_at(self, number: int) -> None:
        """Continue the names of tasks at this number."""
        self._numbers = count(number)

    def push(self, *tasks: Task[Any], message_limit: int = 262_144) -> list[tuple[Status, TaskState | None, str]]:
        pushed = self.run(calls.push(self.keys, tasks or [self.task()], message_limit=message_limit))
        return [(p.code, p.state, p.task_id) for p in pushed]

    def fill(self, user: str, number: int, **fields: Any) -> list[str]:
        """Push many tasks of a user and return their ids."""
        tasks = [self.task(user, **fields) for _ in range(number)]
        return [task_id for _, _, task_id in self.push(*tasks)]

    def pop_ids(self, number: int = 1, **changes: Any) -> list[str]:
        return [task.task_id for task in self.pop(number, **changes)]

    def wait_ms(self) -> int | None:
        """Pop all tasks, and return how long the worker may wait."""
        return self.run(self.pop_call(100)).wait_ms

    def started(self, **fields: Any) -> Granted:
        """Push one task and pop it."""
        self.push(self.task(**fields))
        (granted,) = self.pop()
        return granted

    def beat(self, *held: Granted | tuple[str, str], lease_ms: int = LEASE_MS) -> list[Status]:
        pairs = [(h.task_id, h.token) if isinstance(h, Granted) else h for h in held]
        return self.run(calls.beat(self.keys, pairs, lease_ms=lease_ms))

    def sweep(self, max_lost_workers: int = 5) -> calls.Swept:
        swept = self.guarded_sweep(0, max_lost_workers)
        assert swept is not None
        return swept

    def guarded_sweep(self, guard_ms: int, max_lost_workers: int = 5, sweeper: str = "") -> calls.Swept | None:
        return self.run(
            calls.sweep(
                self.keys,
                sweeper,
                guard_ms=guard_ms,
                max_lost_workers=max_lost_workers,
                result_ttl_ms=RESULT_TTL_MS,
                dead_ttl_ms=DEAD_TTL_MS,
            )
        )

    def limit(self, user: str = "ann", **values: float | None) -> int:
        """Set limits of a user, and return how many of them changed."""
        names: dict[Any, Any] = values
        settings = [calls.Setting(user, name, value) for name, value in names.items()]
        return self.run(calls.limit(self.keys, settings))

    def standing(self, user: str = "ann") -> UserStanding:
        return self.run(calls.read_user(self.keys, user))

    def woken(self) -> bool:
        """Take the wake-up like a blocking worker, and return whether there was one; there are never two."""
        taken = self.client.lpop(self.keys.wake) is not None
        assert self.client.llen(self.keys.wake) == 0
        return taken

    def snapshot(self, *kinds: str) -> dict[str, Any]:
        """All data of the queue except the clock and hints, by the part of the key after the prefix.

        Of a task: its record at ``t:``, its message at ``m:``, its result at ``r:``, wherever they are stored; and the
        tasks with a record in ``a``, sorted. Of a user: all tasks in its queue with their places at ``n:``, and those
        beside its list also at ``z:``.

        Args:
            kinds: Include only keys with these beginnings.
        """
        names: list[Any] = sorted(self.client.keys(f"{self.keys.prefix}*"))
        suffixes = [name.decode().removeprefix(self.keys.prefix) for name in names]
        with self.client.pipeline(transaction=True) as pipeline:
            for name in names:
                pipeline.type(name)
            types = pipeline.execute()
            for name, suffix, kind in zip(names, suffixes, types, strict=True):
                read = _RECORDS.get(suffix.partition(":")[0])
                if read is None:
                    _READ[kind](pipeline, name)
                else:
                    pipeline.eval(read, 1, name, self.keys.prefix, suffix.partition(":")[2])
            values = pipeline.execute()
        raw = dict(zip(suffixes, values, strict=True))
        found = _shown({suffix: _text(value) for suffix, value in raw.items()})
        if "g" in found and isinstance(raw["g"], bytes):
            found["g"] = _decisive(parse_globals(raw["g"]))
        if dict(zip(suffixes, types, strict=True)).get("running") == b"zset":
            # Without the filler, which is not a task.
            found["running"] = [(task_id, end) for task_id, end in found["running"] if end != math.inf] or None
        found = {suffix: value for suffix, value in found.items() if suffix != "now" and value is not None}
        found.update(_queues(found))
        return {suffix: value for suffix, value in found.items() if not kinds or suffix.startswith(kinds)}

    def snapshot_raw(self) -> dict[bytes, bytes]:
        """Every key as the server dumps it, except keys that expire."""
        names: list[Any] = sorted(self.client.keys(f"{self.keys.prefix}*"))
        with self.client.pipeline(transaction=True) as pipeline:
            for name in names:
                pipeline.pttl(name)
            for name in names:
                pipeline.dump(name)
            answers = pipeline.execute()
        lasting, dumps = answers[: len(names)], answers[len(names) :]
        return {name: dump for name, ttl, dump in zip(names, lasting, dumps, strict=True) if ttl == -1}

    def globals(self) -> dict[str, float]:
        """The values of the scheduler record."""
        return read_globals(self.client, self.keys.prefix)

    def new_globals(self, **values: float) -> dict[str, str]:
        """The scheduler record of a queue that was just created, as `snapshot` shows it, with other values."""
        return _decisive({**parse_globals(None), "seen": self.now_us, **values})

    def amend_globals(self, **values: float) -> None:
        """Change values of the scheduler record."""
        amend_globals(self.client, self.keys.prefix, **values)

    def assert_bounds_hold(self) -> None:
        """Nothing is below the bounds in the scheduler record, fresh users are counted, and CRITICAL ones noted."""
        found, values = self.snapshot(), self.globals()
        for name, indexes in _BOUNDS.items():
            firsts = [found[index][0][1] / scale for index, scale in indexes.items() if index in found]
            assert values[name] <= math.ceil(min(firsts, default=2**53)), (name, values, found)
        assert values["next_at"] == 0 or "pending" not in found
        assert values["fresh_n"] == len(found.get("fresh", []))
        assert "critical" not in found or int(values["flags"]) & 8

    def drop(self) -> None:
        """Delete the queue."""
        left = self.client.keys(f"{self.keys.prefix}*")
        for first in range(0, len(left), 1_000):
            self.client.delete(*left[first : first + 1_000])

    def ttl_ms(self, suffix: str) -> int:
        return int(self.client.pttl(f"{self.keys.prefix}{suffix}"))


#: Of each bound in the scheduler record the indexes that it is a bound of, and how many of their units are one of its.
_BOUNDS = {
    "next_at": {"running": 1, "delayed": 1, "timers": 1_000},
    "owe_min": {"owe": 1},
    "kept_at": {"kept": 1, "held": 1},
}


def _decisive(values: dict[str, float]) -> dict[str, str]:
    """The values of the scheduler record but hints, which depend on what a script has looked at."""
    return {name: f"{value:.17g}" for name, value in values.items() if name not in {"flags", *_BOUNDS}}


_AS_TEXT = """
local function as_text(record)
  local fields = {}
  for name, value in pairs(record) do
    if name == "digest" then
      value = string.gsub(value, ".", function(byte) return string.format("%02x", string.byte(byte)) end)
    end
    if type(value) == "number" then value = string.format(value % 1 == 0 and "%.0f" or "%.17g", value) end
    fields[#fields + 1], fields[#fields + 2] = name, tostring(value)
  end
  return fields
end
"""

#: The fields of the record of a task, and its message.
_TASK = (
    TASK_RECORD
    + _AS_TEXT
    + """
local record, message = read_task(ARGV[1], ARGV[2])
return {as_text(record), message}
"""
)

#: As `_TASK`, of all tasks with a record in the hash, by id.
_ATTEMPTS = (
    TASK_RECORD
    + _AS_TEXT
    + """
local tasks, ids = {}, redis.call("HKEYS", KEYS[1])
table.sort(ids)
for _, id in ipairs(ids) do
  local record, message = read_task(ARGV[1], id)
  tasks[#tasks + 1], tasks[#tasks + 2], tasks[#tasks + 3] = id, as_text(record), message
end
return tasks
"""
)

#: The fields of the record of a schedule, numbers as text.
_RECORD = _AS_TEXT + 'return as_text(cmsgpack.unpack(redis.call("GET", KEYS[1])))'

#: The ids of all users, and the fields of their records.
_USERS = (
    USER_RECORD
    + _AS_TEXT
    + """
local users, all = {}, redis.call("HGETALL", KEYS[1])
for place = 1, #all, 2 do users[place], users[place + 1] = all[place], as_text(parse_user(all[place + 1])) end
return users
"""
)

_READ: dict[bytes, Any] = {
    b"string": lambda pipeline, name: pipeline.get(name),
    b"hash": lambda pipeline, name: pipeline.hgetall(name),
    b"zset": lambda pipeline, name: pipeline.zrange(name, 0, -1, withscores=True),
    b"set": lambda pipeline, name: pipeline.smembers(name),
    b"list": lambda pipeline, name: pipeline.lrange(name, 0, -1),
    # It has just expired.
    b"none": lambda pipeline, name: pipeline.get(name),
}


#: How to read keys with records, by the first part of their names.
_RECORDS = {"t": _TASK, "a": _ATTEMPTS, "schedule": _RECORD, "u": _USERS}


def _shown(found: dict[str, Any]) -> dict[str, Any]:
    """Each record apart, and those of tasks in parts."""
    shown: dict[str, Any] = {}
    for suffix, value in found.items():
        kind, _, name = suffix.partition(":")
        if kind == "t":
            shown.update(_parts(name, *value))
        elif kind == "schedule":
            shown[suffix] = dict(zip(value[::2], value[1::2], strict=True))
        elif kind == "a":
            shown["a"] = value[::3]
            for task_id, *parts in zip(value[::3], value[1::3], value[2::3], strict=True):
                shown.update(_parts(task_id, *parts))
        elif kind == "u":
            users = zip(value[::2], value[1::2], strict=True)
            shown.update((f"u:{user}", dict(zip(record[::2], record[1::2], strict=True))) for user, record in users)
        else:
            shown[suffix] = value
    return shown


def _queues(found: dict[str, Any]) -> dict[str, Any]:
    """The queue of each user in its order: its list, and the tasks beside it."""
    queues = {}
    for user in {suffix[2:] for suffix in found if suffix.startswith(("n:", "z:"))}:
        listed, beside = found.get(f"n:{user}", []), found.get(f"z:{user}", [])
        if isinstance(listed, list) and isinstance(beside, list):
            places = [
                (task_id, float(found.get(f"t:{task_id}", {}).get("pushed_at", 0)) - 120_000_000)
                for task_id in listed
                if not task_id.startswith("\n")
            ]
            queues[f"n:{user}"] = sorted([*places, *beside], key=lambda entry: (entry[1], entry[0]))
    return {name: queue for name, queue in queues.items() if queue}


def _parts(task_id: str, fields: list[str], message: str) -> dict[str, Any]:
    """What is stored of a task."""
    record = dict(zip(fields[::2], fields[1::2], strict=True))
    result = record.pop("result", None)
    parts = {f"t:{task_id}": record, f"m:{task_id}": message or None, f"r:{task_id}": result}
    return {name: part for name, part in parts.items() if part is not None}


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, dict):
        return {_text(key): _text(item) for key, item in value.items()}
    if isinstance(value, set):
        return {_text(item) for item in value}
    if isinstance(value, list | tuple):
        return type(value)(_text(item) for item in value)
    return value


@pytest.fixture(scope="session")
def script_server(fairque_every_server_url: str) -> Iterator[tuple["redis.Redis", Runner]]:
    """A client and a runner of each kind of server."""
    runner = Runner(RedisSection(url=fairque_every_server_url))
    with redis.Redis.from_url(fairque_every_server_url) as client:
        yield client, runner
    runner.close()


@pytest.fixture
def new_queue(script_server: tuple["redis.Redis", Runner]) -> Callable[[], Bench]:
    """Creates queues for a test that needs many and drops them itself."""
    return lambda: Bench(*script_server, f"test-{uuid.uuid4().hex}")


@pytest.fixture
def queue(script_server: tuple["redis.Redis", Runner], fairque_queue_name: str) -> Iterator[Bench]:
    """A separate queue."""
    bench = Bench(*script_server, fairque_queue_name)
    yield bench
    bench.drop()


@pytest.fixture
def queue_on() -> Iterator[Callable[[str], Bench]]:
    """Creates queues on other servers, given by address."""
    with contextlib.ExitStack() as ends:

        def make(url: str) -> Bench:
            runner = Runner(RedisSection(url=url, retries=0))
            ends.callback(runner.close)
            return Bench(ends.enter_context(redis.Redis.from_url(url)), runner, f"test-{uuid.uuid4().hex}")

        yield make


class Crew:
    """Workers that take one task each, run it on the queue's clock for its cost, beat, and end it.

    Attributes:
        queue: Their queue, used by no other workers.
        workers: Number of workers.
        lease_ms: Lease of their tasks; they beat three times in it.
        started: The users of all started tasks, in order.
        waiting: Number of waiting tasks of each user.
    """

    def __init__(self, queue: Bench, workers: int = 1, *, lease_ms: int = LEASE_MS) -> None:
        self.queue = queue
        self.workers = workers
        self.lease_ms = lease_ms
        self.started: list[str] = []
        self.waiting: Counter[str] = Counter()
        self._costs: dict[str, int] = {}
        self._spans: list[tuple[str, int, int]] = []
        self._running: list[tuple[int, int, Granted]] = []

    @property
    def running(self) -> list[Granted]:
        return [held for _, _, held in self._running]

    def push(self, user: str, *costs_us: int, hint: float | None = None, **fields: Any) -> None:
        """Push a task of each cost; its hint is the cost times a factor."""
        costs = [None if hint is None else hint * cost / 1_000_000 for cost in costs_us]
        tasks = [self.queue.task(user, cost=cost, **fields) for cost in costs]
        self.queue.push(*tasks)
        self._costs |= {task.task_id: cost for task, cost in zip(tasks, costs_us, strict=True)}
        self.waiting[user] += len(tasks)

    def work(self, starts: float = math.inf, *, until_us: float = math.inf, while_wait: Collection[str] = ()) -> None:
        """Work until a number of tasks was started, a time is reached, no task runs, or a given user has none left."""
        last = len(self.started) + starts
        while self.queue.now_us < until_us and all(self.waiting[user] for user in while_wait):
            self._take(last - len(self.started))
            if len(self.started) >= last or not self._running:
                return
            self._continue(min(self._running[0][0], until_us))

    def lead(self, one: str, other: str, weights: dict[str, float], *, since_us: int = 0) -> float:
        """The largest lead of one user's time per weight over another's in any interval, in µs."""
        rates: defaultdict[int, float] = defaultdict(float)
        slopes = {one: 1 / weights.get(one, 1), other: -1 / weights.get(other, 1)}
        for user, *times in self._spans:
            begin, end = (min(max(time, since_us), self.queue.now_us) for time in times)
            rates[begin] += slopes.get(user, 0)
            rates[end] -= slopes.get(user, 0)
        moments = sorted(rates)
        ahead = rate = least = most = 0.0
        for moment, following in pairwise(moments):
            rate += rates[moment]
            ahead += rate * (following - moment)
            least, most = min(least, ahead), max(most, ahead - least)
        return most

    def lead_in_starts(self, one: str, other: str, weights: dict[str, float], *, since: int = 0) -> float:
        """The largest such lead in started tasks, beginning with a given one."""
        slopes = {one: 1 / weights.get(one, 1), other: -1 / weights.get(other, 1)}
        ahead = least = most = 0.0
        for user in self.started[since:]:
            ahead += slopes.get(user, 0)
            least, most = min(least, ahead), max(most, ahead - least)
        return most

    def _take(self, most: float) -> None:
        idle = min(self.workers - len(self._running), most)
        for held in self.queue.pop(int(idle), lease_ms=self.lease_ms) if idle else ():
            user = json.loads(held.message)["user"]
            end = self.queue.now_us + self._costs[held.task_id]
            heapq.heappush(self._running, (end, len(self.started), held))
            self._spans.append((user, self.queue.now_us, end))
            self.started.append(user)
            self.waiting[user] -= 1

    def _continue(self, until_us: float) -> None:
        """Let time pass, beat on the way, and finish the tasks that end."""
        beat_us = self.lease_ms * 1_000 // 3
        while (beat_at := (self.queue.now_us // beat_us + 1) * beat_us) < until_us:
            self._move_to(beat_at)
            self.queue.beat(*self.running, lease_ms=self.lease_ms)
        self._move_to(until_us)
        while self._running and self._running[0][0] <= until_us:
            _, _, held = heapq.heappop(self._running)
            self.queue.finish(held, ran_us=self._costs[held.task_id])

    def _move_to(self, time_us: float) -> None:
        self.queue.advance((time_us - self.queue.now_us) / 1_000)


@pytest.fixture
def new_crew(new_queue: Callable[[], Bench]) -> Iterator[Callable[..., Crew]]:
    """Creates crews, each with its own queue."""
    crews: list[Crew] = []

    def make(workers: int = 1, **options: Any) -> Crew:
        crews.append(Crew(new_queue(), workers, **options))
        return crews[-1]

    yield make
    for crew in crews:
        crew.queue.drop()
