"""streaQ: coroutines on uvloop, or threads; bulk pushes in a pipeline."""

from bodies import ASYNC, SLOTS, SYNC, TEXT, URL
from streaq import Worker

worker = Worker(redis_url=URL, concurrency=SLOTS, sync_concurrency=SLOTS, anyio_kwargs={"use_uvloop": True})
TASKS = {name: worker.task(body) for name, body in {**SYNC, **ASYNC}.items()}
_BATCH = 1_000


async def connect() -> None:
    """Connect."""
    await worker.__aenter__()


async def close() -> None:
    """Close the connections."""
    await worker.__aexit__(None, None, None)


async def push(name: str, number: int) -> None:
    """Push tasks one by one."""
    for _ in range(number):
        await TASKS[name].enqueue(TEXT)


async def push_many(name: str, number: int) -> None:
    """Push tasks in bulk."""
    for first in range(0, number, _BATCH):
        await worker.enqueue_many([TASKS[name].enqueue(TEXT) for _ in range(min(_BATCH, number - first))])


async def call(name: str) -> None:
    """Push a task and wait for its result."""
    task = await TASKS[name].enqueue(TEXT)
    await task.result(timeout=30)
