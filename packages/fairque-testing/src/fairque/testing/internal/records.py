"""Changes of stored records without the scripts."""

import struct
from typing import Any

from fairque.protocol.jsonvalue import dumps

__all__ = ["amend_globals", "amend_record", "parse_globals", "read_globals"]

_GLOBALS = struct.Struct("<BBBddddddddd")
_GLOBAL_NAMES = ("bs", "cg", "V", "aseq", "est0", "pop_at", "queued", "pushed", "finished", "seen", "shift")
_VERSION = 1

_AMEND = """
local record = cmsgpack.unpack(redis.call("GET", KEYS[1]))
for name, value in pairs(cjson.decode(ARGV[1])) do record[name] = value end
redis.call("SET", KEYS[1], cmsgpack.pack(record))
"""


def amend_record(client: Any, key: str, **fields: str | float | bool) -> None:
    """Change fields of the record of a task or user, to test how the scripts handle it.

    Args:
        client: A client of redis-py.
        key: Key of the record.
        fields: New values.
    """
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
