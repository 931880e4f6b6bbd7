"""The setup of one scenario: a producer and workers that are controlled step by step, each behind its own proxy."""

import contextlib
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from chaos.audit import audit, final_records
from chaos.history import Event, Journal
from chaos.plan import Plan
from chaos.proxy import Proxies, Proxy
from chaos.recorder import Recorder, script_hashes
from chaos.settings import LUA, QUEUE, client_settings
from fairque.client import After, FairqueError, RedisUnavailable, Task, TaskQueue
from fairque.protocol.calls.endings import Failed, Finished, Released
from fairque.protocol.calls.pop import Granted
from fairque.protocol.config import QueueSection, RedisSection
from fairque.protocol.jsonvalue import dumps
from fairque.protocol.limits import CostMode
from fairque.protocol.model.registry import Registry
from fairque.protocol.wire.keys import QueueKeys
from fairque.worker import FunctionTaskHandler, Worker, current_context
from fairque.worker.consumer import Consumer
from fairque.worker.running import short_functions
from fairque.worker.settings import WorkerSection, WorkerSettings

__all__ = ["LEASE", "PLAN", "Hand", "Product", "Stage"]

LEASE = 0.5

#: The plan of a scenario, for the rules.
PLAN = Plan(tasks=0, faults={}, cost_mode=CostMode.COUNT, lease=LEASE, max_lost_workers=3, recovery_seconds=5.0)


class Product:
    """A worker of the product, whose tasks are short, except that the one named `HANGS` waits for the others.

    Args:
        name: Its name.
        proxy: Its connection.
        journal: Records the tasks that run.
    """

    #: The task that waits.
    HANGS = "hangs"
    FUNCTIONS = "one", "other"

    def __init__(self, name: str, proxy: Proxy, journal: Journal) -> None:
        self._journal = journal
        self._released = threading.Event()
        registry = Registry()
        registry.register(self._one, "one")
        registry.register(self._other, "other")
        settings = _settings(name, proxy)
        # Whatever the machine: on a slow one no function would be short.
        short_functions._SHORT_US = short_functions._WAITING_US = math.inf
        self.worker = Worker(settings, FunctionTaskHandler(registry=registry))
        self.worker.start()

    def release(self) -> None:
        """Let the task end that waits."""
        self._released.set()

    def stop(self) -> None:
        """Stop, soon even if a task hangs."""
        self.worker.stop(1)
        self.release()

    def _one(self) -> dict[str, Any]:
        return self._short()

    def _other(self) -> dict[str, Any]:
        return self._short()

    def _short(self) -> dict[str, Any]:
        context = current_context()
        about = {"id": context.task_id, "fence": context.fence, "attempt": context.attempt}
        self._journal.note("start", **about)
        if context.task_id == self.HANGS:
            self._released.wait(60)
        self._journal.note("end", **about, outcome="ok")
        return {"fence": context.fence, "attempt": context.attempt}


def _settings(name: str, proxy: Proxy) -> WorkerSettings:
    return WorkerSettings(
        redis=RedisSection(url=f"redis://127.0.0.1:{proxy.port}/0", socket_timeout=1.0),
        queue=QueueSection(name=QUEUE, max_lost_workers=PLAN.max_lost_workers),
        worker=WorkerSection(name=name, lease=LEASE, heartbeat=LEASE / 2, concurrency=8),
    )


class Hand:
    """A worker that acts only on request."""

    def __init__(self, name: str, proxy: Proxy, journal: Journal) -> None:
        self.name = name
        self.proxy = proxy
        self._journal = journal
        self._consumer = Consumer(_settings(name, proxy))

    def take(self, count: int = 1) -> list[Granted]:
        """Pop, and start the returned tasks."""
        tasks = list(self._consumer.pop(count).tasks)
        for task in tasks:
            self._journal.note("start", id=task.task_id, fence=task.fence, attempt=task.attempt)
        return tasks

    def take_within(self, seconds: float) -> list[Granted]:
        """Pop until there is a task, or the time is over; then once more, in case this process was stalled."""
        until = time.monotonic() + seconds
        over = False
        while not (tasks := self.take()) and not over:
            time.sleep(0.01)
            over = time.monotonic() >= until
        return tasks

    def finish(self, *tasks: Granted) -> None:
        for task in tasks:
            self._end(task, "ok")
            result = dumps({"fence": task.fence, "attempt": task.attempt})
            self._consumer.exchange([Finished(task.task_id, task.token, 1_000, result)], [], 0)

    def fail(self, task: Granted) -> None:
        """Fail a task finally."""
        self._end(task, "error")
        error = dumps({"type": "ValueError", "error": "no", "reason": "retries"})
        self._consumer.exchange([], [Failed(task.task_id, task.token, 1_000, "dead", 0, error)], 0)

    def release(self, task: Granted) -> None:
        self._consumer.release([Released(task.task_id, task.token, 1_000)])

    def beat(self, *tasks: Granted) -> None:
        self._consumer.beat([(task.task_id, task.token) for task in tasks])

    def die(self) -> None:
        """Record its death; it must not be used afterwards."""
        self._journal.note("died", worker=self.name, by="scenario")

    def finish_all(self, within: float = LEASE + 0.3) -> None:
        """Take and finish one task after the other, until there has been none for a while."""
        while tasks := self.take_within(within):
            self.finish(*tasks)

    def close(self) -> None:
        self._consumer.runner.close()

    def _end(self, task: Granted, outcome: str) -> None:
        self._journal.note("end", id=task.task_id, fence=task.fence, attempt=task.attempt, outcome=outcome)


class Stage:
    """The producer, workers and server of a scenario.

    Args:
        folder: Folder for the history.
        port: Port of the server.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._url = f"redis://127.0.0.1:{port}/0"
        self._proxies = Proxies(port)
        self._hashes = script_hashes(Path(os.environ[LUA]) if os.environ.get(LUA) else None)
        self._ledger = Journal(folder, "ledger")
        self._journal = Journal(folder, "producer")
        self._ids: list[str] = []
        self._hands: list[Hand] = []
        self.producer_proxy = self._proxy("producer")
        self.queue = TaskQueue(client_settings(PLAN, f"redis://127.0.0.1:{self.producer_proxy.port}/0"))

    def worker(self, name: str) -> Hand:
        hand = Hand(name, self._proxy(name), self._ledger)
        self._hands.append(hand)
        return hand

    def product(self, name: str) -> Product:
        return Product(name, self._proxy(name), self._ledger)

    def wait_finished(self, number: int, seconds: float) -> None:
        """Wait until so many tasks have finished, or for so many seconds."""
        until = time.monotonic() + seconds
        while self.queue.info().totals["finished"] < number and time.monotonic() < until:
            time.sleep(0.01)

    def push(self, *ids: str, user: str = "ann", **fields: Any) -> None:
        """Push tasks in one call, like a producer that records its events."""
        parents = [After(parent) for parent in fields.pop("parents", ())]
        fields = {"payload": 1, **fields}
        tasks = [Task(task_id=i, user_id=user, depends_on=parents, **fields) for i in ids]
        self.push_tasks(*tasks)

    def push_tasks(self, *tasks: Task[Any]) -> None:
        ids = [task.task_id for task in tasks]
        known = set(self._ids)
        self._ids += [task_id for task_id in ids if task_id not in known]
        if not known.issuperset(ids):
            self._journal.note("push", tasks=[_about(task) for task in tasks if task.task_id not in known])
        try:
            handles = self.queue.push_many(tasks)
        except RedisUnavailable:
            self._journal.note("pushed", outcome="info", ids=ids)
        except FairqueError:
            self._journal.note("pushed", outcome="fail", ids=[task_id for task_id in ids if task_id not in known])
        else:
            self._journal.note("pushed", outcome="ok", ids=ids, stored=[handle.task_id for handle in handles])

    def cancel(self, task_id: str) -> None:
        with contextlib.suppress(FairqueError):
            self.queue.task(task_id).cancel()

    def configure(self, cost_mode: CostMode) -> None:
        self.queue.set(cost_mode=cost_mode)

    @contextlib.contextmanager
    def to_the_end(self) -> Iterator["Stage"]:
        """At the end, record the state of records and keys, and close everything."""
        try:
            yield self
            self._proxies.check()
            with TaskQueue(client_settings(PLAN, self._url)) as queue:
                self._note_the_end(queue)
        finally:
            self.queue.close()
            for hand in self._hands:
                hand.close()
            self._proxies.close()

    def _note_the_end(self, queue: TaskQueue) -> None:
        keys, runner = QueueKeys(QUEUE), queue._link._runner
        journal, records = Journal(self._folder, "end"), []
        for task_id, record in final_records(runner, keys, self._ids):
            journal.note("final", id=task_id, record=record)
            if record is not None:
                records.append(record)
        journal.note("audit", problems=audit(runner._get_client(), runner, keys, records))
        journal.close()

    def _proxy(self, name: str) -> Proxy:
        return self._proxies.open(Recorder(self._folder, name, self._hashes))


Scenario = Callable[[Stage], None]


def _about(task: Task[Any]) -> Event:
    return {
        "id": task.task_id,
        "user": task.user_id,
        "kind": "",
        "timeout_ms": task.timeout_ms,
        "delay_ms": task.delay_ms,
        "parents": [[parent.task_id, parent.on_failure] for parent in task.depends_on],
    }
