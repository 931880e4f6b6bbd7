"""A child that is forked while another thread imports what it uses first can use the same."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import fairque.client
import fairque.protocol

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")

#: Forks in the middle of an import by another thread, and prints how the child ended. A child that hangs is killed.
PROGRAM = """
import importlib.abc, importlib.machinery, os, signal, sys, threading, warnings
import fairque.client
from fairque.protocol.errors import FairqueError
{given}
begun, forking = threading.Event(), threading.Event()

class Halfway(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != {module!r} or begun.is_set():
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        execute = spec.loader.exec_module
        def wait_and_execute(module):
            begun.set()
            forking.wait()
            execute(module)
        spec.loader.exec_module = wait_and_execute
        return spec

def use():
    try:
        {use}
    except FairqueError:
        pass  # the queue is closed

sys.meta_path.insert(0, Halfway())
warnings.simplefilter("ignore")
os.register_at_fork(before=forking.set)
thread = threading.Thread(target=use)
thread.start()
if not begun.wait(30):
    os._exit(2)  # it was imported before
if not (child := os.fork()):
    signal.alarm(20)
    use()
    os._exit(0)
thread.join()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
QUEUE = 'queue = fairque.client.TaskQueue.from_url("redis://localhost:1")'
CLOSED = f"{QUEUE}; queue.close()"


@pytest.mark.parametrize(
    ("module", "given", "use"),
    [
        ("fairque.client._sync.queue", "", "fairque.client.TaskQueue"),
        ("encodings.idna", "", "fairque.client.RedisSection(url='redis://localhost:1')"),
        ("fairque.client._sync.users", QUEUE, "queue.users"),
        ("fairque.client._sync.tasks", QUEUE, "queue.tasks"),
        ("fairque.client._sync.dead_letters", QUEUE, "queue.dead_letters"),
        ("fairque.client._sync.schedules", QUEUE, "queue.schedules"),
        ("fairque.client.queue_steps", CLOSED, "queue.info()"),
        ("fairque.protocol.calls.users", CLOSED, "queue.task('t').explain()"),
        ("fairque.client.dead_letter_steps", CLOSED, "queue.task('t').retry()"),
        ("fairque.protocol.runners", "import fairque.protocol", "fairque.protocol.Runner"),
        ("fairque.protocol.calls", "import fairque.protocol", "fairque.protocol.calls"),
    ],
)
def test_a_child_can_use_what_a_thread_of_its_parent_was_importing(module: str, given: str, use: str) -> None:
    program = PROGRAM.format(module=module, given=given, use=use)
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=90
    )
    assert done.stdout == "0\n", done.stderr


#: Not imported by producers: commands, which are the only thread of their process, and the program of a server.
ALONE = ["service/usage.py", "service/options.py", "embedded/guard.py"]


def imports_in_functions(node: ast.AST, *, inside: bool = False) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports that functions run without the lock of imports."""
    if isinstance(node, ast.With) and ast.unparse(node.items[0]) == "import_lock":
        return
    if inside and isinstance(node, ast.Import | ast.ImportFrom):
        yield node
    inside |= isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    for child in ast.iter_child_nodes(node):
        yield from imports_in_functions(child, inside=inside)


@pytest.mark.parametrize("package", [fairque.client, fairque.protocol])
def test_a_fork_waits_for_every_import_inside_a_function(package: object) -> None:
    folder = Path(str(package.__file__)).parent  # type: ignore[attr-defined]
    found = [
        f"{path}:{node.lineno}"
        for path in sorted(folder.rglob("*.py"))
        if path.relative_to(folder).as_posix() not in ALONE
        for node in imports_in_functions(ast.parse(path.read_text()))
    ]
    assert found == []
