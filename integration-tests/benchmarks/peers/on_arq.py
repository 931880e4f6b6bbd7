"""arq: a hundred coroutines at a time, no results."""

import asyncio
from typing import Any

import noop as noops
import uvloop
from arq import create_pool
from arq.connections import RedisSection
from noop import TASKS, TEXT, URL

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())


async def noop(_: dict[Any, Any], text: str) -> None:
    """Do nothing."""
    noops.noop(text)


class WorkerSettings:
    """The settings of the worker, in the form that arq expects."""

    functions = (noop,)
    redis_settings = RedisSection(unix_socket_path=URL.removeprefix("unix://"))
    max_jobs = 100
    keep_result = 0
    poll_delay = 0.01


async def _push() -> None:
    pool = await create_pool(WorkerSettings.redis_settings)
    for _ in range(TASKS):
        await pool.enqueue_job("noop", TEXT)


def push() -> None:
    """Push the tasks one by one."""
    asyncio.run(_push())
