"""Changes of stored records without the scripts."""

import struct
from typing import Any

from fairque.protocol.jsonvalue import dumps
from fairque.protocol.wire.body import message_in

__all__ = [
    "TASK_RECORD",
    "USER_RECORD",
    "amend_globals",
    "amend_record",
    "packed",
    "parse_globals",
    "read_globals",
    "read_message",
    "set_schema",
    "write_message",
]

_GLOBALS = struct.Struct("<BBBB14d")
_GLOBAL_NAMES = (
    *("flags", "bs", "cg", "V", "aseq", "est0", "pop_at", "queued", "pushed", "finished", "seen", "shift", "clk"),
    *("next_at", "owe_min", "fresh_n", "kept_at"),
)
_BYTES = 3
_VERSION = 1
#: A bound of the scheduler record when there is nothing that it could be a bound of.
_NEVER = 2**53

#: Functions that read and write the record of a user, which is a field of a hash.
USER_RECORD = """
local LANES, NUMBERS = {[0] = "", "F", "R", "P"}, {[""] = 0, F = 1, R = 2, P = 3}
local function parse_user(text)
  local S, served, since, ewma, inf, lane = struct.unpack("<ddddI4B", text)
  local r = #text > 37 and cmsgpack.unpack(string.sub(text, 38)) or {}
  r.S, r.served, r.since, r.inf, r.ewma = S, served, since, inf, ewma > 0 and ewma or nil
  r.lane, r.borrows, r.sorted = LANES[lane % 4], lane % 8 >= 4 or nil, lane >= 8 or nil
  return r
end
local function pack_user(r)
  local tail = {}
  for name, value in pairs(r) do tail[name] = value end
  for _, name in ipairs({"S", "served", "since", "ewma", "inf", "lane", "borrows", "sorted"}) do tail[name] = nil end
  local lane = NUMBERS[r.lane] + (r.borrows and 4 or 0) + (r.sorted and 8 or 0)
  return struct.pack("<ddddI4B", r.S, r.served, r.since, r.ewma or 0, r.inf, lane)
    .. (next(tail) and cmsgpack.pack(tail) or "")
end
"""

_AMEND_USER = (
    USER_RECORD
    + """
local record = parse_user(redis.call("HGET", KEYS[1], ARGV[2]))
for name, value in pairs(cjson.decode(ARGV[1])) do record[name] = value end
redis.call("HSET", KEYS[1], ARGV[2], pack_user(record))
"""
)

#: Functions that read and write the record of a task, given the prefix of the queue. `read_task` also returns the
#: message, `''` if there is none.
TASK_RECORD = """
local STATES = {"QUEUED", "SCHEDULED", "DEFERRED", "STARTED", "FINISHED", "FAILED", "CANCELED"}
local FLAGS = {"solo", "cancel", "watch", "kids", "xcom", "large"}
local TEXTS = {"token", "settled", "worker"}
local function parse_task(text)
  local r, sizes, kind, place, state, flags, result, map = {state = "QUEUED"}, {}, 0, 0, 0, 0, 0, 0
  kind, r.pushed_at, r.prio, r.timeout, r.cost, sizes.digest, sizes.user, place = struct.unpack("<BdBddBB", text)
  local function take(size)
    place = place + size
    return string.sub(text, place - size, place - 1)
  end
  r.digest, r.user = take(sizes.digest), take(sizes.user)
  if kind == 2 then
    state, flags, r.ended_at, result, r.score, r.charged, r.attempt, r.fails, r.lost, sizes.token, sizes.settled,
      sizes.worker, map, place = struct.unpack("<BBdI4ddI4I4I4BBBI4", text, place)
    r.state = STATES[state]
    for _, name in ipairs(TEXTS) do
      r[name] = take(sizes[name])
      if r[name] == "" then r[name] = nil end
    end
    if map > 0 then
      for name, value in pairs(cmsgpack.unpack(take(map))) do r[name] = value end
    end
    if result > 0 then r.result = take(result) end
    for index, name in ipairs(FLAGS) do r[name] = math.floor(flags / 2 ^ (index - 1)) % 2 == 1 or nil end
    for _, name in ipairs({"ended_at", "charged", "attempt", "fails", "lost"}) do
      if r[name] == 0 then r[name] = nil end
    end
    if r.score == -math.huge then r.score = nil end
  end
  if r.prio == 3 then r.prio = nil end
  if r.timeout == 3600000 then r.timeout = nil end
  if r.cost == -1 then r.cost = nil end
  return r, kind == 1 and string.sub(text, place) or ""
end
local function read_task(prefix, id)
  local body, text = redis.call("GET", prefix .. "t:" .. id), redis.call("HGET", prefix .. "a", id)
  local pushed, message = {}, ""
  if body then pushed, message = parse_task(body) end
  return text and parse_task(text) or pushed, message
end
local function pack_task(r)
  local rest, flags, map = {}, 0, ""
  for name, value in pairs(r) do rest[name] = value end
  for index, name in ipairs(FLAGS) do
    if r[name] then flags = flags + 2 ^ (index - 1) end
    rest[name] = nil
  end
  for _, name in ipairs({"state", "digest", "prio", "user", "pushed_at", "cost", "timeout", "score", "charged",
    "ended_at", "attempt", "fails", "lost", "token", "settled", "worker", "result"}) do
    rest[name] = nil
  end
  if next(rest) then map = cmsgpack.pack(rest) end
  local state = 0
  for number, name in ipairs(STATES) do if name == r.state then state = number end end
  return struct.pack("<BdBddBB", 2, r.pushed_at, r.prio or 3, r.timeout or 3600000, r.cost or -1, #r.digest, #r.user)
    .. r.digest .. r.user .. struct.pack("<BBdI4ddI4I4I4BBBI4", state, flags, r.ended_at or 0, #(r.result or ""),
      r.score or -math.huge, r.charged or 0, r.attempt or 0, r.fails or 0, r.lost or 0, #(r.token or ""),
      #(r.settled or ""), #(r.worker or ""), #map)
    .. (r.token or "") .. (r.settled or "") .. (r.worker or "") .. map .. (r.result or "")
end
local function write_task(prefix, id, r)
  local text = pack_task(r)
  if r.state == "FINISHED" or r.state == "CANCELED" then
    redis.call("SET", prefix .. "t:" .. id, text)
    redis.call("HDEL", prefix .. "a", id)
  else
    redis.call("HSET", prefix .. "a", id, text)
  end
end
"""

_AMEND_TASK = (
    TASK_RECORD
    + """
local record = read_task(ARGV[2], ARGV[3])
for name, value in pairs(cjson.decode(ARGV[1])) do record[name] = value end
write_task(ARGV[2], ARGV[3], record)
"""
)

_AMEND = """
local record = cmsgpack.unpack(redis.call("GET", KEYS[1]))
for name, value in pairs(cjson.decode(ARGV[1])) do record[name] = value end
redis.call("SET", KEYS[1], cmsgpack.pack(record))
"""


def amend_record(client: Any, key: str, **fields: str | float | bool) -> None:
    """Change fields of the record of a task, user or schedule, to test how the scripts handle it.

    Args:
        client: A client of redis-py.
        key: The place of the record: ``…}:t:TASK``, ``…}:u:USER`` or ``…}:schedule:SCHEDULE``.
        fields: New values.
    """
    queue, _, place = key.partition("}:")
    kind, _, name = place.partition(":")
    if kind == "u":
        client.eval(_AMEND_USER, 1, f"{queue}}}:u", dumps(fields), name)
    elif kind == "t":
        client.eval(_AMEND_TASK, 1, key, dumps(fields), f"{queue}}}:", name)
    else:
        client.eval(_AMEND, 1, key, dumps(fields))


def packed(
    user_id: str = "ann",
    *,
    priority: int = 3,
    timeout_ms: float = 1_000,
    cost_us: float = -1,
    digest: bytes = b"d" * 8,
    message: bytes = b"{}",
) -> bytes:
    """Return a task as a producer packs it for a push. Nothing is checked.

    Args:
        user_id: The user; empty for that of the first parent.
        priority: The priority; 0 for that of the first parent.
        timeout_ms: How long an attempt may take.
        cost_us: Expected run time; -1 if there is none.
        digest: What identifies the content of the task.
        message: The encoded task.
    """
    user = user_id.encode()
    head = struct.pack("<BddBB", priority, timeout_ms, cost_us, len(digest), len(user))
    return head + digest + user + message


def read_message(client: Any, prefix: str, task_id: str) -> bytes:
    """Return the stored message of a task; empty if there is none.

    Args:
        client: A client of redis-py.
        prefix: The beginning of all keys of the queue.
        task_id: The task.
    """
    body = client.execute_command("GET", f"{prefix}t:{task_id}", NEVER_DECODE=True)
    return message_in(body or b"") or b""


def write_message(client: Any, prefix: str, task_id: str, message: bytes) -> None:
    """Replace the stored message of a task, to test how others handle it.

    Args:
        client: A client of redis-py.
        prefix: The beginning of all keys of the queue.
        task_id: The task.
        message: The new message.
    """
    key = f"{prefix}t:{task_id}"
    body = client.execute_command("GET", key, NEVER_DECODE=True)
    client.set(key, body[: len(body) - len(message_in(body) or b"")] + message)


def parse_globals(text: bytes | None) -> dict[str, float]:
    """Return the values of the scheduler record of a queue, those of a new queue if there is none.

    Args:
        text: The content of the key ``g``.
    """
    if text is None:
        never = dict.fromkeys(("next_at", "owe_min", "kept_at"), _NEVER)
        return {**dict.fromkeys(_GLOBAL_NAMES, 0), "est0": 1_000, **never}
    _, *values = _GLOBALS.unpack_from(text)
    return dict(zip(_GLOBAL_NAMES, values, strict=True))


def read_globals(client: Any, prefix: str) -> dict[str, float]:
    """Read the scheduler record of a queue.

    Args:
        client: A client of redis-py.
        prefix: The beginning of all keys of the queue.
    """
    return parse_globals(client.execute_command("GET", f"{prefix}g", NEVER_DECODE=True))


def amend_globals(client: Any, prefix: str, **values: float) -> None:
    """Change values of the scheduler record, to test how the scripts handle it.

    Args:
        client: A client of redis-py.
        prefix: The beginning of all keys of the queue.
        values: New values.
    """
    known = {**read_globals(client, prefix), **values}
    first, rest = list(known.values())[:_BYTES], list(known.values())[_BYTES:]
    client.set(f"{prefix}g", _GLOBALS.pack(_VERSION, *map(int, first), *rest))


def set_schema(client: Any, prefix: str, schema: str) -> None:
    """Let a queue have another schema, as one that another version of fairque has written.

    Args:
        client: A client of redis-py.
        prefix: The beginning of all keys of the queue.
        schema: The number of the schema.
    """
    client.hset(f"{prefix}meta", "schema", schema)
    if client.exists(f"{prefix}g"):
        client.setrange(f"{prefix}g", 0, bytes([_VERSION + 1]))
