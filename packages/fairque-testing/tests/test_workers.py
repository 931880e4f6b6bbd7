"""The worker of the plugin, and its example in the README."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fairque.client import TaskQueue, TaskState, task
from fairque.protocol.errors import CannotImport
from fairque.testing import WorkerFixture

README = Path(__file__).parents[1] / "README.md"


@task
def double(number: int) -> int:
    return 2 * number


@pytest.fixture
def queue(fairque_server_url: str, fairque_queue_name: str) -> Iterator[TaskQueue]:
    with TaskQueue.from_url(fairque_server_url, queue=fairque_queue_name, default_user_id="ann") as queue:
        yield queue


def test_a_worker_runs_until_no_task_is_left(queue: TaskQueue, fairque_worker: WorkerFixture) -> None:
    first = double.task(1)
    handle = queue.push(first >> double.task(first.output))
    fairque_worker.run()
    assert handle.result(timeout=0) == 4


def test_a_worker_leaves_delayed_tasks(queue: TaskQueue, fairque_worker: WorkerFixture) -> None:
    handle = queue.push(double.options(delay=3_600).task(1))
    fairque_worker.run()
    assert handle.state() is TaskState.SCHEDULED


def test_a_worker_runs_again_for_newly_pushed_tasks(queue: TaskQueue, fairque_worker: WorkerFixture) -> None:
    for number in (1, 2):
        handle = queue.push(double.task(number))
        fairque_worker.run()
        assert handle.result(timeout=0) == 2 * number


def test_a_worker_imports_the_modules_that_it_is_given(
    queue: TaskQueue, fairque_worker: WorkerFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tasks_of_a_test.py").write_text(
        "from fairque.client import task\n\n@task(name='tripled')\ndef triple(n: int) -> int:\n    return 3 * n\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    from fairque.client import Task  # noqa: PLC0415 - here only

    handle = queue.push(Task(func="tripled", args=[3]))
    fairque_worker.run("tasks_of_a_test")
    assert handle.result(timeout=0) == 9


def test_a_missing_module_is_an_error(fairque_worker: WorkerFixture) -> None:
    with pytest.raises(CannotImport, match="no_such_module"):
        fairque_worker.run("no_such_module")


def test_an_unknown_option_is_an_error(fairque_worker: WorkerFixture) -> None:
    with pytest.raises(TypeError, match=r"concurency.*did you mean 'concurrency'"):
        fairque_worker.run(concurency=1)


def test_the_example_of_the_readme_passes(run: Callable[..., str]) -> None:
    found = re.search(r"`test_tasks.py`:\n\n```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert found is not None
    assert "1 passed" in run(found[1])
