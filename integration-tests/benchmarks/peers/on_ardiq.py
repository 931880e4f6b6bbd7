"""ArdiQ: coroutines or threads under a core in Rust; bulk pushes in one round trip."""

from ardiq import Ardiq
from bodies import ASYNC, SLOTS, SYNC, TEXT, URL

app = Ardiq(URL, concurrency=SLOTS)
TASKS = {name: app.task(name=name)(body) for name, body in {**SYNC, **ASYNC}.items()}
_BATCH = 1_000


async def push(name: str, number: int) -> None:
    """Push tasks one by one."""
    for _ in range(number):
        await TASKS[name].enqueue(TEXT)


async def push_many(name: str, number: int) -> None:
    """Push tasks in bulk."""
    for first in range(0, number, _BATCH):
        await app.enqueue_many([TASKS[name].prepare(TEXT) for _ in range(min(_BATCH, number - first))])


async def call(name: str) -> None:
    """Push a task and wait for its result."""
    job = await TASKS[name].enqueue(TEXT)
    await job.result(timeout=30)
