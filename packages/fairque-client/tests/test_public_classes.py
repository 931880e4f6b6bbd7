"""The public classes have docstrings, and the synchronous ones are generated from the asynchronous ones."""

import inspect
import runpy
from pathlib import Path
from typing import Any

import pytest

from fairque import client

CLASSES = [
    getattr(client, prefix + name)
    for prefix in ("", "Async")
    for name in ("TaskQueue", "TaskHandle", "PipelineHandle", "Users", "DeadLetters", "Schedules")
]
#: The namespace of the generator.
UNASYNC = runpy.run_path(str(Path(__file__).parents[3] / "scripts" / "unasync.py"))


@pytest.mark.parametrize("kind", CLASSES)
def test_every_public_method_has_a_docstring(kind: type) -> None:
    assert all(inspect.getdoc(getattr(kind, name)) for name in vars(kind) if not name.startswith("_"))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("async with aclosing(self._ended()) as ended:", "with closing(self._ended()) as ended:"),
        ("async def __aenter__(self) -> AsyncTaskQueue:", "def __enter__(self) -> TaskQueue:"),
        ("return [one async for one in await self.all()]", "return [one for one in self.all()]"),
        ("async def rows(self) -> AsyncGenerator[int, None]:", "def rows(self) -> Generator[int, None, None]:"),
        (
            "from fairque.client._async.handle import AsyncTaskHandle",
            "from fairque.client._sync.handle import TaskHandle",
        ),
        ("class A:\n    @cancelable\n    async def run(self) -> None:", "class A:\n    def run(self) -> None:"),
        ("awaited = asynchronous(Async)", "awaited = asynchronous(Async)"),
    ],
)
def test_a_line_of_the_asynchronous_client_becomes_synchronous(line: str, expected: str) -> None:
    assert UNASYNC["synchronous"](line, set()) == expected


def test_a_rule_of_the_generator_that_is_never_used_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = UNASYNC["main"].__globals__
    monkeypatch.setitem(module, "RULES", [*UNASYNC["RULES"], ("nothing has this name", "")])
    monkeypatch.setitem(module, "formatted", lambda text, _: text)
    monkeypatch.setattr("sys.argv", ["unasync.py", "--check"])
    with pytest.raises(SystemExit, match="these rules were never used: nothing has this name"):
        UNASYNC["main"]()


def test_a_module_that_differs_from_the_generated_one_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = UNASYNC["main"].__globals__
    monkeypatch.setitem(module, "formatted", lambda text, _: text + "# edited\n")
    monkeypatch.setattr("sys.argv", ["unasync.py", "--check"])
    with pytest.raises(SystemExit, match=r"dead_letters\.py, .*gathering\.py, .*runners/_sync/caller\.py"):
        UNASYNC["main"]()
