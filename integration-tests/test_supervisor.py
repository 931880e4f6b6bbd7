"""Several worker processes under one: signals reach all, a dead one is restarted, and there is one exit code."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from fairque.client import Task, TaskState
from fairque.testing import free_port
from fairque.testing.internal import PATIENCE, eventually, only_thorough

TASKS = """
import subprocess

@task
def who():
    note()
    return os.getpid()

@task
def patient(name):
    note()
    wait_for(name)
    return os.getpid()

@task
def endless():
    note()
    while True:
        time.sleep(0.01)

@task
def dies():
    os._exit(7)

@task
def orphan():
    # Its parent ends at once, so it is handed to process 1, which has to reap it.
    subprocess.run([sys.executable, "-c", "import subprocess; subprocess.Popen(['sleep', '0.2'])"], check=True)
    note()
"""


@pytest.fixture(autouse=True)
def _tasks(project: Any) -> None:
    project.write(TASKS)


def workers(supervisor: Any) -> set[int]:
    """The worker processes under a supervisor."""
    children = Path(f"/proc/{supervisor.pid}/task/{supervisor.pid}/children").read_text()
    return {int(pid) for pid in children.split()}


def started(project: Any, count: int, *args: str, environ: dict[str, str] | None = None) -> Any:
    """Start a supervisor whose workers take tasks."""
    supervisor = project.begin("--processes", str(count), *(args or ("tasks",)), environ=environ)

    def ready() -> bool:
        assert supervisor.popen.poll() is None, supervisor.stderr
        return bool(supervisor.stderr.count("worker started") >= count)

    eventually(ready, what="workers that take tasks")
    return supervisor


def gone(pids: set[int]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_each_process_runs_tasks_and_a_signal_ends_all_with_0(project: Any, queue: Any) -> None:
    supervisor = started(project, 2, "--concurrency", "1", "tasks")
    pids = workers(supervisor)
    handles = [queue.push(Task(func="tasks:patient", args=["go"])) for _ in range(2)]
    for handle in handles:
        project.noted(handle.task_id)
    supervisor.signal(signal.SIGTERM)
    eventually(lambda: supervisor.stderr.count("worker stops") == 2, what="that both heard it")
    project.touch("go")
    assert supervisor.ends() == 0
    assert {handle.result(0) for handle in handles} == pids
    assert gone(pids)


def test_the_names_of_the_workers_differ_also_when_one_is_given(project: Any, queue: Any) -> None:
    started(project, 2, "--concurrency", "1", "tasks", environ={"FAIRQUE_WORKER_NAME": "w"})
    handles = [queue.push(Task(func="tasks:patient", args=["go"])) for _ in range(2)]
    for handle in handles:
        project.noted(handle.task_id)
    assert {handle.info().worker for handle in handles} == {"w-1", "w-2"}


def test_a_killed_process_is_restarted(project: Any, queue: Any) -> None:
    supervisor = started(project, 2)
    victim = min(workers(supervisor))
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: supervisor.stderr.count("worker started") == 3, what="another process")
    assert len(workers(supervisor)) == 2
    assert victim not in workers(supervisor)
    assert queue.push(Task(func="tasks:who")).result(PATIENCE) in workers(supervisor)
    supervisor.signal(signal.SIGTERM)
    assert supervisor.ends() == 0


@pytest.mark.thorough
def test_a_port_in_use_at_a_restart_stops_no_process_and_is_waited_for(project: Any, queue: Any) -> None:
    port = free_port()
    supervisor = started(project, 2, environ={"FAIRQUE_WORKER_HTTP_PORT": str(port)})

    def listening(number: int) -> socket.socket | None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", number))
            listener.listen()
        except OSError:
            listener.close()
            return None
        return listener

    owners = {_pid_at(port + index): port + index for index in range(2)}
    victim, taken = next(iter(owners.items()))
    os.kill(victim, signal.SIGKILL)
    listener = eventually(lambda: listening(taken), what="the port of the one that was killed")
    assert listener is not None
    with listener:
        eventually(lambda: "probes are not answered until the port is free" in supervisor.stderr)
        eventually(lambda: supervisor.stderr.count("worker started") == 3, what="another process")
        assert len(workers(supervisor)) == 2
        assert queue.push(Task(func="tasks:who")).result(PATIENCE) in workers(supervisor)
    eventually(lambda: "the port could be had: probes are answered" in supervisor.stderr)
    with socket.create_connection(("127.0.0.1", taken)):
        pass
    supervisor.signal(signal.SIGTERM)
    assert supervisor.ends() == 0


def _pid_at(port: int) -> int:
    """The process that listens on a port of this machine."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {row[9] for row in rows if row[3] == "0A" and int(row[1].partition(":")[2], 16) == port}
    for number in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if number.readlink().name.removeprefix("socket:[").removesuffix("]") in inodes:
                return int(number.parts[2])
    raise AssertionError(f"nobody listens at {port}")


@pytest.mark.thorough
def test_a_second_signal_ends_all_at_once(project: Any, queue: Any) -> None:
    supervisor = started(project, 2, environ={"FAIRQUE_WORKER_STOP_TIMEOUT": "600"})
    running = queue.push(Task(func="tasks:endless"))
    project.noted(running.task_id)
    supervisor.signal(signal.SIGINT)
    eventually(lambda: supervisor.stderr.count("worker stops") == 2, what="that both heard it")
    supervisor.signal(signal.SIGINT)
    assert supervisor.ends() == 0
    assert (running.state(), running.info().attempts) == (TaskState.QUEUED, 0)


def test_a_signal_before_the_workers_listen_ends_all_with_0_too(project: Any) -> None:
    supervisor = project.begin("--processes", "2", "tasks")
    eventually(lambda: len(workers(supervisor)) == 2, what="the processes")
    supervisor.signal(signal.SIGTERM)
    assert supervisor.ends() == 0


def test_the_workers_end_with_a_supervisor_that_is_killed(project: Any) -> None:
    supervisor = started(project, 2)
    pids = workers(supervisor)
    supervisor.kill()
    eventually(lambda: gone(pids), what="the end of the workers")


def test_a_burst_ends_when_all_have_ended(project: Any, queue: Any) -> None:
    handles = [queue.push(Task(func="tasks:who")) for _ in range(4)]
    code, _, _ = project.run("--processes", "2", "--burst", "tasks")
    assert code == 0
    assert [handle.state() for handle in handles] == [TaskState.FINISHED] * 4


def test_a_burst_of_which_a_process_has_died_with_its_tasks_does_not_end_with_0(project: Any, queue: Any) -> None:
    handle = queue.push(Task(func="tasks:dies", retries=0))
    code, _, errors = project.run("--processes", "2", "--burst", "tasks", environ={"FAIRQUE_WORKER_LEASE": "600"})
    assert code == 7
    assert "a worker process ended" in errors
    assert handle.state() is TaskState.STARTED


@pytest.mark.parametrize(
    ("args", "environ", "expected"),
    [
        (["nobody"], {}, 6),
        *only_thorough((["tasks"], {"FAIRQUE_REDIS_URL": "redis://localhost:1/0", "FAIRQUE_REDIS_RETRIES": "0"}, 3)),
        (["tasks"], {"FAIRQUE_WORKER_CONCURENCY": "2"}, 78),
        ([], {}, 2),
    ],
    ids=str,
)
def test_an_error_that_a_restart_cannot_fix_ends_all_with_its_code(
    project: Any, args: list[str], environ: dict[str, str], expected: int
) -> None:
    code, _, errors = project.run("--processes", "2", *args, environ=environ)
    assert code == expected
    assert "Traceback" not in errors


@pytest.mark.thorough
def test_an_unreachable_server_ends_all_also_where_modules_are_slow_to_import(project: Any) -> None:
    project.write("import time\n\ntime.sleep(6)\n")
    environ = {"FAIRQUE_REDIS_URL": "redis://127.0.0.1:1/0", "FAIRQUE_REDIS_RETRIES": "0"}
    code, _, _ = project.run("--processes", "2", "tasks", environ=environ)
    assert code == 3


def test_a_paused_supervisor_makes_all_pause_until_it_continues(project: Any, queue: Any) -> None:
    supervisor = started(project, 2)
    supervisor.signal(signal.SIGTSTP)
    eventually(lambda: supervisor.stderr.count("worker is paused") == 2, what="two paused workers")
    waiting = queue.push(Task(func="tasks:who"))
    supervisor.signal(signal.SIGCONT)
    eventually(lambda: supervisor.stderr.count("takes tasks again") == 2, what="that both continue")
    assert waiting.result(PATIENCE) in workers(supervisor)


def in_a_namespace() -> bool:
    """Whether this user may create a PID namespace, in which a command is process 1."""
    unshare = shutil.which("unshare")
    return unshare is not None and subprocess.run([unshare, "-pf", "--mount-proc", "true"], check=False).returncode == 0


@pytest.mark.skipif(not in_a_namespace(), reason="this user may not make a namespace of processes")
def test_process_1_of_a_container_handles_signals_reaps_orphans_and_exits_with_0(project: Any, queue: Any) -> None:
    log = project.folder / "stderr-of-1"
    with log.open("wb") as stderr:
        outer = subprocess.Popen(
            ["unshare", "-pf", "--mount-proc", "--kill-child", sys.executable, "-m", "fairque.worker", "tasks"],
            cwd=project.folder,
            env={**os.environ, **project.environ},
            stderr=stderr,
        )
    try:
        eventually(lambda: "worker started" in log.read_text(), what="a worker")
        orphan = queue.push(Task(func="tasks:orphan"))
        orphan.result(PATIENCE)
        (init,) = workers(outer)

        def states() -> list[str]:
            """States of all children of process 1."""
            children = Path(f"/proc/{init}/task/{init}/children").read_text().split()
            stats = [Path(f"/proc/{pid}/stat") for pid in children]
            return [stat.read_text().rpartition(")")[2].split()[0] for stat in stats if stat.exists()]

        eventually(lambda: len(states()) == 1, what="the worker alone: the orphan has ended and was reaped")
        assert "Z" not in states()
        os.kill(init, signal.SIGTERM)
        assert outer.wait(PATIENCE) == 0
    finally:
        outer.kill()
        outer.wait(PATIENCE)


@pytest.mark.thorough
def test_each_process_has_its_own_port_for_probes(project: Any) -> None:
    environ = {"FAIRQUE_WORKER_HTTP_PORT": str(free_port(2))}
    supervisor = started(project, 2, environ=environ)
    code, output, _ = project.run("healthcheck", "--processes", "2", environ=environ)
    assert (code, output.count("/livez: 200")) == (0, 2)
    supervisor.signal(signal.SIGTERM)
    assert supervisor.ends() == 0
    code, output, _ = project.run("healthcheck", "--processes", "2", environ=environ)
    assert (code, output.count("no answer")) == (1, 2)


def site(project: Any, text: str) -> dict[str, str]:
    """An environment in which each Python process runs these lines first, as an agent for monitoring does."""
    folder = project.folder / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        f"import os, signal, sys, threading, time\nfolder = {str(folder)!r}\n{text}"
    )
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths)}


NO_REPLACEMENT = """
spawn = os.posix_spawn
def refuse(*args, **options):
    if os.path.exists(folder + "/refuse"):
        open(folder + "/refused", "w").close()
        raise FileNotFoundError(2, "No such file or directory", sys.executable)
    return spawn(*args, **options)
os.posix_spawn = refuse
"""


@pytest.mark.thorough
def test_a_replacement_that_cannot_be_started_is_retried_and_stops_no_other_worker(project: Any, queue: Any) -> None:
    supervisor = started(project, 2, environ=site(project, NO_REPLACEMENT))
    first, second = sorted(workers(supervisor))
    (project.folder / "site" / "refuse").touch()
    os.kill(first, signal.SIGKILL)
    eventually((project.folder / "site" / "refused").exists, what="a start that is refused")
    assert queue.push(Task(func="tasks:who")).result(PATIENCE) == second
    (project.folder / "site" / "refuse").unlink()
    eventually(lambda: len(workers(supervisor)) == 2, what="the replacement")
    assert second in workers(supervisor)
    supervisor.signal(signal.SIGTERM)
    assert supervisor.ends() == 0
    assert "a worker process cannot be started now: trying again" in supervisor.stderr


def test_workers_that_cannot_be_started_at_all_are_an_error(project: Any) -> None:
    environ = site(project, NO_REPLACEMENT)
    (project.folder / "site" / "refuse").touch()
    supervisor = project.begin("--processes", "2", "tasks", environ=environ)
    assert supervisor.ends() == 1
    assert "a worker process cannot be started" in supervisor.stderr
    assert "Traceback" not in supervisor.stderr


SIGNALED_THREAD = """
def wait():
    while not os.path.exists(folder + "/stop"):
        time.sleep(0.005)
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
if "--supervised" not in sys.orig_argv:
    threading.Thread(target=wait, daemon=True).start()
"""


def test_a_signal_counts_whichever_thread_receives_it(project: Any) -> None:
    supervisor = started(project, 2, environ=site(project, SIGNALED_THREAD))
    (project.folder / "site" / "stop").touch()
    assert supervisor.ends() == 0
