"""The name of a function in its tasks: the same however its module is run, or an error that says why not."""

import functools
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairque.client import FairqueError, Task, task
from fairque.protocol.model.registry import REGISTRY, name_of

#: Prints the name of the function in its tasks, or why none can be created.
MODULE = """
from fairque.client import FairqueError, task

@task
def resize(url: str) -> str:
    return url

def show_name() -> None:
    try:
        print("NAME", resize.task("u").func)
    except FairqueError as error:
        print("REFUSED", error)

if __name__ == "__main__":
    show_name()
"""

SPAWNING = (
    MODULE
    + """
    import multiprocessing, sys
    child = multiprocessing.get_context(sys.argv[1]).Process(target=show_name)
    child.start()
    child.join()
"""
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with ``tasks.py``, the package ``shop`` with ``tasks`` and ``__main__``, and plain folders."""
    files = ["tasks.py", "shop/tasks.py", "shop/__main__.py", "shop/deep/tasks.py", "plain/tasks.py", "app/__main__.py"]
    for name in files:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(MODULE)
    for name in ("shop/__init__.py", "shop/deep/__init__.py"):
        (tmp_path / name).touch()
    (tmp_path / "spawning.py").write_text(SPAWNING)
    (tmp_path / "shop" / "spawning.py").write_text(SPAWNING)
    (tmp_path / "tool").write_text(MODULE)
    (tmp_path / "link.py").symlink_to(tmp_path / "tasks.py")
    with zipfile.ZipFile(tmp_path / "app.pyz", "w") as archive:
        archive.writestr("__main__.py", MODULE)
    return tmp_path


def run(folder: Path, *command: str, text: str = "") -> list[str]:
    """Run Python in a folder, and return what the module prints about its function."""
    path = [entry for entry in sys.path if entry and "site-packages" not in entry]
    done = subprocess.run(  # noqa: S603 - our own lines
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    # Preceded by the prompts of a debugger or an interactive session.
    lines = [line.lstrip(">. ") for line in done.stdout.replace("(Pdb) ", "").splitlines()]
    printed = [line for line in lines if line.startswith(("NAME", "REFUSED"))]
    assert printed, done.stdout + done.stderr
    return printed


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["tasks.py"], "tasks"),
        (["./tasks.py"], "tasks"),
        (["-m", "tasks"], "tasks"),
        (["-m", "shop"], "shop.__main__"),
        (["-m", "shop.tasks"], "shop.tasks"),
        (["-m", "plain.tasks"], "plain.tasks"),
        (["shop/tasks.py"], "shop.tasks"),
        (["shop/deep/tasks.py"], "shop.deep.tasks"),
        (["shop"], "shop.__main__"),
        (["-m", "cProfile", "tasks.py"], "tasks"),
        (["-m", "cProfile", "shop/tasks.py"], "shop.tasks"),
        (["-m", "cProfile", "-m", "shop.tasks"], "shop.tasks"),
        (["-m", "profile", "tasks.py"], "tasks"),
        (["-m", "pdb", "-c", "continue", "tasks.py"], "tasks"),
        (["-m", "pdb", "-c", "continue", "-m", "shop.tasks"], "shop.tasks"),
        (["-m", "trace", "--count", "-C", "counts", "tasks.py"], "tasks"),
        (["-m", "coverage", "run", "shop/tasks.py"], "shop.tasks"),
        (["-m", "runpy", "shop.tasks"], "shop.tasks"),
        (["-c", "import runpy; runpy.run_path('tasks.py', run_name='__main__')"], "tasks"),
        (["-c", "import runpy; runpy.run_path('shop/tasks.py')['show_name']()"], "shop.tasks"),
        (["-c", "import runpy; runpy.run_module('shop.tasks', run_name='other')['show_name']()"], "shop.tasks"),
        (["-c", "import runpy; runpy.run_module('shop.tasks', run_name='__main__', alter_sys=True)"], "shop.tasks"),
        (["-c", "import shop.tasks; shop.tasks.show_name()"], "shop.tasks"),
    ],
    ids=" ".join,
)
def test_the_name_is_the_one_under_which_a_worker_imports_the_module(
    folder: Path, command: list[str], name: str
) -> None:
    assert run(folder, *command) == [f"NAME {name}:resize"]


@pytest.mark.parametrize("start", ["spawn", "forkserver", "fork"])
@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["spawning.py"], "spawning"),
        (["shop/spawning.py"], "shop.spawning"),
        (["-m", "shop.spawning"], "shop.spawning"),
    ],
    ids=" ".join,
)
def test_a_process_that_a_script_starts_uses_the_same_name(
    folder: Path, command: list[str], name: str, start: str
) -> None:
    assert run(folder, *command, start) == [f"NAME {name}:resize"] * 2


#: The same module, typed into an interactive session.
TYPED = """
from fairque.client import FairqueError, task
@task
def resize(url: str) -> str:
    return url

try:
    print("NAME", resize.task("u").func)
except FairqueError as error:
    print("REFUSED", error)

"""

#: The same module in a shell like that of IDLE, which keeps the file that was run last.
SHELL = f"""
import sys
names = vars(sys.modules["__main__"])
names["__file__"] = "tasks.py"
exec(compile({TYPED!r}, "<FILE#1>", "exec"), names)
"""

EXECUTED = f"space = {{'__name__': 'tasks'}}\nexec({MODULE!r}, space)\nspace['show_name']()"


@pytest.mark.parametrize(
    ("command", "text", "why"),
    [
        (["-c", MODULE], "", "was given to Python as text"),
        (["-"], MODULE, "was typed in or created by exec"),
        ([], MODULE, "was typed in or created by exec"),
        (["-i"], TYPED, "was typed in or created by exec"),
        (["-i", "tasks.py"], TYPED, "was typed in or created by exec"),
        (["-m", "code"], TYPED, "was typed in or created by exec"),
        (["-c", SHELL.replace("FILE", "pyshell")], "", "was typed in or created by exec"),
        (["-c", SHELL.replace("FILE", "bpython-input-1")], "", "was typed in or created by exec"),
        (["-c", EXECUTED], "", "was typed in or created by exec"),
        (["-c", f"import tasks; {EXECUTED}"], "", "was typed in or created by exec"),
        (["app.pyz"], "", "not a __main__.py outside a package"),
        (["app"], "", "not a __main__.py outside a package"),
        (["tool"], "", "a module must be a file NAME.py"),
        (["link.py"], "", "not through a link"),
        (["plain/tasks.py"], "", "it may be plain.tasks or tasks"),
    ],
    ids=lambda value: " ".join(value)[:20] if isinstance(value, list) else "",
)
def test_creating_a_task_is_refused_if_no_worker_could_import_the_function(
    folder: Path, command: list[str], text: str, why: str
) -> None:
    printed = run(folder, *command, text=text)[-1]
    assert printed.startswith("REFUSED")
    assert why in printed
    assert "@task(name=...)" in printed


def test_a_module_that_is_run_inside_its_package_is_refused(folder: Path) -> None:
    (printed,) = run(folder / "shop", "tasks.py")
    assert "the parent folder of the package is neither the current one nor on sys.path" in printed
    assert "python -m ...shop.tasks" in printed


def test_a_function_with_an_explicit_name_is_pushed_from_anywhere(folder: Path) -> None:
    named = MODULE.replace("@task", "@task(name='resize')")
    assert run(folder, "-c", named) == ["NAME resize"]
    assert run(folder, "-", text=named) == ["NAME resize"]


def test_a_function_that_no_worker_could_import_can_be_called_directly(folder: Path) -> None:
    called = MODULE.replace("show_name()\n", "print('NAME', resize('cat.png'))\n")
    assert "NAME cat.png" in run(folder, "-c", called)


def test_a_file_loaded_under_two_names_is_refused(folder: Path) -> None:
    both = "import sys; sys.path.insert(0, 'shop'); import tasks, shop.tasks; tasks.show_name(); shop.tasks.show_name()"
    printed = run(folder, "-c", both)
    assert all(line.startswith("REFUSED") and "is loaded twice in this process" in line for line in printed)


def test_a_file_loaded_under_two_names_through_a_link_is_refused(folder: Path) -> None:
    (folder / "link").symlink_to(folder / "shop")
    both = "import sys; sys.path.insert(0, 'link'); import tasks, shop.tasks; tasks.show_name(); shop.tasks.show_name()"
    printed = run(folder, "-c", both)
    assert all(line.startswith("REFUSED") and "is loaded twice in this process" in line for line in printed)


def test_a_script_and_its_module_in_one_process_are_the_same(folder: Path) -> None:
    (folder / "tasks.py").write_text(f"{MODULE}    import tasks\n    tasks.show_name()\n")
    assert run(folder, "tasks.py") == ["NAME tasks:resize"] * 2


def test_a_module_may_be_reloaded(folder: Path) -> None:
    again = "import importlib, tasks; old = tasks.show_name; importlib.reload(tasks); old(); tasks.show_name()"
    assert run(folder, "-c", again) == ["NAME tasks:resize"] * 2


TWICE = """
from fairque.client import task
@task
def resize(): return 1
@task
def resize(): return 2
"""

WRAPPED_TWICE = """
import functools
from fairque.client import task
def times(number):
    def decorate(func):
        @functools.wraps(func)
        def call(): return func() * number
        return call
    return decorate
def resize(): return 1
twice = task(times(2)(resize))
thrice = task(times(3)(resize))
"""


@pytest.mark.parametrize("source", [TWICE, WRAPPED_TWICE], ids=["defined twice", "wrapped twice"])
def test_two_functions_with_the_same_name_in_a_module_are_refused(folder: Path, source: str) -> None:
    (folder / "doubled.py").write_text(source)
    program = "import fairque.client as f\ntry: import doubled\nexcept f.FairqueError as error: print('REFUSED', error)"
    (printed,) = run(folder, "-c", program)
    assert "two task functions of one module are named 'doubled:resize'" in printed


def plain() -> None: ...
def renamed() -> None: ...
def deleted() -> None: ...
def replaced() -> None: ...
def _private() -> None: ...


other = renamed
bound = {"deleted": deleted, "replaced": replaced, "renamed": renamed}
del deleted, renamed


def replaced() -> None: ...  # type: ignore[no-redef]


class Pictures:
    def blur(self) -> None: ...

    @staticmethod
    def sharpen() -> None: ...

    @classmethod
    def make(cls) -> None: ...

    def __call__(self) -> None: ...


class TestAFunctionWithoutTheDecorator:
    def test_is_named_by_module_and_qualified_name(self) -> None:
        assert name_of(plain) == f"{__name__}:plain"
        assert Task(func=Pictures.sharpen).func == f"{__name__}:Pictures.sharpen"
        assert REGISTRY.find(name_of(plain), [__name__]).func is plain
        assert REGISTRY.find(name_of(Pictures.sharpen), [__name__]).func is Pictures.sharpen

    @pytest.mark.parametrize(
        "func",
        [
            *bound.values(),
            _private,
            lambda: None,
            print,
            Pictures,
            Pictures(),
            Pictures().blur,
            Pictures.blur,
            Pictures.make,
        ],
        ids=lambda func: getattr(func, "__qualname__", type(func).__name__),
    )
    def test_is_refused_if_a_worker_would_not_find_it_there(self, func: object) -> None:
        with pytest.raises(FairqueError, match=r"no worker (can )?finds? "):
            Task(func=func)  # type: ignore[arg-type]  # what this tests


def doubling(func: Callable[..., int]) -> Callable[..., int]:
    @functools.wraps(func)
    def call(*args: int) -> int:
        return 2 * func(*args)

    return call


@doubling
@doubling
@task
def wrapped(number: int) -> int:
    return number


@functools.singledispatch
@task
def dispatching(number: object) -> None: ...


half_done = functools.update_wrapper(functools.partial(wrapped, 5), wrapped)


@pytest.mark.parametrize("func", [wrapped, dispatching], ids=["wraps", "singledispatch"])
def test_a_decorator_above_the_decorator_is_refused_since_no_worker_would_run_it(func: Callable[..., Any]) -> None:
    with pytest.raises(FairqueError, match=r"a decorator is above @task.*: put @task on top"):
        Task(func=func)


@pytest.mark.parametrize("func", [half_done, functools.cache(wrapped)], ids=["partial", "cache"])
def test_what_only_looks_like_a_task_function_is_not_one(func: Callable[..., Any]) -> None:
    with pytest.raises(FairqueError, match="no worker can find"):
        Task(func=func)


def test_a_generator_function_is_refused() -> None:
    def refused(source: str) -> None:
        names: dict[str, object] = {"__name__": __name__}
        exec(source, names)  # noqa: S102 - our own line
        with pytest.raises(FairqueError, match="'rows' is a generator, but a task has one result"):
            name_of(names["rows"])  # type: ignore[arg-type]

    refused("def rows(): yield 1")
    refused("async def rows(): yield 1")


def test_the_error_for_static_and_class_methods_says_where_to_put_the_decorator() -> None:
    for method in (Pictures.__dict__["make"], Pictures.__dict__["sharpen"]):
        with pytest.raises(TypeError, match="put @staticmethod above @task"):
            task(method)


PLUGINS = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("invented", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.show_name()
"""


@pytest.mark.parametrize(
    ("file", "printed"), [("shop/tasks.py", "NAME shop.tasks:resize"), ("elsewhere/tool.py", "REFUSED it is unclear")]
)
def test_a_module_that_is_loaded_under_an_invented_name_has_its_own_name_or_is_refused(
    folder: Path, file: str, printed: str
) -> None:
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "tool.py").write_text(MODULE)
    (folder / "plugins.py").write_text(PLUGINS)
    (line,) = run(folder, "plugins.py", file)
    assert line.startswith(printed)
