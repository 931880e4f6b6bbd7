"""The registry: which objects a name in a message can reach, and which it cannot."""

import functools
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from fairque.protocol.errors import FairqueError, UnknownFunction
from fairque.protocol.model.registry import Registry, name_of, reference_of

SOURCE = """
import os.path, shutil
from shutil import rmtree

def resize(url): return url
async def fetch(): return 1
def _secret(): return 1
alias = resize
constant = 5

class Images:
    def shrink(self): return 1
    @staticmethod
    def grow(): return 2
    def _hidden(): return 3
    __dunder__ = shrink
"""


def local(name: str, module: str = "tasks") -> Any:
    def func() -> None: ...

    func.__module__, func.__qualname__ = module, name
    return func


@pytest.fixture
def tasks() -> Iterator[ModuleType]:
    """A loaded module of task functions."""
    module = ModuleType("loaded_tasks")
    sys.modules[module.__name__] = module
    exec(SOURCE, module.__dict__)  # noqa: S102 - our own lines
    yield module
    del sys.modules[module.__name__]


class TestRegistering:
    def test_a_function_is_found_by_its_place(self) -> None:
        registry = Registry()
        func = local("resize")
        assert registry.register(func) == "tasks:resize"
        found = registry.find("tasks:resize")
        assert (found.name, found.func, found.is_async) == ("tasks:resize", func, False)

    def test_a_function_is_found_by_its_explicit_name(self) -> None:
        registry = Registry()
        registry.register(local("resize"), "images.resize")
        assert registry.names() == ["images.resize"]
        with pytest.raises(UnknownFunction):
            registry.find("tasks:resize")

    def test_a_coroutine_function_is_recognized(self) -> None:
        async def fetch() -> None: ...

        registry = Registry()
        assert registry.find(registry.register(fetch)).is_async

    def test_two_functions_cannot_share_a_name(self) -> None:
        registry = Registry()
        registry.register(local("resize"), "r")
        with pytest.raises(FairqueError, match=r"'r': tasks:resize and other:rotate. Give one of them another name"):
            registry.register(local("rotate", "other"), "r")
        assert registry.find("r").func.__qualname__ == "resize"

    def test_a_reloaded_module_replaces_its_functions(self) -> None:
        registry = Registry()
        registry.register(local("resize"))
        second = local("resize")
        registry.register(second)
        assert registry.find("tasks:resize").func is second


class TestNames:
    def test_the_name_of_the_decorator_is_used(self) -> None:
        func = local("resize")
        assert name_of(func) == "tasks:resize"
        func.task_name = "images.resize"
        assert name_of(func) == "images.resize"

    def test_a_wrapper_has_the_name_of_the_wrapped_function(self) -> None:
        func = local("resize")
        assert name_of(functools.wraps(func)(lambda: None)) == "tasks:resize"

    @pytest.mark.parametrize(
        ("main", "name"),
        [
            (SimpleNamespace(__spec__=None, __file__="/srv/app/tasks.py"), "tasks:resize"),
            (SimpleNamespace(__spec__=SimpleNamespace(name="app.tasks"), __file__="x"), "app.tasks:resize"),
            (SimpleNamespace(__spec__=SimpleNamespace(name="app.__main__"), __file__="x"), "app.__main__:resize"),
        ],
        ids=["python tasks.py", "python -m app.tasks", "python -m app"],
    )
    def test_a_function_of_the_script_has_the_name_of_the_module_that_a_worker_imports(
        self, monkeypatch: pytest.MonkeyPatch, main: Any, name: str
    ) -> None:
        monkeypatch.setitem(sys.modules, "__main__", main)
        assert reference_of(local("resize", "__main__")) == name

    def test_a_cell_of_a_notebook_is_refused_also_where_the_notebook_says_that_it_is_a_file(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        main = ModuleType("__main__")
        main.__file__ = "/srv/notebooks/sales.py"
        exec(compile("def resize(): ...", "/tmp/ipykernel_12/345.py", "exec"), vars(main))  # noqa: S102, S108 - a cell
        monkeypatch.setitem(sys.modules, "__main__", main)
        with pytest.raises(FairqueError, match="it was typed in"):
            reference_of(vars(main)["resize"])


class TestFinding:
    def test_a_plain_function_of_an_allowed_loaded_module_is_found(self, tasks: ModuleType) -> None:
        found = Registry().find("loaded_tasks:resize", ["loaded_tasks"])
        assert (found.func, found.is_async) == (tasks.resize, False)
        assert Registry().find("loaded_tasks:fetch", ["loaded_tasks"]).is_async
        assert Registry().find("loaded_tasks:Images.grow", ["loaded_tasks"]).func is tasks.Images.grow

    @pytest.mark.usefixtures("tasks")
    def test_a_plain_function_of_another_module_is_not_found(self) -> None:
        with pytest.raises(UnknownFunction):
            Registry().find("loaded_tasks:resize", ["other"])
        with pytest.raises(UnknownFunction):
            Registry().find("loaded_tasks:resize")

    @pytest.mark.usefixtures("tasks")
    @pytest.mark.parametrize(
        "qualname",
        [
            "_secret",
            "Images._hidden",
            "Images.__dunder__",
            "__builtins__",
            "resize.__globals__",
            "constant",
            "Images",
            "nothing",
            "nothing.at.all",
            "",
            ".",
            "resize.",
            "alias",
            "rmtree",
            "shutil.rmtree",
            "os.path.join",
            "os.system",
        ],
    )
    def test_private_objects_other_types_and_imported_functions_are_not_found(self, qualname: str) -> None:
        with pytest.raises(UnknownFunction):
            Registry().find(f"loaded_tasks:{qualname}", ["loaded_tasks"])

    def test_no_module_is_ever_imported(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "not_loaded_tasks.py").write_text("def fly(): ...\n")
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(UnknownFunction):
            Registry().find("not_loaded_tasks:fly", ["not_loaded_tasks"])
        assert "not_loaded_tasks" not in sys.modules

    def test_the_error_lists_similar_names(self) -> None:
        registry = Registry()
        for name in ("resize", "rotate", "send_mail"):
            registry.register(local(name))
        with pytest.raises(UnknownFunction, match="did you mean 'tasks:resize'") as caught:
            registry.find("tasks:resise", ["tasks", "mail"])
        assert caught.value.close[0] == "tasks:resize"
        assert "modules loaded: tasks, mail" in str(caught.value)

    def test_the_same_function_name_in_another_module_is_suggested(self) -> None:
        registry = Registry()
        registry.register(local("resize", "shop.tasks"))
        for name in ("tasks", "tasks1", "tasks2", "tasks3"):
            registry.register(local("resized", name))
        with pytest.raises(UnknownFunction) as caught:
            registry.find("tasks:resize")
        assert caught.value.close[0] == "shop.tasks:resize"


TRAPS = """
import sys
from lazy_package import lazy_attribute

class Meta(type):
    def __getattribute__(cls, name):
        ran.append(f"metaclass {name}")
        return super().__getattribute__(name)
    def __instancecheck__(cls, one):
        ran.append("instancecheck")
        return True

class Descriptor:
    def __get__(self, instance, owner):
        ran.append("descriptor")
        return task

class Jobs(metaclass=Meta):
    descriptor = Descriptor()
    @property
    def prop(self): ran.append("property")
    @classmethod
    def make(cls): ran.append("class method")
    def method(self): ran.append("method")
    @staticmethod
    def run(): ...
    class Inner(metaclass=Meta):
        @staticmethod
        def run(): ...

class Answers:
    def __getattr__(self, name):
        ran.append(f"instance {name}")
        return task
    @property
    def __class__(self):
        ran.append("__class__")
        return type
    def __call__(self): ran.append("call")

ran = []
def task(): ...
answers = Answers()

def __getattr__(name):
    ran.append(f"module {name}")
    import never_imported
"""


class TestNothingRunsForAName:
    @pytest.fixture
    def traps(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
        """A module in which every access to an attribute is recorded, and one that is imported on access."""
        (tmp_path / "lazy_package").mkdir()
        (tmp_path / "lazy_package" / "__init__.py").write_text(
            "def __getattr__(name):\n"
            "    if name == 'lazy_attribute':\n        return 1\n"
            "    import lazy_package.inner\n    return lazy_package.inner.run\n"
        )
        (tmp_path / "lazy_package" / "inner.py").write_text("def run(): ...\n")
        monkeypatch.syspath_prepend(tmp_path)
        module = sys.modules["trap_tasks"] = ModuleType("trap_tasks")
        exec(TRAPS, module.__dict__)  # noqa: S102 - our own lines
        yield module
        for name in ("trap_tasks", "lazy_package"):
            del sys.modules[name]

    @pytest.mark.parametrize("name", ["task", "Jobs.run", "Jobs.Inner.run"])
    def test_functions_are_found_by_dotted_name(self, traps: ModuleType, name: str) -> None:
        assert Registry().find(f"trap_tasks:{name}", ["trap_tasks"]).name == f"trap_tasks:{name}"
        assert traps.ran == []

    @pytest.mark.parametrize(
        "name",
        [
            "trap_tasks:missing",
            "trap_tasks:Jobs.descriptor",
            "trap_tasks:Jobs.prop",
            "trap_tasks:Jobs.prop.fget",
            "trap_tasks:Jobs.make",
            "trap_tasks:Jobs.method",
            "trap_tasks:Jobs.mro",
            "trap_tasks:Jobs.Inner",
            "trap_tasks:Jobs.missing.run",
            "trap_tasks:answers",
            "trap_tasks:answers.run",
            "trap_tasks:Answers.run",
            "trap_tasks:sys.modules",
            "trap_tasks:lazy_package.run",
            "lazy_package:run",
            "lazy_package:inner.run",
            "lazy_package.inner:run",
        ],
    )
    def test_objects_that_a_message_must_not_reach_are_not_accessed(self, traps: ModuleType, name: str) -> None:
        with pytest.raises(UnknownFunction):
            Registry().find(name, ["trap_tasks", "lazy_package"])
        assert traps.ran == []
        assert "lazy_package.inner" not in sys.modules

    def test_an_object_in_place_of_a_module_is_not_accessed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Trap:
            def __getattribute__(self, name: str) -> Any:
                raise AssertionError(f"it was asked for {name}")

        monkeypatch.setitem(sys.modules, "trap_object", Trap())
        with pytest.raises(UnknownFunction, match="There is no function 'run'"):
            Registry().find("trap_object:run", ["trap_object"])

    def test_a_package_of_the_standard_library_is_not_imported(self, tmp_path: Path) -> None:
        (tmp_path / "tasks.py").write_text("from concurrent import futures\n")
        lines = """
            import sys, tasks
            from fairque.protocol.errors import UnknownFunction
            from fairque.protocol.model.registry import REGISTRY
            try: REGISTRY.find("tasks:futures.ProcessPoolExecutor", ["tasks"])
            except UnknownFunction: print("concurrent.futures.process" in sys.modules)
        """
        done = subprocess.run(  # noqa: S603 - our own lines
            [sys.executable, "-c", textwrap.dedent(lines)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "False\n"


class TestWhatTheErrorSays:
    @pytest.mark.parametrize(
        ("name", "says"),
        [
            ("report", r"No function .* has this name from @task\(name=...\): start the worker with the module"),
            ("other:resize", "Start the worker with the module that defines it, 'other'"),
            (
                "loaded_tasks:gone",
                "There is no function 'gone' in 'loaded_tasks' that a task may run: it was renamed or removed",
            ),
            ("loaded_tasks:_secret", "is private or a method"),
            ("loaded_tasks:Images.shrink", "is private or a method"),
            ("loaded_tasks:constant", "is not a function that is defined there: define one, and decorate it"),
            ("loaded_tasks:rmtree", "is not a function that is defined there"),
            ("loaded_tasks:resize2", "is now named 'images.resize': push it under that name"),
        ],
    )
    @pytest.mark.usefixtures("tasks")
    def test_the_error_says_what_to_do(self, name: str, says: str) -> None:
        registry = Registry()
        registry.register(local("resize2", "loaded_tasks"), "images.resize")
        with pytest.raises(UnknownFunction, match=says):
            registry.find(name, ["loaded_tasks"])
