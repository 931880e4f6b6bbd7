"""Importing the client loads only the modules that a producer needs; most names are imported at their first use."""

import pydoc
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from statistics import median

import pytest

import fairque.client

#: Modules that only workers, schedulers and operators need.
OTHERS = ["beat", "endings", "fire", "pop", "sweep", "verify"]
#: What a producer imports, without and with an event loop.
PRODUCER = "from fairque.client import TaskQueue, task"
PRODUCER_ON_A_LOOP = "from fairque.client import AsyncTaskQueue, task"
#: What it does before its first call, besides connecting: it puts the scripts together, and learns what they need.
FIRST_CALL = f"""
{PRODUCER}
from fairque.protocol.runners.permits import Permits
from fairque.protocol.wire.keys import QueueKeys
Permits.question(QueueKeys("shop"))
"""

Cpu = Callable[[str], float]


def printed(program: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.removesuffix("\n")


@cache
def loaded(program: str) -> frozenset[str]:
    return frozenset(printed(f"import sys; {program}; print(*sys.modules)").split())


def is_loaded(name: str, *, by: str) -> bool:
    return name in loaded(by)


@pytest.mark.parametrize(
    "name",
    [*(f"fairque.protocol.calls.{name}" for name in OTHERS), "fairque.testing", "fairque.console", "yaml", "croniter"],
)
def test_the_client_does_not_import_what_others_need(name: str) -> None:
    assert not is_loaded(name, by="from fairque.client import *")


def test_a_module_of_tasks_does_without_the_client_of_redis() -> None:
    assert not is_loaded("redis", by="from fairque.client import Retry, TaskContext, task")


@pytest.mark.parametrize(
    ("other", "program"),
    [("fairque.client._async", PRODUCER), ("fairque.client._sync", PRODUCER_ON_A_LOOP)],
    ids=["in threads", "on an event loop"],
)
def test_a_producer_does_not_import_the_queue_of_the_other_kind(other: str, program: str) -> None:
    assert not is_loaded(other, by=program)


@pytest.mark.parametrize("module", ["dead_letters", "schedules", "tasks", "users"])
def test_a_namespace_of_a_queue_is_imported_when_it_is_first_used(module: str) -> None:
    name = f"fairque.client._sync.{module}"
    opened = f"{PRODUCER}; queue = TaskQueue()"
    assert not is_loaded(name, by=opened)
    assert is_loaded(name, by=f"{opened}; queue.{module}")


@pytest.fixture
def cpu(monkeypatch: pytest.MonkeyPatch) -> Cpu:
    """Gives the CPU seconds, user and system, of a new process that runs a program, with compiled modules."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)

    def cpu(program: str) -> float:
        return float(printed(f"{program}\nimport time; print(time.process_time())"))

    return cpu


@pytest.mark.parametrize(
    ("program", "most"),
    [("import fairque.client", 1.0), (PRODUCER, 1.5), (PRODUCER_ON_A_LOOP, 1.5), (FIRST_CALL, 2.8)],
    ids=["package", "queue", "queue on a loop", "first call"],
)
@pytest.mark.thorough
def test_the_import_costs_a_bounded_multiple_of_that_of_the_libraries(cpu: Cpu, program: str, most: float) -> None:
    libraries = "import redis, attrs, cattrs"
    cpu(libraries), cpu(program)  # compiles the modules
    times: list[tuple[float, float]] = []
    ratio = float("inf")
    # Other programs disturb single rounds, so more are run where the first ones say that it costs too much.
    while ratio > most and len(times) < 50:
        times += [(cpu(program), cpu(libraries)) for _ in range(5)]
        ours, theirs = zip(*times, strict=True)
        ratio = median(ours) / median(theirs)
    assert ratio <= most, times


@pytest.mark.thorough
def test_each_name_can_be_the_first_that_is_asked_for() -> None:
    program = """
import os, fairque.client
for name in fairque.client.__all__:
    if not (child := os.fork()):
        exec(f"from fairque.client import {name}")
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        print(name)
"""
    assert printed(program) == ""


def test_a_star_imports_all_names() -> None:
    program = "from fairque.client import *; import fairque.client as f; print({*f.__all__} - {*globals()})"
    assert printed(program) == "set()"


def test_names_that_were_not_asked_for_are_listed() -> None:
    assert printed("import fairque.client as f; print({*f.__all__} - {*dir(f)})") == "set()"


def test_the_help_shows_names_that_were_not_asked_for() -> None:
    assert "class TaskQueue" in pydoc.plain(pydoc.render_doc(fairque.client))


def test_a_name_that_does_not_exist_is_refused() -> None:
    with pytest.raises(AttributeError, match=r"module 'fairque\.client' has no attribute 'Queue'"):
        fairque.client.Queue  # type: ignore[attr-defined]  # noqa: B018 - it is looked up
    with pytest.raises(ImportError, match="cannot import name 'Queue'"):
        from fairque.client import Queue  # type: ignore[attr-defined] # noqa: F401, PLC0415 - it is looked up


def test_threads_that_ask_for_a_name_at_once_get_the_same() -> None:
    program = """
import fairque.client, threading
start, found = threading.Barrier(8), []
def ask():
    start.wait()
    found.append(fairque.client.TaskQueue)
threads = [threading.Thread(target=ask) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(found), len({*found}))
"""
    assert printed(program) == "8 1"
