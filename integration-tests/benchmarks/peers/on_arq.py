"""arq: coroutines on uvloop, no results unless they are needed."""

import asyncio
from typing import Any

import uvloop
from arq import create_pool, func
from arq.connections import ArqRedis, RedisSettings
from bodies import ASYNC, RESULTS, SLOTS, TEXT, URL

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
_pool: list[ArqRedis] = []


async def async_noop(_: dict[Any, Any], text: str) -> None:
    """Do nothing."""
    await ASYNC["async_noop"](text)


async def async_nap(_: dict[Any, Any], text: str) -> None:
    """Sleep for 10 ms."""
    await ASYNC["async_nap"](text)


class WorkerSettings:
    """The settings of the worker, in the form that arq expects."""

    functions = [func(one, keep_result=60 if RESULTS else 0) for one in (async_noop, async_nap)]  # noqa: RUF012
    redis_settings = RedisSettings.from_dsn(URL)
    max_jobs = SLOTS
    poll_delay = 0.01


async def connect() -> None:
    """Connect."""
    _pool.append(await create_pool(WorkerSettings.redis_settings))


async def close() -> None:
    """Close the connections."""
    await _pool.pop().aclose()


async def push(name: str, number: int) -> None:
    """Push tasks one by one."""
    for _ in range(number):
        await _pool[0].enqueue_job(name, TEXT)


async def call(name: str) -> None:
    """Push a task and wait for its result."""
    job = await _pool[0].enqueue_job(name, TEXT)
    await job.result(timeout=30, poll_delay=0.000_5)
