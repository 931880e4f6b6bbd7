"""taskiq: a stream, so that tasks are acknowledged; coroutines on uvloop, or threads; a result is polled for."""

from bodies import ASYNC, RESULTS, SYNC, TEXT, URL
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

broker = RedisStreamBroker(URL, consumer_id="0")
if RESULTS:
    broker = broker.with_result_backend(RedisAsyncResultBackend(URL, result_ex_time=60))
TASKS = {name: broker.task(task_name=name)(body) for name, body in {**SYNC, **ASYNC}.items()}


async def connect() -> None:
    """Connect."""
    await broker.startup()


async def close() -> None:
    """Close the connections."""
    await broker.shutdown()


async def push(name: str, number: int) -> None:
    """Push tasks one by one."""
    for _ in range(number):
        await TASKS[name].kiq(TEXT)


async def call(name: str) -> None:
    """Push a task and wait for its result."""
    task = await TASKS[name].kiq(TEXT)
    await task.wait_result(check_interval=0.000_5, timeout=30)
