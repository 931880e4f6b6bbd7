"""Which commands each role has to send, by what its scripts call: for the doctor, and for the ACL files."""

import re
from functools import cache

from fairque.protocol.wire.scripts import script, script_names

__all__ = ["ROLES", "acl_rules", "commands_of", "scripts_of", "words"]

_CALLED = re.compile(r'\b(?:call|send|send_keys|redis\.p?call)\("([A-Z]+)"')
_READS_ONLY = re.compile(r"^#!lua flags=[a-z,-]*no-writes")

#: What every process sends itself: to connect, to run scripts, and to look at the server.
_ALWAYS = ("EVALSHA", "SCRIPT|LOAD", "INFO", "PING", "SELECT")
_LISTENING = ("SUBSCRIBE", "UNSUBSCRIBE")

_OF_PRODUCERS = ("push", "cancel", "watch")
_OF_WORKERS = ("pop", "beat", "finish", "fail", "release", "sweep", "rouse", "interrupt", "progress")

#: The roles of processes and people.
ROLES = ("producer", "worker", "scheduler", "viewer", "admin")


#: Writes in includes that scripts share which only read; those never come to them.
_SHARED_WRITES = {"SET", "RENAME", "PEXPIRE", "HINCRBY"}


@cache
def _called(name: str) -> frozenset[str]:
    text = script(name).text
    called = frozenset(_CALLED.findall(re.sub(r"--.*", "", text)))
    return called - _SHARED_WRITES if _READS_ONLY.match(text) else called


def _readers() -> set[str]:
    return {name for name in script_names() if _READS_ONLY.match(script(name).text)}


def _of_schedules() -> set[str]:
    """The scripts of schedules, by how they are named."""
    return {name for name in script_names() if re.search(r"^(?:lead|fire|due|enable)$|schedule", name)}


def scripts_of(role: str) -> list[str]:
    """Return the scripts that a role runs, sorted."""
    own: dict[str, set[str]] = {
        "producer": {*_OF_PRODUCERS},
        "worker": {*_OF_WORKERS},
        "scheduler": _of_schedules(),
        "viewer": set(),
        "admin": {*script_names()},
    }
    return sorted((own[role] | _readers()) & {*script_names()})


def commands_of(role: str) -> list[str]:
    """Return the commands that a role has to send, itself and in its scripts, sorted; a subcommand after a bar."""
    direct = {*_ALWAYS}
    if role != "worker":
        direct |= {*_LISTENING}
    if role == "worker":
        direct |= {"BLPOP", "DEL"}
    if role == "admin":
        direct |= {"BLPOP", "SCAN", "ZSCAN"}
    return sorted(direct.union(*(_called(name) for name in scripts_of(role))))


def acl_rules(role: str, queue: str = "") -> str:
    """Return the rules of an ACL user for a role: its commands, and the keys and channels of one queue, or of all.

    A call of a script cannot be told from one of another: between roles that write, such as producer and worker, the
    rules are no wall, but they keep each of them from what none of its scripts does.
    """
    keys = f"fairque:{{{queue}}}:*" if queue else "fairque:*"
    commands = " ".join(f"+{command.lower()}" for command in commands_of(role))
    return f"resetkeys resetchannels -@all ~{keys} &{keys} {commands}"


_WORDS = {
    "BLPOP": "BLPOP * 1",
    "EVALSHA": f"EVALSHA {'0' * 40} 1 *",
    "PUBLISH": "PUBLISH & 1",
    "SCAN": "SCAN 0",
    "SUBSCRIBE": "SUBSCRIBE &",
    "UNSUBSCRIBE": "UNSUBSCRIBE &",
    "RENAME": "RENAME * *",
    **{name: f"{name} *" for name in ("DEL", "EXISTS", "MGET")},
    "MSET": "MSET * 1",
}
_WITHOUT_KEY = {"INFO", "PING", "SCRIPT|LOAD", "SELECT", "TIME"}


def words(command: str) -> str:
    """Return a command with arguments as the script ``rights`` takes it: ``*`` for a key, ``&`` for a channel."""
    if command in _WITHOUT_KEY:
        return f"{command.replace('|', ' ')} 1"
    return _WORDS.get(command, f"{command} * 1 1")
