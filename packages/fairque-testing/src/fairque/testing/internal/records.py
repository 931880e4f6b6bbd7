"""Changes of stored records without the scripts."""

import struct
from typing import Any

from fairque.protocol.jsonvalue import dumps

__all__ = ["USER_RECORD", "amend_globals", "amend_record", "parse_globals", "read_globals"]

_GLOBALS = struct.Struct("<BBBdddddddddd")
_GLOBAL_NAMES = ("bs", "cg", "V", "aseq", "est0", "pop_at", "queued", "pushed", "finished", "seen", "shift", "clk")
_VERSION = 1

#: Functions that read and write the record of a user, which is a field of a hash.
USER_RECORD = """
local LANES, NUMBERS, BORROWS = {[0] = "", "F", "R", "P"}, {[""] = 0, F = 1, R = 2, P = 3}, 4
local function parse_user(text)
  local S, served, since, ewma, inf, lane = struct.unpack("<ddddI4B", text)
  local r = #text > 37 and cmsgpack.unpack(string.sub(text, 38)) or {}
  r.S, r.served, r.since, r.inf, r.ewma = S, served, since, inf, ewma > 0 and ewma or nil
  r.lane, r.borrows = LANES[lane % BORROWS], lane >= BORROWS or nil
  return r
end
local function pack_user(r)
  local tail = {}
  for name, value in pairs(r) do tail[name] = value end
  for _, name in ipairs({"S", "served", "since", "ewma", "inf", "lane", "borrows"}) do tail[name] = nil end
  local lane = NUMBERS[r.lane] + (r.borrows and BORROWS or 0)
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

_AMEND = """
local record = cmsgpack.unpack(redis.call("GET", KEYS[1]))
for name, value in pairs(cjson.decode(ARGV[1])) do record[name] = value end
redis.call("SET", KEYS[1], cmsgpack.pack(record))
"""


def amend_record(client: Any, key: str, **fields: str | float | bool) -> None:
    """Change fields of the record of a task or user, to test how the scripts handle it.

    Args:
        client: A client of redis-py.
        key: Key of the record; for a user its place in the hash as ``…}:u:USER``.
        fields: New values.
    """
    prefix, is_user, user_id = key.partition("}:u:")
    if is_user:
        client.eval(_AMEND_USER, 1, f"{prefix}}}:u", dumps(fields), user_id)
    else:
        client.eval(_AMEND, 1, key, dumps(fields))


def parse_globals(text: bytes | None) -> dict[str, float]:
    """Return the values of the scheduler record of a queue, those of a new queue if there is none.

    Args:
        text: The content of the key ``g``.
    """
    if text is None:
        return {**dict.fromkeys(_GLOBAL_NAMES, 0), "est0": 1_000}
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
    client.set(f"{prefix}g", _GLOBALS.pack(_VERSION, int(known["bs"]), int(known["cg"]), *list(known.values())[2:]))
