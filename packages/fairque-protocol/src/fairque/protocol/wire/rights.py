"""The commands, keys and channels that each script and role needs: for the doctor, the runners, and the ACL files."""

import re
from collections.abc import Iterable
from functools import cache

from attrs import frozen

from fairque.protocol.wire.scripts import script, script_names

__all__ = [
    "KEYS",
    "ROLES",
    "Need",
    "acl_rules",
    "commands_of",
    "describe_needs",
    "needs_of",
    "needs_of_role",
    "probe_of",
    "remedy",
    "scripts_of",
]


#: The keys of a queue without its prefix; an id follows a colon. The key `now` is only for tests.
KEYS = (
    *("meta", "t:", "a", "x:", "r:", "p:", "w:", "n:", "z:", "c:", "u", "ready", "fresh", "critical", "owe", "timers"),
    *("users", "cfg:", "configured", "g", "running", "delayed", "deferred", "s:", "d:", "pending", "kept", "held"),
    *("dead", "counts", "dedup:", "claim:", "wake", "interrupt:", "sweeping", "broken:"),
    *("schedule:", "schedules", "due", "lock"),
)
#: Most commands or places that a sentence lists.
_SHOWN = 12
_CHANNELS = ("done:", "changed")

#: Commands that every process sends itself: to connect, to run scripts, and to check the server.
_ALWAYS = ("EVALSHA", "SCRIPT|LOAD", "INFO", "PING", "SELECT")
_LISTENING = ("SUBSCRIBE", "UNSUBSCRIBE")

_OF_PRODUCERS = ("push", "cancel", "watch")
_OF_WORKERS = ("pop", "beat", "finish", "fail", "release", "sweep", "rouse", "interrupt", "progress")

#: The roles of processes and people.
ROLES = ("producer", "worker", "scheduler", "viewer", "admin")


#: Write commands in shared includes that read-only scripts never reach.
_SHARED_WRITES = {"SET", "RENAME", "PEXPIRE", "HINCRBY", "HSET"}


@cache
def _called(name: str) -> frozenset[str]:
    return script(name).commands - (_SHARED_WRITES if script(name).reads_only else frozenset())


def _readers() -> set[str]:
    return {name for name in script_names() if script(name).reads_only}


def _of_schedules() -> set[str]:
    """Return the scripts of schedules, by their names."""
    return {name for name in script_names() if re.search(r"^(?:lead|fire|due|enable)$|schedule", name)}


def scripts_of(role: str) -> list[str]:
    """Return the scripts that a role runs, sorted: its own, and those that only read."""
    return sorted({*_own_scripts(role)} | _readers())


def _own_scripts(role: str) -> list[str]:
    """Return the scripts without which a role cannot do its work."""
    own: dict[str, set[str]] = {
        "producer": {*_OF_PRODUCERS},
        "worker": {*_OF_WORKERS},
        "scheduler": _of_schedules(),
        "viewer": _readers(),
        "admin": {*script_names()},
    }
    return sorted(own[role] & {*script_names()})


def _direct_commands(role: str) -> set[str]:
    """Return the commands that a role sends itself."""
    direct = {*_ALWAYS}
    if role != "worker":
        direct |= {*_LISTENING}
    if role == "worker":
        direct |= {"BLPOP", "DEL"}
    if role == "admin":
        direct |= {"BLPOP", "HSCAN", "LRANGE", "MGET", "SCAN", "ZSCAN"}
    return direct


def commands_of(role: str) -> list[str]:
    """Return the commands that a role has to send, itself and in its scripts, sorted; a subcommand after a bar."""
    return sorted(_direct_commands(role).union(*(_called(name) for name in scripts_of(role))))


def acl_rules(role: str, queue: str = "") -> str:
    """Return the rules of an ACL user for a role: its commands, and the keys and channels of one queue, or of all.

    Calls of different scripts cannot be distinguished: between roles that write, such as producer and worker, the rules
    do not isolate scripts, but each role can only send the commands of its own scripts.
    """
    keys = f"fairque:{{{queue}}}:*" if queue else "fairque:*"
    commands = " ".join(f"+{command.lower()}" for command in commands_of(role))
    return f"resetkeys resetchannels -@all ~{keys} &{keys} {commands}"


@frozen
class Need:
    """Something that a script needs from the user of its connection.

    Attributes:
        probe: A command with arguments, as the script ``rights`` takes it.
        command: The command, in lower case.
        place: The key or channel, as a text; empty if the need is the command itself.
    """

    probe: str
    command: str
    place: str = ""


@cache
def needs_of(name: str) -> tuple[Need, ...]:
    """Return what a script needs: its commands, and the keys and channels that it uses with them."""
    commands = sorted(_called(name))
    strings = script(name).strings
    changes_meta = _WRITES_META.search(script(name).text) is not None
    needs = _of_commands(commands)
    read = "HMGET" if "HMGET" in commands else "GET"
    write = next((command for command in _WRITES if command in commands), None)
    for key in KEYS:
        if not _touches(strings, key):
            continue
        needs.append(Need(probe_of(read, key), read.lower(), f"read keys {key}"))
        if write is not None and (key != "meta" or changes_meta):
            needs.append(Need(probe_of(write, key), write.lower(), f"write keys {key}"))
    for channel in _CHANNELS:
        if "PUBLISH" in commands and _touches(strings, channel):
            needs.append(Need(f"PUBLISH &{channel} 1", "publish", f"publish to {channel}"))
    return tuple(needs)


@cache
def needs_of_role(role: str) -> tuple[Need, ...]:
    """Return what a role needs for its own work, directly and in its scripts."""
    needs = _of_commands(sorted(_direct_commands(role)))
    needs += [need for name in _own_scripts(role) for need in needs_of(name)]
    return tuple({need.probe: need for need in needs}.values())


def _of_commands(commands: Iterable[str]) -> list[Need]:
    return [Need(probe_of(command), command.lower()) for command in commands]


def describe_needs(lacking: Iterable[Need]) -> str:
    """Return the missing rights as a text: commands to send, and places to reach."""
    lacking = list(lacking)
    commands = sorted({need.command for need in lacking if not need.place})
    # If the command itself is not allowed, its places are not listed.
    places = dict.fromkeys(need.place for need in lacking if need.place and need.command not in commands)
    return "; ".join(f"{verb}: {_first(names)}" for verb, names in (("send", commands), ("reach", [*places])) if names)


def _first(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def remedy(lacking: Iterable[Need], queue: str) -> str:
    """Return the command that grants the missing rights."""
    prefix = f"fairque:{{{queue}}}:*"
    commands = dict.fromkeys(f"+{need.command}" for need in lacking if not need.place)
    return " ".join(("ACL SETUSER USER", f"~{prefix}", f"&{prefix}", *commands))


#: Commands that test whether a key may be written; every script that writes uses one of them.
_WRITES = ("MSET", "SET", "HSET", "ZADD", "LPUSH", "DEL")
_WRITES_META = re.compile(r'"(?:HSET|HSETNX|HDEL)", KEYS\[1\]')


def _touches(strings: frozenset[str], key: str) -> bool:
    """Whether a script names a key: ids follow a colon, which other code adds for the queues of users."""
    if key in ("n:", "z:", "c:"):
        return any(text == key[0] or text.startswith(key) for text in strings)
    return key == "meta" or key in strings or (key.endswith(":") and any(text.startswith(key) for text in strings))


_PROBES = {
    "BLPOP": "BLPOP {key} 1",
    "EVALSHA": f"EVALSHA {'0' * 40} 1 {{key}}",
    "PUBLISH": "PUBLISH & 1",
    "SCAN": "SCAN 0",
    "SUBSCRIBE": "SUBSCRIBE &",
    "UNSUBSCRIBE": "UNSUBSCRIBE &",
    "RENAME": "RENAME {key} {key}",
    **{name: f"{name} {{key}}" for name in ("DEL", "EXISTS", "MGET")},
    "MSET": "MSET {key} 1",
}
_WITHOUT_KEY = {"INFO", "PING", "SCRIPT|LOAD", "SELECT", "TIME"}


def probe_of(command: str, key: str = "") -> str:
    """Return a command with arguments as the script ``rights`` takes it: ``*`` for a key, ``&`` for a channel.

    Args:
        command: The name of the command; a subcommand after a bar.
        key: The key without the prefix of the queue; the meta key by default.
    """
    if command in _WITHOUT_KEY:
        return f"{command.replace('|', ' ')} 1"
    return _PROBES.get(command, f"{command} {{key}} 1 1").format(key=f"*{key}")
