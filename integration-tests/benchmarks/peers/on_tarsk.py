"""tarsk: threads or coroutines in child processes; a result is polled for, since it has no other way."""

from bodies import ASYNC, RESULTS, SYNC, TEXT, URL
from tarsk import App

app = App(broker=URL)
TASKS = {
    name: app.task(name=name, result_ttl=60.0 if RESULTS else 0.0)(body) for name, body in {**SYNC, **ASYNC}.items()
}


def push(name: str, number: int) -> None:
    """Push tasks one by one."""
    for _ in range(number):
        TASKS[name].send(TEXT)


def call(name: str) -> None:
    """Push a task and wait for its result."""
    # A task without a value has the result None, and raises nothing.
    app.result(TASKS[name].send(TEXT)).get(timeout=30, poll=0.000_5)
