"""Tests that freeze or move time: with any tool, and whenever fairque was imported, nothing waits forever."""

import subprocess
import sys
from pathlib import Path

import pytest

JOBS = """
import asyncio
from fairque.client import task

@task
def add(a: int, b: int) -> int:
    return a + b

@task
async def slowly(a: int, b: int) -> int:
    await asyncio.sleep(0.01)
    return a + b
"""

PROGRAM = """
import asyncio
import sys
from datetime import UTC, datetime
from importlib import import_module

PACKAGES = ("fairque.client", "fairque.worker", "fairque.scheduler")


def work() -> None:
    import jobs
    from fairque.client import AsyncTaskQueue, TaskQueue
    from fairque.scheduler import Schedule, TaskScheduler
    from fairque.worker import Worker

    def burst() -> None:
        Worker.from_url("embedded://", queue="frozen", burst=True, modules=["jobs"]).run()

    async def wait_on_a_loop() -> None:
        async with AsyncTaskQueue.from_url("embedded://", queue="frozen", default_user_id="ann") as queue:
            handle = await queue.push(jobs.add.task(3, 4))
            try:
                await handle.result(timeout=0.05)
            except TimeoutError:
                print("late on a loop")
            await asyncio.to_thread(burst)
            print("on a loop", await handle.result(timeout=60))

    with TaskQueue.from_url("embedded://", queue="frozen", default_user_id="ann") as queue:
        isolated = jobs.add.options(isolation="process").task(2, 3)
        handles = [queue.push(task) for task in (jobs.add.task(1, 2), jobs.slowly.task(1, 3), isolated)]
        try:
            handles[0].result(timeout=0.05)
        except TimeoutError:
            print("late")
        burst()
        print("frozen", [handle.result(timeout=60) for handle in handles])
        asyncio.run(wait_on_a_loop())
        with TaskScheduler.from_url("embedded://", queue="frozen", lease=0.3) as scheduler:
            scheduler.start()
            scheduler.schedules.add(Schedule("often", jobs.add.options(user_id="ann").task(1, 1), every=0.1))
            while scheduler.schedules.get("often").fired <= 5:
                pass
        print("scheduled")


if __name__ == "__main__":
    library, when = sys.argv[1:]
    if when == "late":
        for package in PACKAGES:
            import_module(package)
    moment = datetime(2020, 1, 1, tzinfo=UTC)
    if library == "freezegun":
        import freezegun

        frozen = freezegun.freeze_time(moment)
    else:
        import time_machine

        frozen = time_machine.travel(moment, tick=False)
    with frozen:
        assert datetime.now(UTC) == moment
        work()
"""


@pytest.mark.parametrize("when", ["late", "early"])
@pytest.mark.parametrize("library", ["freezegun", "time_machine"])
def test_a_program_that_freezes_time_gets_its_results(library: str, when: str, tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text(JOBS)
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, str(program), library, when],
        capture_output=True,
        text=True,
        timeout=110,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["late", "frozen [3, 4, 5]", "late on a loop", "on a loop 7", "scheduled"]
