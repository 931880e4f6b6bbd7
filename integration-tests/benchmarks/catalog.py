"""The task queues of the comparison: what each needs, and how its workers are started."""

from attrs import frozen

__all__ = ["PEERS", "Load", "Peer"]


@frozen
class Load:
    """How many tasks run at a time, and in which way.

    Attributes:
        task: The name of the tasks, which is in ``bodies``.
        slots: How many a worker process runs at a time.
        processes: How many worker processes run.
    """

    task: str
    slots: int
    processes: int = 1

    @property
    def is_async(self) -> bool:
        """Whether the tasks are coroutines."""
        return self.task.startswith("async_")

    @property
    def waits(self) -> bool:
        """Whether the tasks wait, so that each needs a slot."""
        return self.task.endswith("nap")


@frozen
class Peer:
    """A task queue.

    Attributes:
        requires: What is installed for it; nothing for fairque, which is in the environment of the program.
        command: The arguments of Python that start its workers, with the fields of `Load` and ``url``. Several
            processes are started by the command itself if it has ``{processes}``, else by as many commands.
        sync: Whether it has tasks that are functions.
        coroutines: Whether it has tasks that are coroutines.
        bulk: Whether it pushes several tasks at once.
        slots: Whether a worker process runs several tasks at a time.
        share: Of how many tasks fairque runs it runs in the same time, about: so many are measured.
        python: The oldest Python, as two numbers.
    """

    requires: tuple[str, ...]
    command: str
    sync: bool = True
    coroutines: bool = False
    bulk: bool = False
    slots: bool = True
    share: float = 0.5
    python: tuple[int, int] = (3, 11)

    def runs(self, load: Load) -> bool:
        """Whether it can run such tasks."""
        return (self.coroutines if load.is_async else self.sync) and (self.slots or not load.waits)

    def commands(self, load: Load, url: str) -> list[list[str]]:
        """Return the arguments of Python for each process that has to be started."""
        words = self.command.format(
            url=url,
            slots=load.slots,
            processes=load.processes,
            pool="threads" if load.waits else "solo",
        ).split()
        return [words] * (1 if "{processes}" in self.command else load.processes)


#: With hiredis for each that reads answers by redis-py, and uvloop for each that documents it.
PEERS = {
    "fairque": Peer(
        requires=(),
        command="-m fairque.worker on_fairque --url {url} --concurrency {slots}",
        coroutines=True,
        bulk=True,
        share=1.0,
    ),
    "tarsk": Peer(
        requires=("tarsk-redis>=0.2",),
        command="-m tarsk._cli worker --app on_tarsk:app --broker {url} --children {processes} --slots {slots}",
        coroutines=True,
        share=1.0,
    ),
    "huey": Peer(
        requires=("huey[redis]>=3.5", "hiredis>=3.1"),
        command="-m huey.bin.huey_consumer on_huey.huey --worker-type thread --workers {slots} --no-periodic --quiet",
        share=0.2,
    ),
    "dramatiq": Peer(
        requires=("dramatiq[redis]>=2.2", "hiredis>=3.1"),
        command="-m dramatiq on_dramatiq --processes {processes} --threads {slots}",
    ),
    "taskiq": Peer(
        requires=("taskiq>=0.13", "taskiq-redis>=1.2", "hiredis>=3.1", "uvloop>=0.21"),
        command=(
            "-m taskiq worker on_taskiq:broker --workers {processes} --max-async-tasks {slots} "
            "--max-threadpool-threads {slots} --no-parse --log-level WARNING"
        ),
        coroutines=True,
        share=0.3,
    ),
    "streaq": Peer(
        requires=("streaq>=7.2", "uvloop>=0.21"),
        command="-m streaq run on_streaq:worker --workers {processes}",
        coroutines=True,
        bulk=True,
        share=0.2,
    ),
    "ardiq": Peer(
        requires=("ardiq>=1.2",),
        command="-m ardiq run on_ardiq:app --quiet --workers {processes}",
        coroutines=True,
        bulk=True,
        python=(3, 12),
    ),
    "arq": Peer(
        requires=("arq>=0.28", "hiredis>=3.1", "uvloop>=0.21"),
        command="-m arq on_arq.WorkerSettings",
        sync=False,
        coroutines=True,
        share=0.2,
    ),
    "saq": Peer(
        # It imports typing_extensions without requiring it.
        requires=("saq[redis]>=0.26", "typing-extensions>=4.12", "hiredis>=3.1", "uvloop>=0.21"),
        command="-m saq on_saq.settings --quiet --workers {processes}",
        sync=False,
        coroutines=True,
        share=0.3,
    ),
    "celery": Peer(
        requires=("celery[redis]>=5.7", "hiredis>=3.1"),
        command="-m celery -A on_celery worker --pool {pool} --concurrency {slots} --without-gossip --without-mingle",
        share=0.2,
    ),
    "rq": Peer(
        requires=("rq>=3.0", "hiredis>=3.1"),
        command="-m rq.cli worker --worker-class rq.worker.SimpleWorker --quiet --url {url}",
        bulk=True,
        slots=False,
        share=0.1,
    ),
}
