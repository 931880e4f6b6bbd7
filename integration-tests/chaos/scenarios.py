"""Small scenarios, each of which reveals a seeded bug: ``python -m chaos.scenarios``, with requests as standard input.

With the real scripts all rules hold in each of them. Each request is a line of JSON, which a fork of the process plays:
so all of them share the time to import everything.
"""

import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import redis

from chaos.checker import ROUNDING
from chaos.settings import LUA, use_other_scripts
from chaos.stage import LEASE, PLAN, Stage
from fairque.client import CostMode, Task
from fairque.protocol.jsonvalue import loads

__all__ = ["SCENARIOS", "main"]

#: Long enough to be sure that a lease has expired.
OVER = LEASE + 0.05
#: So long apart that the checker, which allows for rounded times, can tell the order of two calls.
APART = 5 * ROUNDING / 1e6


def late_finish(stage: Stage) -> None:
    """A stalled worker finishes a task that another one is now running."""
    slow, other = stage.worker("slow"), stage.worker("other")
    stage.push("t")
    first = slow.take()
    time.sleep(OVER)
    second = other.take()
    time.sleep(APART)
    slow.finish(*first)
    other.finish(*second)


def finish_after_the_end(stage: Stage) -> None:
    """A stalled worker finishes a task that another one has finished."""
    slow, other = stage.worker("slow"), stage.worker("other")
    stage.push("t")
    first = slow.take()
    time.sleep(OVER)
    other.finish_all()
    time.sleep(APART)
    slow.finish(*first)


def same_worker_again(stage: Stage) -> None:
    """A worker loses a task, gets it again, and then its first attempt ends."""
    worker = stage.worker("worker")
    stage.push("t")
    first = worker.take()
    time.sleep(OVER)
    second = worker.take()
    time.sleep(APART)
    worker.finish(*first)
    worker.finish(*second)


def dead_worker(stage: Stage) -> None:
    """A worker dies with a task, and another one finishes it."""
    victim, other = stage.worker("victim"), stage.worker("other")
    stage.push("t")
    victim.take()
    victim.die()
    other.finish(*other.take_within(LEASE + PLAN.recovery_seconds + 2))


def deadly_parent(stage: Stage) -> None:
    """A task kills its worker repeatedly; its dependent is canceled with it."""
    stage.push("t")
    stage.push("child", parents=["t"])
    for number in range(2 * PLAN.max_lost_workers):
        worker = stage.worker(f"victim-{number}")
        if worker.take_within(2 * OVER):
            worker.die()
    stage.worker("survivor").finish_all()


def half_wrong_push(stage: Stage) -> None:
    """A push is refused because one of its tasks exists with different content."""
    worker = stage.worker("worker")
    stage.push("t")
    other = Task(task_id="t", user_id="ann", payload=2)
    stage.push_tasks(Task(task_id="new", user_id="ann", payload=1), other)
    worker.finish_all(0.1)


def repeated_push(stage: Stage) -> None:
    """A producer repeats a push that was executed, because it got no answer."""
    worker = stage.worker("worker")
    stage.push("t")
    worker.finish_all(0.1)
    stage.push("t")
    worker.finish_all(0.1)


def given_up_push(stage: Stage) -> None:
    """A producer gets no answer, and gives up."""
    worker = stage.worker("worker")
    stage.producer_proxy.drop_replies("push", 100)
    stage.push(*(f"t{number}" for number in range(6)))
    worker.finish_all(0.1)


def lost_tasks(stage: Stage) -> None:
    """The answer to a pop is lost, and the worker repeats it."""
    worker = stage.worker("worker")
    stage.push("t1", "t2")
    worker.proxy.drop_replies("pop")
    worker.finish(*worker.take())
    worker.finish_all()


def lost_receipt(stage: Stage) -> None:
    """The answer to a finish is lost, and the worker repeats it."""
    worker = stage.worker("worker")
    stage.push("t")
    tasks = worker.take()
    worker.proxy.drop_replies("finish")
    worker.finish(*tasks)


def endless_task(stage: Stage) -> None:
    """A task runs beyond its timeout, and its worker keeps renewing the lease."""
    worker, other = stage.worker("worker"), stage.worker("other")
    stage.push("t", timeout=2 * LEASE)
    tasks = worker.take()
    for _ in range(8):
        time.sleep(LEASE / 2)
        worker.beat(*tasks)
    other.finish_all()


def wrong_clock(stage: Stage) -> None:
    """A worker whose clock is ahead pops while another one runs the task."""
    worker, ahead = stage.worker("worker"), stage.worker("ahead")
    stage.push("t")
    tasks = worker.take()
    other = ahead.take()
    worker.finish(*tasks)
    ahead.finish(*other)


def late_cancel(stage: Stage) -> None:
    """A task that has ended is canceled."""
    worker = stage.worker("worker")
    stage.push("t")
    worker.finish_all(0.1)
    stage.cancel("t")


def child_of_a_running_task(stage: Stage) -> None:
    """A task is pushed that depends on a running one."""
    worker, other = stage.worker("worker"), stage.worker("other")
    stage.push("t")
    tasks = worker.take()
    stage.push("child", parents=["t"])
    other.finish_all(0.1)
    worker.finish(*tasks)
    other.finish_all(0.1)


def child_of_a_failed_task(stage: Stage) -> None:
    """The parent of a task fails."""
    worker = stage.worker("worker")
    stage.push("t")
    stage.push("child", parents=["t"])
    worker.fail(worker.take()[0])
    worker.finish_all(0.1)


def given_back(stage: Stage) -> None:
    """A worker that stops releases a task."""
    worker, other = stage.worker("worker"), stage.worker("other")
    stage.push("t")
    worker.release(worker.take()[0])
    other.finish_all(0.1)


def noisy_user(stage: Stage) -> None:
    """One user pushes many tasks, and then others a few."""
    worker = stage.worker("worker")
    stage.configure(CostMode.COUNT)
    stage.push(*(f"n{number}" for number in range(60)), user="noisy")
    for name in ("ben", "eva"):
        stage.push(*(f"{name}{number}" for number in range(3)), user=name)
    worker.finish_all(0.1)


def short_tasks(stage: Stage) -> None:
    """A short task of a worker suddenly takes long while others wait behind it."""
    product = stage.product("worker")
    # Until both functions are known to be short.
    for number in range(12):
        stage.push(f"first{number}", func=product.FUNCTIONS[number % 2], payload=None)
        stage.wait_finished(number + 1, 10)
    one, other = product.FUNCTIONS
    # In one call, so that one pop takes them all.
    together = {"before": one, product.HANGS: one, "after1": one, "after2": other}
    stage.push_tasks(*(Task(task_id=name, func=func, user_id="ann") for name, func in together.items()))
    # What has not ended by then never does.
    stage.wait_finished(15, 3)
    if stage.queue.info().totals["finished"] >= 15:
        product.release()
        stage.wait_finished(16, 10)
    product.stop()


SCENARIOS: dict[str, Callable[[Stage], None]] = {
    scene.__name__: scene
    for scene in (
        late_finish,
        finish_after_the_end,
        same_worker_again,
        dead_worker,
        deadly_parent,
        half_wrong_push,
        repeated_push,
        given_up_push,
        lost_tasks,
        lost_receipt,
        endless_task,
        wrong_clock,
        late_cancel,
        child_of_a_running_task,
        child_of_a_failed_task,
        given_back,
        noisy_user,
        short_tasks,
    )
}


def main() -> None:
    """Play each request in a fork, one after the other, and print its exit code."""
    for line in sys.stdin.buffer:
        pid = os.fork()
        if pid == 0:
            os._exit(_play(**loads(line)))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _play(folder: str, port: int, names: list[str], lua: str | None) -> int:
    """Run scenarios, each on an empty server; the history of each is in a folder with its name. Return an exit code."""
    try:
        if lua is not None:
            os.environ[LUA] = lua
            use_other_scripts()
        for name in names:
            redis.Redis(port=port).flushall()
            (Path(folder) / name).mkdir()
            with Stage(Path(folder) / name, port).to_the_end() as stage:
                SCENARIOS[name](stage)
    except BaseException:  # noqa: BLE001 - the test shows it
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    main()
