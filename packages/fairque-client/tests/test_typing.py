"""Type checking: the types of a function are preserved by `@task`, and mistakes are found."""

from pathlib import Path
from typing import Any

import pytest

USES = """
from typing import Any, assert_type
from collections.abc import Coroutine

from fairque.client import (
    AsyncPipelineHandle, AsyncTaskFunction, AsyncTaskHandle, AsyncTaskQueue, DeadLetter, DeadReason, Pipeline,
    PipelineHandle, Priority, Task, TaskContext, TaskFunction, TaskHandle, TaskQueue, UserRow, pipeline, task,
    xcom_pull, xcom_push,
)
from fairque.client import Nonsense         # E: attr-defined

@task
def resize(url: str, width: int = 1) -> str:
    return url

@task(retries=3, timeout=30)
async def mail(to: str) -> bytes:
    return b""

@task(name="ping")
def ping() -> None: ...

@task(name="extract")
@xcom_push("raw")
def extract(url: str) -> list[int]:
    return []

@task(name="load")
async def load(rows: list[int], factor: int = 1) -> bool:
    return True

@task(name="report")
@xcom_pull(rows="raw", task=extract)
def report(title: str, rows: list[int]) -> str:
    return title

@task(name="later_report")
@xcom_pull(rows="raw")
async def later_report(rows: list[int]) -> str:
    return ""

@task
def sync(ctx: TaskContext, table: str, rows: int = 1) -> int:
    return rows

@task(retries=1)
async def fetch(ctx: TaskContext, url: str) -> bytes:
    return b""

@task
def either(url: str, *, ctx: TaskContext | None = None) -> str:
    return url

assert_type(sync.task("t", rows=3), Task[int])
assert_type(sync.options(user_id="ann").task("t"), Task[int])
assert_type(fetch.task(url="u"), Task[bytes])
assert_type(either.task("u"), Task[str])
assert_type(either("u"), str)

def call(ctx: TaskContext) -> None:
    assert_type(sync(ctx, "t"), int)
    got: Coroutine[Any, Any, bytes] = fetch(ctx, "u")

assert_type(resize("u", width=3), str)
assert_type(resize.task("u", 3), Task[str])
called: Coroutine[Any, Any, bytes] = mail("ann")
assert_type(mail.task("ann"), Task[bytes])
assert_type(resize.options(user_id="ann", priority=Priority.HIGH).task("u"), Task[str])
assert_type(mail.options(delay=5).task("ann"), Task[bytes])
assert_type(ping.task(), Task[None])

extracted = extract.task("u")
loaded = load.task(rows=extracted.output, factor=extracted.output[0])
assert_type(extracted, Task[list[int]])
assert_type(extracted.output, list[int])
assert_type(extracted.xcom("raw"), Any)
assert_type(report.task("t"), Task[str])
assert_type(later_report.task(), Task[str])
assert_type(extracted >> loaded, Pipeline[bool])
assert_type(extracted >> loaded >> report.task("t"), Pipeline[str])
assert_type(extracted >> [loaded, loaded], Pipeline[list[bool]])
assert_type(extracted >> [loaded, loaded] >> report.task("t"), Pipeline[str])
assert_type([extracted, loaded] >> report.task("t"), Pipeline[str])
assert_type([extracted, loaded] >> (loaded >> extracted), Pipeline[list[int]])
assert_type(extracted >> [loaded >> extracted, extracted], Pipeline[list[list[int]]])
assert_type(extracted >> [extracted >> loaded, extracted] >> loaded, Pipeline[bool])
assert_type(pipeline(loaded), Pipeline[bool])
assert_type(pipeline([loaded, loaded]), Pipeline[list[bool]])

def use(queue: TaskQueue) -> None:
    assert_type(queue.push(extracted >> loaded), PipelineHandle[bool])
    assert_type(queue.push(extracted >> loaded).result(timeout=1), bool)
    assert_type(queue.push(extracted >> [loaded, loaded]).result(), list[bool])
    assert_type(queue.push(extracted >> loaded).task(extracted), TaskHandle[list[int]])
    assert_type(queue.push(resize.task("u")), TaskHandle[str])
    assert_type(queue.push(resize.task("u")).result(timeout=1), str)
    assert_type(queue.push_many([mail.task("a")]), list[TaskHandle[bytes]])
    assert_type(queue.task("t").result(), Any)
    assert_type(queue.task("t", resize).result(), str)
    assert_type(queue.push(Task(func="a:b")).result(), Any)

async def use_async(queue: AsyncTaskQueue) -> None:
    pushed = await queue.push(extracted >> loaded)
    assert_type(pushed, AsyncPipelineHandle[bool])
    assert_type(await pushed.result(), bool)
    assert_type(await mail("ann"), bytes)
    handle = await queue.push(mail.task("ann"))
    assert_type(handle, AsyncTaskHandle[bytes])
    assert_type(await handle.result(), bytes)

def mistaken(queue: TaskQueue, user_id: str | None) -> None:
    wrong: int = queue.task("t", resize).result()                    # E: assignment
    queue.get("t")                                                   # E: attr-defined
    queue.tasks.cancel_all(user_id=user_id)                          # E: arg-type
    queue.tasks.cancel_all(user="ann")                               # E: call-arg
    queue.dead_letters.retry_all(reason="retrys")                    # E: arg-type
    queue.dead_letters.list(state="failed")                          # E: call-arg
    queue.users.set("acme", wait=3)                                  # E: call-arg
    queue.set(cost_mode="count")                                     # E: arg-type
    for row in queue.users.list():
        assert_type(row, UserRow)
    for letter in queue.dead_letters.iter(func=resize, reason=DeadReason.RETRIES):
        assert_type(letter, DeadLetter)

resize(3)                                   # E: arg-type
resize.task(3)                              # E: arg-type
resize.task("u", height=3)                  # E: call-arg
mail.task()                                 # E: call-arg
sync.task(3)                                # E: arg-type
fetch.task()                                # E: call-arg
sync("t", "u")                              # E: arg-type
resize.options(priorty=Priority.HIGH)       # E: call-arg
resize.options(retries="3")                 # E: arg-type
width: int = resize.task("u")               # E: assignment

late = task(task_id="x")                    # E: call-overload

load.task(rows=resize.task("u").output)     # E: arg-type
load.task(rows=extracted)                   # E: arg-type
load.task(rows=extracted.output[0])         # E: arg-type
number: Pipeline[int] = extracted >> extracted  # E: operator
extracted >> 5                              # E: operator
extracted >> load                           # E: operator
[extracted] >> [loaded]                     # E: operator
"""


@pytest.mark.thorough
def test_types_are_preserved_and_mistakes_are_found(tmp_path: Path, run_python: Any) -> None:
    path = tmp_path / "uses.py"
    path.write_text(USES)
    root = Path(__file__).parents[3]
    cache = f"--cache-dir={tmp_path}"
    done = run_python("-m", "mypy", "--strict", "--config-file=pyproject.toml", cache, str(path), folder=root)
    lines = USES.splitlines()
    expected = {(n, line.split("# E: ")[1]) for n, line in enumerate(lines, 1) if "# E: " in line}
    found = {
        (int(line.split(":")[1]), line.rsplit("[", 1)[1].rstrip("]"))
        for line in done.stdout.splitlines()
        if ": error: " in line
    }
    assert found == expected, done.stdout + done.stderr
