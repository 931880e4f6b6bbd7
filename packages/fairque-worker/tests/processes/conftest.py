"""A module of tasks that workers and their child processes import by name."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fairque.testing.internal import eventually
from fairque.worker import Worker

#: The tasks that child processes of workers run in the tests.
TASKS_APART = """
import asyncio, contextvars, ctypes, decimal, json, logging, os, random, resource, signal
import socket, subprocess, sys, tempfile, threading, time, warnings
from pathlib import Path
from fairque.worker import Cancel, Retry, Snooze, TaskHandler, current_context

HERE = Path(__file__).parent


def pid():
    return os.getpid()

def parent():
    return os.getppid()

def add(a, b):
    return a + b

async def add_later(a, b):
    await asyncio.sleep(0)
    return a + b

def facts():
    context = current_context()
    return [
        context.task_id, context.user_id, context.attempt, context.fence, context.lease_held, context.should_stop,
        0 < context.seconds_left <= 60, context.func, threading.current_thread() is threading.main_thread(),
    ]

def leave(key, value):
    current_context().xcom.push(key, value)
    return [value]

def fetch(key):
    return current_context().xcom.pull(key)

def tells():
    current_context().progress(3, 10, "reading")

def chats():
    for part in range(20_000):
        current_context().progress(part, message="\\ud800" * part)

OVER, SAID, STRAYS = threading.Event(), [], []

def stray(work):
    STRAYS.append(threading.Thread(target=work, args=(current_context(),), daemon=True))
    STRAYS[-1].start()

def leaves_a_reader(other):
    def reads(context):
        try:
            while True:
                context._read_outputs([other])
        except Exception as error:
            SAID.append(str(error))
    stray(reads)

def leaves_a_teller():
    def tells(context):
        OVER.wait(60)
        context.progress(7, message="stray")
    stray(tells)

def outlives_strays():
    OVER.set()
    STRAYS[-1].join(60)
    return SAID

async def facts_later():
    await asyncio.sleep(0)
    return current_context().task_id

def fails(kind):
    if kind == "retry": raise Retry("not yet", after=0.01)
    if kind == "snooze" and current_context().attempt < 3: raise Snooze(0.01)
    if kind == "cancel": raise Cancel("no use")
    if kind == "exit": sys.exit(3)
    if kind == "interrupt": raise KeyboardInterrupt
    if kind == "generator": raise GeneratorExit
    if kind == "canceled": raise asyncio.CancelledError
    if kind == "json": return object()
    if kind == "error": raise ValueError("no luck")
    return current_context().attempt

def dies(how):
    if how == "exit": os._exit(7)
    if how == "segfault": ctypes.string_at(0)
    os.kill(os.getpid(), getattr(signal, how))
    time.sleep(60)

def listens_no_more(other):
    (listener,) = [thread for thread in threading.enumerate() if thread.name == "fairque-child"]
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(listener.ident), ctypes.py_object(MemoryError))
    return current_context()._read_outputs([other])

def dies_once():
    if current_context().attempt == 1:
        os._exit(0)
    return "second"

def note(name):
    (HERE / name).write_text(str(os.getpid()))

def hangs(name):
    note(name)
    while True:
        time.sleep(60)

def hangs_with_a_child(name):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (HERE / "grandchild").write_text(str(child.pid))
    hangs(name)

def hangs_in_another_group(name):
    os.setpgid(0, os.getpgid(os.getppid()))
    hangs(name)

def dies_with_a_child():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (HERE / "grandchild").write_text(str(child.pid))
    os._exit(1)

def holds_on(name):
    note(name)
    ctypes.PyDLL(None).sleep(600)  # in C, with the GIL

def heeds(name):
    note(name)
    current_context().wait_stop(30)
    return [current_context().stop_reason, current_context().lease_held]

async def heeds_later(name):
    note(name)
    try:
        await asyncio.sleep(30)
    finally:
        note("cleaned")

def environment():
    return [os.environ.get("PYTHONPATH"), sys.path]

def terminates():
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    child.terminate()
    return child.wait(60)

WORD = contextvars.ContextVar("word", default="none")

def sets_context(word):
    before = [WORD.get(), decimal.getcontext().prec]
    WORD.set(word)
    decimal.getcontext().prec = len(word)
    return before

def forks(how):
    pid = os.fork()
    if pid == 0:
        if how == "raises": raise ValueError("of the copy")
        if how == "exits": sys.exit(3)
        return "the copy"
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def forks_and_continues():
    pid = os.fork()
    if pid == 0:
        time.sleep(0.2)
        return "the copy"
    (HERE / "copy").write_text(str(pid))

async def forks_later(how):
    await asyncio.sleep(0)
    return forks(how)

def current_channel():
    import gc
    from fairque.worker.processes.channel import Channel
    (channel,) = [one for one in gc.get_objects() if type(one) is Channel]
    return channel._socket.fileno()

def says(what):
    end = socket.socket(fileno=os.dup(current_channel()))
    body = what.replace("TOKEN", str(current_token())).replace("LARGE", "x" * 300_000).encode()
    end.sendall(len(body).to_bytes(4, "big") + body if what != "huge" else bytes([255] * 4) + body)
    time.sleep(60)

def current_token():
    import gc
    from fairque.worker.jobs import Job
    (job,) = [one for one in gc.get_objects() if type(one) is Job and one.context is current_context()]
    return job.granted.token

def says_for_another(result):
    end = socket.socket(fileno=os.dup(current_channel()))
    body = json.dumps({"kind": "done", "token": "1:other", "result": '"stolen"', "xcom": ""}).encode()
    end.sendall(len(body).to_bytes(4, "big") + body)
    return result

PROFILERS = []
LEFT = []
if "pytest" not in sys.modules:  # in a child
    logging.root.addHandler(logging.StreamHandler())

class Slow:
    @property
    def closed(self):
        time.sleep(0.3)
        raise ValueError

class Stuck:
    closed = False
    def __del__(self):
        time.sleep(300)

def wakeup_descriptor():
    found = signal.set_wakeup_fd(-1)
    try:
        signal.set_wakeup_fd(found)
    except (OSError, ValueError):
        found = "closed"
    return found

def changes(what):
    if what == "folder": os.chdir("/")
    if what == "removed folder":
        os.mkdir(HERE / "gone"); os.chdir(HERE / "gone"); os.rmdir(HERE / "gone")
        return "gone"
    if what == "umask": os.umask(0o177)
    if what == "environment": os.environ["FAIRQUE_TEST"] = "x"; os.environ.pop("PATH")
    if what == "hidden variables": os.putenv("FAIRQUE_HIDDEN", "x"); os.unsetenv("PATH")
    if what == "offset of the zone": os.environ["TZ"] = "UTC+5"; time.tzset(); del os.environ["TZ"]
    if what == "hidden zone": os.putenv("TZ", "XXX-5"); time.tzset()
    if what == "waking descriptor":
        LEFT.append(socket.socket())
        LEFT[-1].setblocking(False)
        signal.set_wakeup_fd(LEFT[-1].fileno())
    if what == "closed waking descriptor":
        with socket.socket() as end:
            end.setblocking(False)
            signal.set_wakeup_fd(end.fileno())
    if what == "blocking": os.set_blocking(0, False)
    if what == "levels of handlers": logging.root.handlers[0].setLevel(50)
    if what == "captured warnings": logging.captureWarnings(True)
    if what == "half of captured warnings":
        plain = warnings.showwarning
        logging.captureWarnings(True)
        warnings.showwarning = plain
    if what == "memory": import tracemalloc; tracemalloc.start()
    if what == "no seed": random.seed = None
    if what == "kind of os.environ": os.environ = dict(os.environ)
    if what == "slow stream": sys.stdout = Slow()
    if what == "stream that is dropped slowly": sys.stdout = Stuck()
    if what == "handlers": signal.signal(signal.SIGUSR2, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if what == "mask": signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    if what == "alarm": signal.setitimer(signal.ITIMER_REAL, 0.05)
    if what == "path": sys.path.insert(0, "/nowhere"); sys.argv[:] = ["x"]
    if what == "streams": sys.stdout = open(os.devnull, "w")
    if what == "hooks": sys.excepthook = print; sys.settrace(lambda *_: None)
    if what == "interpreter": sys.setrecursionlimit(3_000); sys.setswitchinterval(1)
    if what == "collector": import gc; gc.disable()
    if what == "timeout": socket.setdefaulttimeout(0.001)
    if what == "limits":
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    if what == "random": random.seed(1)
    if what == "warnings": warnings.simplefilter("error"); warnings.showwarning = print
    if what == "logging": logging.disable(50); logging.getLogger().setLevel(50)
    if what == "digits": sys.set_int_max_str_digits(0); threading.stack_size(1 << 20)
    if what == "hooks of threads": threading.settrace(lambda *_: None); threading.setprofile(lambda *_: None)
    if what == "more hooks": sys.displayhook = print; sys.breakpointhook = print
    if what == "decimals": decimal.DefaultContext.prec = 3; decimal.DefaultContext.traps[decimal.Inexact] = True
    if what == "temporary files": tempfile.tempdir = "/nowhere"
    if what == "zone": os.environ["TZ"] = "Asia/Tokyo"; time.tzset(); del os.environ["TZ"]
    if what == "start method": import multiprocessing; multiprocessing.set_start_method("spawn")
    if what == "descriptors": os.dup2(os.open("/", os.O_RDONLY), 1)
    if what == "generators": sys.set_asyncgen_hooks(firstiter=print); sys.set_coroutine_origin_tracking_depth(3)
    if what == "name": threading.current_thread().name = "x"
    if what == "tracebacks": sys.tracebacklimit = 0
    if what == "debugging of the collector":
        import gc; gc.set_debug(gc.DEBUG_SAVEALL); gc.callbacks.append(lambda *_: None)
    if what == "frozen objects": import gc; gc.freeze()
    if what == "handlers of the log": logging.basicConfig(filename=HERE / "theirs", force=True)
    if what == "handlers of contexts": logging.getLogger("fairque.task").addHandler(logging.NullHandler())
    if what == "records of the log": logging.setLogRecordFactory(lambda *_, **__: None); logging.raiseExceptions = False
    if what == "profiler":
        import cProfile; PROFILERS.append(cProfile.Profile()); PROFILERS[-1].enable()
    if what == "fatal errors": import faulthandler; faulthandler.disable()
    if what == "closed stream": sys.stdout.close()
    if what == "no path": sys.path = None
    if what == "no environment": os.environ = None
    return state()

def umask():
    found = os.umask(0o77)
    os.umask(found)
    return found

def hidden_variables():
    import ctypes
    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_char_p
    return [str(getenv(name)) for name in (b"FAIRQUE_HIDDEN", b"PATH")]

def state():
    import faulthandler, gc
    return [
        hidden_variables(), wakeup_descriptor(), time.timezone, os.get_blocking(0), logging.root.handlers[0].level,
        repr(logging._warnings_showwarning), "tracemalloc" in sys.modules and sys.modules["tracemalloc"].is_tracing(),
        repr(sys.get_asyncgen_hooks()), sys.get_coroutine_origin_tracking_depth(), threading.current_thread().name,
        getattr(sys, "tracebacklimit", None), gc.get_debug(), repr(gc.callbacks), gc.get_freeze_count() > 0,
        repr(logging.getLogger().handlers), repr(logging.getLogger("fairque.task").handlers),
        repr(logging.getLogRecordFactory()), logging.raiseExceptions, faulthandler.is_enabled(),
        os.getcwd(), umask(),
        sorted(os.environ.items()), [repr(signal.getsignal(n)) for n in (10, 12, 15)],
        sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())), sys.path, sys.argv, sys.stdout is sys.__stdout__,
        repr(sys.excepthook), sys.gettrace() is None, sys.getrecursionlimit(), sys.getswitchinterval(), gc.isenabled(),
        socket.getdefaulttimeout(), resource.getrlimit(resource.RLIMIT_NOFILE),
        repr(warnings.filters), repr(warnings.showwarning), logging.root.manager.disable, logging.root.level,
        sys.get_int_max_str_digits(), threading.stack_size(), repr(threading.gettrace()), repr(threading.getprofile()),
        repr(sys.displayhook), repr(sys.breakpointhook), repr(decimal.DefaultContext), tempfile.tempdir, time.tzname,
        "multiprocessing" in sys.modules and sys.modules["multiprocessing"].get_start_method(allow_none=True) or None,
        os.fstat(1).st_ino, sys.getprofile() is None,
        [sys.monitoring.get_tool(number) for number in range(6)] if hasattr(sys, "monitoring") else [],
    ]

def sets_dumps(how):
    import faulthandler
    if how == "later": faulthandler.dump_traceback_later(0.05, exit=True)
    if how == "default": signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    if how == "exits": signal.signal(signal.SIGUSR1, lambda *_: os._exit(9))
    if how == "unregister": faulthandler.unregister(signal.SIGUSR1)

def is_dumped():
    os.kill(os.getpid(), signal.SIGUSR1)
    return "continues"

def sets_a_loop(how):
    before = asyncio.get_event_loop_policy().get_event_loop()
    assert not before.is_closed()
    if how == "runs": asyncio.run(asyncio.sleep(0))
    if how == "closes": before.close()
    if how == "leaves": before.create_task(asyncio.sleep(0))
    return len(asyncio.all_tasks(before)) - (how == "leaves")

def outlasts(seconds):
    time.sleep(seconds)
    return "done"

def leaves_for_good(folder):
    assert os.getcwd() == folder
    os.chdir("/")
    os.rmdir(folder)
    return os.getcwd()

def goes(where):
    if where is not None: os.chdir(where)
    return os.getcwd()

def goes_and_removes():
    changes("removed folder")
    return None

def imports(name):
    import importlib
    return importlib.import_module(name).HERE

def puts(name, value):
    os.environ[name] = value
    return value

def gets(name):
    return os.environ.get(name)

def closes_standard_streams():
    for number in range(3):
        os.close(number)

def attributes():
    mask = sorted(int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    return [mask, sorted(os.sched_getaffinity(0)), os.getpriority(os.PRIO_PROCESS, 0)]

async def attributes_of_the_loop():
    return attributes()

def changes_its_thread():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGALRM])
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    os.setpriority(os.PRIO_PROCESS, 0, 10)
    return attributes()

def restores_its_thread(mask, processors, priority):
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    os.sched_setaffinity(0, processors)
    os.setpriority(os.PRIO_PROCESS, 0, priority)

def changes_the_path(how):
    if how == "insert": sys.path.insert(0, "/nowhere")
    if how == "clear": sys.path.clear()

def path():
    return sys.path

def draws():
    return random.random()

class Echo(TaskHandler):
    def handle(self, task, ctx):
        return [os.getpid(), task.payload, ctx.attempt]

class Loud(TaskHandler):
    def __init__(self):
        self.heard = []

    def handle(self, task, ctx):
        raise ValueError("no luck")

    def on_failure(self, task, error, ctx, *, final):
        note("hook")
        (HERE / "error").write_text(f"{type(error).__name__} {error.error.type}: {error} {final}")
"""


class Apart:
    """Workers that import the module of the tasks by name.

    Attributes:
        module: Name of the module.
    """

    def __init__(self, bench: Any, folder: Path, module: str) -> None:
        self.bench = bench
        self.module = module
        self._folder = folder

    def start(
        self, handler: str | None = None, *, isolation: str = "process", burst: bool = False, **options: Any
    ) -> Worker:
        settings = self.bench.settings(modules=(self.module,), isolation=isolation, **options)
        worker = Worker(settings, None if handler is None else f"{self.module}:{handler}", burst=burst)
        self.bench._workers.append(worker)
        worker.start()
        return worker

    def push(self, name: str, *args: Any, **fields: Any) -> str:
        task_id: str = self.bench.push(f"{self.module}:{name}", *args, **fields)
        return task_id

    def result(self, name: str, *args: Any, **fields: Any) -> Any:
        return self.bench.result(self.push(name, *args, **fields))

    def error(self, name: str, *args: Any, **fields: Any) -> Any:
        return self.bench.error(self.push(name, *args, retries=0, **fields))

    def noted(self, name: str) -> int:
        """The process that wrote a note."""
        file = self._folder / name
        return int(eventually(lambda: file.exists() and file.read_text(), what=f"the note {name}"))

    def alive(self, pid: int) -> bool:
        """Whether a process runs; a zombie does not."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] != "Z"

    def ends(self, pid: int) -> None:
        """Wait for the end of a process."""
        eventually(lambda: not self.alive(pid), what=f"the end of process {pid}")

    def rewrite(self, text: str = TASKS_APART) -> None:
        """Rewrite the module, for child processes that start from now on."""
        (self._folder / f"{self.module}.py").write_text(text)

    def append(self, text: str) -> None:
        """Add code to the end of the module."""
        self.rewrite(TASKS_APART + text)


@pytest.fixture
def apart(bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Apart]:
    """A module of tasks, and workers for it; all child processes end with them."""
    module = f"tasks_apart_{os.getpid()}_{tmp_path.name}"
    apart = Apart(bench, tmp_path, module)
    apart.rewrite()
    monkeypatch.syspath_prepend(tmp_path)
    yield apart
    bench.close()
    sys.modules.pop(module, None)
