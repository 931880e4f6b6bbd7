"""Changes of stored records without the scripts."""

from typing import Any

from fairque.protocol.jsonvalue import dumps

__all__ = ["amend_record"]

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
