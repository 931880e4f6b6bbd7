"""Whether the faults had an effect: a run in which one of them left no trace in the history proves nothing.

| nemesis | required observation |
|---|---|
| kill | a task of the killed process was started again, as attempt 2 or later |
| poison | the task became a dead letter |
| pause | an ending or a renewal of the woken worker was refused |
| restart, flush, promote | a script was unknown to the server, and then known again |
| client-kill | the server closed a connection, and its actor continued |
| out-of-memory | a push was refused while an ending was accepted |
| drop-push, drop-finish | the call was repeated and answered as already executed |
| drop-pop | the claim was sent again and answered with the same tasks |
| cut, half-open | a call got no answer or a connection was lost, and the actor continued |
| blackhole | a task of the unreachable worker was started by another one |
| delay | a call took at least as long as the delay |
| roll | a task was released, and the process exited with 0 |
"""

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

from attrs import define, field

from chaos.facts import ALREADY, LOST, OK, Facts
from chaos.history import Event

__all__ = ["Observer"]

_AFTER_US = 60_000_000
_SPAN_US = 1_000_000
_DELAY_US = 150_000
_TAKEN_OVER = ("kill", "blackhole")


@define
class _Fault:
    name: str
    begins: int
    actor: str = ""
    worker: str = ""
    ends: int = 0
    seen: set[str] = field(factory=set)

    def near(self, event: Event) -> bool:
        mine = not self.actor or self.actor == event["actor"]
        return mine and self.begins <= int(event["at"]) <= max(self.begins, self.ends) + _AFTER_US


@define
class Observer:
    """Finds the traces of the faults, event by event: first the events of the run, then all others."""

    faults: list[_Fault] = field(factory=list)
    #: Faults that may have left traces in each span, so that an event is not compared with all faults of a long run.
    _by_time: dict[int, list[_Fault]] = field(factory=dict)
    _waiting: dict[tuple[str, str], _Fault] = field(factory=dict)
    _dropped: dict[tuple[str, str], _Fault] = field(factory=dict)

    def begin(self, event: Event) -> None:
        """Add an event of the run."""
        if event["op"] == "nemesis":
            key = event["name"], event.get("victim", "")
            if event["phase"] == "begins":
                fault = _Fault(event["name"], event["at"], key[1], event.get("worker", ""), event["at"])
                self.faults.append(fault)
                self._waiting[key] = fault
            elif key in self._waiting:
                self._waiting.pop(key).ends = event["at"]
        elif event["op"] == "stopped" and event.get("code") == 0:
            for fault in self.faults:
                if fault.name == "roll" and fault.near({**event, "actor": fault.actor}):
                    fault.seen.add("clean")

    def see(self, event: Event) -> None:
        """Add an event of an actor."""
        if event["op"] not in ("call", "link"):
            return
        if not self._by_time:
            self._sort()
        for fault in self._by_time.get(int(event["at"]) // _SPAN_US, ()):
            if fault.near(event):
                self._look(fault, event)

    def observed(self, facts: Facts) -> tuple[Counter[str], Counter[str]]:
        """Return how many faults of each name began, and how many had an effect."""
        begun, felt = Counter(fault.name for fault in self.faults), Counter[str]()
        lost = _lost_by(facts)
        for fault in self.faults:
            if fault.name in _TAKEN_OVER:
                last = fault.ends + _AFTER_US
                felt[fault.name] += any(fault.begins < fence < last for fence in lost.get(fault.worker, ()))
            else:
                felt[fault.name] += _TRACES.get(fault.name, {"replay": None}).keys() <= fault.seen
        poisoned = [
            t for t in facts.tasks.values() if t.about and t.about.get("kind") == "poison" and t.outcome == "ok"
        ]
        if poisoned:
            begun["poison"] = len(poisoned)
            felt["poison"] = sum((t.final or {}).get("state") == "FAILED" for t in poisoned)
        return begun, felt

    def _sort(self) -> None:
        for fault in self.faults:
            last = max(fault.begins, fault.ends) + _AFTER_US
            for span in range(fault.begins // _SPAN_US, last // _SPAN_US + 1):
                self._by_time.setdefault(span, []).append(fault)

    def _look(self, fault: _Fault, event: Event) -> None:
        if fault.name.startswith("drop-"):
            if event["op"] == "call" and event["outcome"] == "ok" and fault.name == f"drop-{event['script']}":
                self._look_for_replay(fault, event)
        elif fault.name in _TRACES:
            fault.seen |= {sign for sign, shows in _TRACES[fault.name].items() if shows(fault, event)}

    def _look_for_replay(self, fault: _Fault, event: Event) -> None:
        for key in _marks(event):
            if not event["delivered"]:
                self._dropped[fault.name, key] = fault
            elif (fault.name, key) in self._dropped and (event["script"] == "pop" or ALREADY in _codes(event)):
                self._dropped.pop((fault.name, key)).seen.add("replay")


_Sign = Callable[[_Fault, Event], bool]


def _ok(event: Event, script: str = "") -> bool:
    return bool(event["op"] == "call" and event["outcome"] == "ok" and script in ("", event["script"]))


def _refused(script: str, error: str) -> _Sign:
    return lambda _, event: event.get("error") == error and script in ("", event["script"])


def _broken(_: _Fault, event: Event) -> bool:
    return bool(event["op"] == "link" or event["outcome"] == "info")


def _after(sign: str) -> _Sign:
    """The actor continued after the fault was over and this sign of it was seen."""
    return lambda fault, event: _ok(event) and event["at"] > fault.ends and sign in fault.seen


def _ending_refused(fault: _Fault, event: Event) -> bool:
    return event["op"] == "call" and event["at"] > fault.ends and event["script"] != "push" and LOST in _codes(event)


def _finished_meanwhile(fault: _Fault, event: Event) -> bool:
    return _ok(event, "finish") and event["at"] <= fault.ends


def _late(fault: _Fault, event: Event) -> bool:
    return _ok(event) and event["at"] <= fault.ends and event["at"] - event["sent"] >= _DELAY_US


def _given_back(_: _Fault, event: Event) -> bool:
    return _ok(event, "release") and OK in _codes(event)


_FORGOTTEN: dict[str, _Sign] = {"unknown": _refused("", "NOSCRIPT"), "known": _after("unknown")}
_BROKEN: dict[str, _Sign] = {"broken": _broken, "continues": _after("broken")}

#: The signs of each fault; all are required. A process that stopped cleanly is seen in the events of the run.
_TRACES: dict[str, dict[str, _Sign]] = {
    "restart": _FORGOTTEN,
    "flush": _FORGOTTEN,
    "promote": _FORGOTTEN,
    "client-kill": _BROKEN,
    "cut": _BROKEN,
    "half-open": _BROKEN,
    "pause": {"refused": _ending_refused},
    "out-of-memory": {"refused": _refused("push", "OOM"), "drained": _finished_meanwhile},
    "delay": {"late": _late},
    "roll": {"given back": _given_back, "clean": lambda *_: False},
}


def _codes(event: Event) -> set[Any]:
    if event["script"] == "pop" or "tasks" not in event:
        return set()
    return {
        task[1] if event["script"] == "push" else task[2 if event["script"] == "beat" else 3] for task in event["tasks"]
    }


def _marks(event: Event) -> Iterable[str]:
    """What identifies a call when it is repeated."""
    if event["script"] == "pop":
        return [event["claim"]]
    return [task[0 if event["script"] == "push" else 1] for task in event["tasks"]]


def _lost_by(facts: Facts) -> dict[str, list[int]]:
    """When the tasks lost by each worker process were started again, by the name of the process."""
    lost: dict[str, list[int]] = {}
    for task in facts.tasks.values():
        order = task.in_order()
        for old, new in pairwise(order):
            if not (old.accepted or old.maybe) and new.number >= 2:
                lost.setdefault(old.worker, []).append(new.fence)
    return lost
