"""The facts about each task in a history, collected event by event in any order: the input of the rules."""

from collections.abc import Iterable
from typing import Any

from attrs import define, field

from chaos.history import Event

__all__ = ["ENDED", "Attempt", "Ending", "Facts", "Outage", "TaskFacts", "fence_of"]

ENDED = ("FINISHED", "FAILED", "CANCELED")

OK, ALREADY, REQUESTED, LOST = 1, 2, 4, -1


def fence_of(token: str) -> int:
    """The fence of a token: the server's time at the start of the attempt, in microseconds."""
    return int(token.partition(":")[0])


@define
class Ending:
    """A call that ended an attempt, and its answer; ``code`` is None if that is unknown.

    ``ran_us`` is how long the attempt ran, as reported by the worker.
    """

    script: str
    token: str
    sent: int
    answered: int
    ran_us: int
    code: int | None
    state: str


@define
class Attempt:
    """One grant of a task.

    Attributes:
        granted: The latest time of the answer.
        until: Until when at least the server granted the lease.
        renewed: When the last granted renewal was sent.
        endings: The ending calls with its token.
    """

    token: str
    number: int
    worker: str
    actor: str
    granted: int
    until: int
    renewed: int = 0
    endings: list[Ending] = field(factory=list)

    @property
    def fence(self) -> int:
        return fence_of(self.token)

    @property
    def accepted(self) -> Ending | None:
        """The ending that the server accepted, as far as known."""
        return next((ending for ending in self.endings if ending.code == OK), None)

    @property
    def maybe(self) -> Ending | None:
        """An ending whose arrival at the server is unknown, or that the server called repeated."""
        return next((ending for ending in self.endings if ending.code in (None, ALREADY)), None)


@define
class TaskFacts:
    """One task.

    Attributes:
        about: Its description by the producer; None if it was not pushed.
        outcome: The outcome of its push: ``ok``, ``fail``, ``info``, or empty if the producer stopped before.
        stands: The id under which it was stored; a different one if it was deduplicated.
        attempts: By token.
        ran: Fences of the attempts that a handler began and ended, with their endings.
        said: Terminal states reported to any actor.
        canceled: Whether its cancelation was requested.
        final: Its record at the end of the run.
    """

    about: Event | None = None
    outcome: str = ""
    acked: int = 0
    stands: str = ""
    attempts: dict[str, Attempt] = field(factory=dict)
    ran: dict[int, str] = field(factory=dict)
    began: dict[int, int] = field(factory=dict)
    said: set[str] = field(factory=set)
    results: list[Any] = field(factory=list)
    canceled: bool = False
    final: Event | None = None

    def in_order(self) -> list[Attempt]:
        return sorted(self.attempts.values(), key=lambda attempt: attempt.fence)


@define
class Outage:
    """A period in which no actor could reach the server."""

    begins: int
    ends: int


@define
class Facts:
    """All facts of a run.

    Attributes:
        tasks: By id.
        claims: The tokens returned for each claim, and until when a repeated claim must return the same.
        deaths: When each worker process died, and why.
        outages: Outages of the server.
        idle: When pops were sent and answered that returned fewer tasks than requested: a slot was free.
        watched: Whether the run watched for expired leases that are not reclaimed.
        taken_back: When expired leases were reclaimed that had already been expired at the previous look, by task.
        unheard: When pops were sent that got no answer: they may have granted tasks.
        broken: Events that are impossible in any history.
    """

    tasks: dict[str, TaskFacts] = field(factory=dict)
    claims: dict[str, tuple[set[str], int]] = field(factory=dict)
    deaths: dict[str, tuple[int, str]] = field(factory=dict)
    outages: list[Outage] = field(factory=list)
    unheard: list[int] = field(factory=list)
    idle: list[tuple[int, int]] = field(factory=list)
    watched: bool = False
    taken_back: dict[str, list[int]] = field(factory=dict)
    fires: dict[tuple[str, int], set[str]] = field(factory=dict)
    expected_fires: set[tuple[str, int]] = field(factory=set)
    pushed_values: dict[tuple[str, int, str], Any] = field(factory=dict)
    pulled_values: list[Event] = field(factory=list)
    audits: list[str] = field(factory=list)
    broken: list[str] = field(factory=list)
    _repeated: set[str] = field(factory=set)
    _down_since: int | None = None

    def task(self, task_id: str) -> TaskFacts:
        found = self.tasks.get(task_id)
        if found is None:
            found = self.tasks[task_id] = TaskFacts()
        return found

    def see(self, event: Event) -> None:
        """Add one event."""
        see = getattr(self, f"_see_{event['op'].replace('-', '_')}", None)
        if see is not None:
            see(event)

    def see_all(self, events: Iterable[Event]) -> "Facts":
        for event in events:
            self.see(event)
        return self

    # Producers.

    def _see_push(self, event: Event) -> None:
        for about in event["tasks"]:
            self.task(about["id"]).about = about

    def _see_pushed(self, event: Event) -> None:
        for task_id, stored in zip(event["ids"], event.get("stored") or event["ids"], strict=True):
            task = self.task(task_id)
            task.outcome, task.stands, task.acked = event["outcome"], stored, event["at"]

    def _see_cancel(self, event: Event) -> None:
        self.task(event["id"]).canceled = True

    def _see_result(self, event: Event) -> None:
        task = self.task(event["id"])
        task.said.add(event["state"])
        if event["state"] == "FINISHED":
            task.results.append(event["value"])

    # Calls.

    def _see_call(self, event: Event) -> None:
        if event["outcome"] != "fail":
            getattr(self, f"_call_{event['script']}", self._call_ending)(event)

    def _call_push(self, event: Event) -> None:
        for _, _, state, stored in event["tasks"]:
            if state in ENDED:
                self.task(stored).said.add(state)

    def _call_pop(self, event: Event) -> None:
        if event["outcome"] == "info":
            self.unheard.append(event["sent"])
            self._repeated.add(event["claim"])
            return
        if event["short"] and event["claim"] not in self._repeated:
            self.idle.append((event["sent"], event["at"]))
        if not event["tasks"]:
            return
        lease_us = event["lease_ms"] * 1000
        self._repeated.add(event["claim"])
        tokens = {token for _, token, *_ in event["tasks"]}
        first, until = self.claims.get(event["claim"], (tokens, 0))
        if until < event["at"]:
            # The server remembers a claim for as long as its leases last.
            self.claims[event["claim"]] = tokens, event["sent"] + lease_us
        elif not tokens <= first:
            self.broken.append(f"C5 claim {event['claim']} was answered with other tasks than before")
        for task_id, token, number, *_ in event["tasks"]:
            self._grant(event, task_id, token, number)

    def _grant(self, event: Event, task_id: str, token: str, number: int) -> None:
        attempts = self.task(task_id).attempts
        if token not in attempts:
            until = fence_of(token) + event["lease_ms"] * 1000
            attempts[token] = Attempt(token, number, event["worker"], event["actor"], event["at"], until)
        elif not attempts[token].worker:
            attempts[token].worker, attempts[token].number = event["worker"], number
        elif attempts[token].number != number:
            self.broken.append(f"C4 task {task_id}: token {token} was given to two attempts")
        elif attempts[token].worker != event["worker"]:
            self.broken.append(f"C5 task {task_id}: token {token} was given to two workers")

    def _call_beat(self, event: Event) -> None:
        if event["outcome"] == "info":
            return
        for task_id, token, code in event["tasks"]:
            attempt = self.task(task_id).attempts.get(token)
            if attempt is not None and code in (OK, REQUESTED):
                attempt.until = max(attempt.until, event["sent"] + event["lease_ms"] * 1000)
                attempt.renewed = max(attempt.renewed, event["sent"])

    def _call_cancel(self, event: Event) -> None:
        task = self.task(event["id"])
        task.canceled = True
        if event["state"] in ENDED:
            task.said.add(event["state"])

    def _call_ending(self, event: Event) -> None:
        for task_id, token, ran_us, code, state in event["tasks"]:
            task = self.task(task_id)
            if code in (OK, ALREADY) and state in ENDED:
                task.said.add(state)
            attempt = task.attempts.get(token)
            if attempt is None:
                # Granted in an answer that was lost: its pop has no answer in the history.
                attempt = task.attempts[token] = Attempt(token, 0, "", event["actor"], 0, fence_of(token))
            attempt.endings.append(Ending(event["script"], token, event["sent"], event["at"], ran_us, code, state))

    # Handlers.

    def _see_start(self, event: Event) -> None:
        self.task(event["id"]).began[event["fence"]] = event["at"]

    def _see_end(self, event: Event) -> None:
        self.task(event["id"]).ran[event["fence"]] = event["outcome"]

    def _see_xcom_push(self, event: Event) -> None:
        self.pushed_values[event["task"], event["fence"], event["key"]] = event["value"]

    def _see_xcom_pull(self, event: Event) -> None:
        self.pulled_values.append(event)

    # Schedules.

    def _see_fire(self, event: Event) -> None:
        self.fires.setdefault((event["schedule"], event["fire_ms"]), set()).add(event["id"])

    def _see_due(self, event: Event) -> None:
        self.expected_fires.add((event["schedule"], event["fire_ms"]))

    # The run.

    def _see_nemesis(self, event: Event) -> None:
        if event["name"] in ("restart", "promote"):
            if event["phase"] == "begins":
                self._down_since = event["at"]
            elif self._down_since is not None:
                self.outages.append(Outage(self._down_since, event["at"]))
                self._down_since = None

    def _see_resumed(self, event: Event) -> None:
        self.outages.append(Outage(event["last"], event["at"]))

    def _see_watch(self, _: Event) -> None:
        self.watched = True

    def _see_back(self, event: Event) -> None:
        self.taken_back.setdefault(event["id"], []).append(event["at"])

    def _see_died(self, event: Event) -> None:
        self.deaths.setdefault(event["worker"], (event["at"], event["by"]))

    def _see_final(self, event: Event) -> None:
        self.task(event["id"]).final = event["record"]

    def _see_audit(self, event: Event) -> None:
        self.audits += event["problems"]
