"""Records the traffic of a proxy: each call of a script as an event, with the server's answer."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import define, field

from chaos.history import Event, Journal, now_us
from chaos.resp import RespError
from fairque.client import Task
from fairque.protocol.calls.pop import granted_in
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.scripts import expand, script, script_names
from fairque.testing.internal import calls

__all__ = ["Command", "Recorder", "script_hashes"]

OK = 1
_LONG_US = 100_000


def script_hashes(lua: Path | None = None) -> dict[bytes, str]:
    """Return the names of all scripts by their hash; ``lua`` is a folder to use instead of the package's."""
    texts = {name: script(name).text if lua is None else expand(name, lua) for name in script_names()}
    return {
        hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest().encode(): name for name, text in texts.items()
    }


@define
class Command:
    """A command in flight: its script (empty: none), arguments, and the earliest time at which the server has it."""

    name: str
    script: str
    args: list[bytes]
    sent: int = field(factory=now_us)


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else ""


def _groups(items: list[Any], size: int) -> list[list[Any]]:
    return [items[first : first + size] for first in range(0, len(items), size)]


def _layout(one: Call[Any], two: Call[Any]) -> tuple[int, int]:
    """Number of arguments of a script before its tasks, and per task, derived from calls with one and two tasks."""
    stride = len(two.args) - len(one.args)
    return len(one.args) - stride, stride


def _ending(one: Call[Any], two: Call[Any]) -> "_Reader":
    head, stride = _layout(one, two)

    def read(args: list[bytes], reply: list[Any] | None) -> Event:
        ended = _groups(args[head:], stride)
        answers = _groups(reply[1:], 2) if reply else [[None, None]] * len(ended)
        return {
            "tasks": [
                [_text(task[0]), _text(task[1]), int(task[2]), code, _text(state)]
                for task, (code, state) in zip(ended, answers, strict=True)
            ]
        }

    return read


def _push(args: list[bytes], reply: list[Any] | None) -> Event:
    pushed = _groups(args[_PUSH[0] :], _PUSH[1])
    answers = _groups(reply[1:], 3) if reply else [[None, None, None]] * len(pushed)
    return {
        "tasks": [
            [_text(task[0]).partition("\n")[0], code, _text(state), _text(stored)]
            for task, (code, state, stored) in zip(pushed, answers, strict=True)
        ]
    }


def _pop_call(claim: str) -> Any:
    """Return a pop, which reads its answer by its claim: that is a part of each token."""
    keys = QueueKeys("any")
    return calls.pop(
        keys, worker="w", claim=claim, count=1, lease_ms=1, max_lost_workers=1, result_ttl_ms=1, dead_ttl_ms=1
    )


def _pop(args: list[bytes], reply: list[Any] | None) -> Event:
    tasks = _pop_call(_text(args[1])).decode(reply).tasks if reply else ()
    return {
        "worker": _text(args[0]),
        "claim": _text(args[1]),
        "short": reply is not None and len(tasks) < int(args[2]),
        "lease_ms": int(args[3]),
        "tasks": [[task.task_id, task.token, task.attempt, task.failures, int(task.solo)] for task in tasks],
    }


def _beat(args: list[bytes], reply: list[Any] | None) -> Event:
    held = _groups([*map(_text, args[_BEAT[0] :])], _BEAT[1])
    codes = (reply or [OK] + [None] * len(held))[1:]
    return {"lease_ms": int(args[0]), "tasks": [[*task, code] for task, code in zip(held, codes, strict=True)]}


def _cancel(args: list[bytes], reply: list[Any] | None) -> Event:
    return {"id": _text(args[1]), "code": reply[0] if reply else None, "state": _text((reply or [0])[-1])}


_Reader = Callable[[list[bytes], list[Any] | None], Event]

# The calls of the package define the form of arguments and answers.
_KEYS = QueueKeys("any")
_TASKS = [Task(task_id=task_id, user_id="any", payload=1) for task_id in "ab"]
_POP = _pop_call("0")
#: Where a pop has the retention time of results among its arguments, and the codes of what it ended in its answer.
_POP_RESULT_TTL, _POP_ENDED = 5, 4
_PUSH = _layout(*(calls.push(_KEYS, _TASKS[:size], message_limit=1_000) for size in (1, 2)))
_BEAT = _layout(*(calls.beat(_KEYS, [("a", "t")] * size, lease_ms=1) for size in (1, 2)))
_FINISHED = calls.Finished("a", "t", 1, b"")
_FAILED = calls.Failed("a", "t", 1, "dead", 0, b"")
_RELEASED = calls.Released("a", "t", 1)

_READERS: dict[str, _Reader] = {
    "push": _push,
    "pop": _pop,
    "beat": _beat,
    "finish": _ending(*(calls.finish(_KEYS, [_FINISHED] * size, result_ttl_ms=1) for size in (1, 2))),
    "fail": _ending(*(calls.fail(_KEYS, [_FAILED] * size, result_ttl_ms=1, dead_ttl_ms=1) for size in (1, 2))),
    "release": _ending(*(calls.release(_KEYS, [_RELEASED] * size, result_ttl_ms=1) for size in (1, 2))),
    "cancel": _cancel,
}


def _parts(command: Command, reply: Any) -> list[tuple[str, list[bytes], Any]]:
    """Return script, arguments and answer of each call in a command: a pop may end attempts before it takes tasks."""
    args = command.args
    if command.script != "pop" or len(args) == len(_POP.args):
        return [(command.script, args, reply)]
    answered = isinstance(reply, list) and reply[0] == OK
    ended = [args[_POP_RESULT_TTL], *args[len(_POP.args) :]]
    return [("finish", ended, reply[_POP_ENDED] if answered else reply), ("pop", args[: len(_POP.args)], reply)]


class Recorder:
    """The recorder of one actor's proxy.

    Attributes:
        held: Which tasks the actor holds, and since when, according to the answers.
        seen: Number of answers, by script and by the first word of errors.
    """

    def __init__(self, folder: Path, actor: str, hashes: dict[bytes, str]) -> None:
        self._journal = Journal(folder, actor, f"wire-{actor}")
        self._hashes = hashes
        self.held: dict[str, int] = {}
        self.seen: dict[str, int] = {}

    def command(self, words: Any) -> Command:
        """Record a command that is about to be sent."""
        if not isinstance(words, list) or not words:
            return Command("", "", [])
        name = _text(words[0]).upper()
        if name == "EVALSHA":
            if words[1] not in self._hashes:
                raise AssertionError(f"an actor runs other scripts than the run knows: {_text(words[1])}")
            return Command(name, self._hashes[words[1]], words[4:])
        return Command(name, "", [])

    def answer(self, command: Command, reply: Any, *, delivered: bool) -> None:
        """Record the answer to a command."""
        if isinstance(reply, RespError):
            self.seen[reply.kind] = self.seen.get(reply.kind, 0) + 1
        for script_name, args, part in _parts(command, reply):
            self._answer(script_name, args, part, sent=command.sent, delivered=delivered)

    def _answer(self, script_name: str, args: list[bytes], reply: Any, **fields: Any) -> None:
        if not isinstance(reply, RespError):
            self.seen[script_name] = self.seen.get(script_name, 0) + 1
        read = _READERS.get(script_name)
        if read is None:
            return
        fields["script"] = script_name
        if isinstance(reply, RespError):
            self._journal.note("call", **fields, outcome="fail", error=reply.kind, **read(args, None))
        elif reply[0] < 0:
            self._journal.note("call", **fields, outcome="fail", error=str(reply[0]), **read(args, None))
        else:
            event = read(args, reply)
            self._journal.note("call", **fields, outcome="ok", **event)
            self._hold(script_name, fields["sent"], event)

    @staticmethod
    def scripts_with_effect(command: Command, reply: Any) -> list[str]:
        """Return the calls of a command that had a relevant effect: no refused ones, and no pop that found nothing."""
        if not isinstance(reply, list):
            return []
        return [
            name
            for name, _, part in _parts(command, reply)
            if part[0] == OK and not (name == "pop" and granted_in(part) == 0)
        ]

    def holds_for_long(self) -> bool:
        """Whether the actor has been running a task for a while."""
        return any(now_us() - since > _LONG_US for since in list(self.held.values()))

    def no_answer(self, command: Command) -> None:
        """Record that a command was sent and its outcome is unknown."""
        for name, args, _ in _parts(command, None):
            if (read := _READERS.get(name)) is not None:
                event = read(args, None)
                self._journal.note("call", script=name, sent=command.sent, delivered=False, outcome="info", **event)

    def lost(self, by: str) -> None:
        """Record that a connection was closed by the ``server``, the ``actor`` or the ``proxy``."""
        self._journal.note("link", by=by)

    def _hold(self, script_name: str, sent: int, event: Event) -> None:
        if script_name == "pop":
            self.held.update({task[0]: sent for task in event["tasks"]})
        elif script_name in ("finish", "fail", "release"):
            for task in event["tasks"]:
                self.held.pop(task[0], None)
