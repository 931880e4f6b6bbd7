"""The settings of all processes of a run: short timeouts, so that the run sees the end of each fault."""

import os
from pathlib import Path

from chaos.plan import Plan
from chaos.tasks import FOLDER
from fairque.client import ClientSettings, QueueSection, RedisSection
from fairque.protocol.wire import scripts

__all__ = ["LUA", "QUEUE", "client_settings", "use_other_scripts", "worker_environ"]

QUEUE = "chaos"
SOCKET_SECONDS = 1.0
GRACE_SECONDS = 0.25

#: A folder with other scripts, only for the processes of the chaos test: the product does not read it.
LUA = "CHAOS_LUA"


def use_other_scripts() -> None:
    """Use the scripts in the folder named by the environment, if there is one."""
    folder = os.environ.get(LUA)
    if folder:
        scripts._folder = lambda: Path(folder)
        scripts.script.cache_clear()


def client_settings(plan: Plan, url: str) -> ClientSettings:
    """The settings of a producer, or of the reader at the end."""
    return ClientSettings(
        redis=RedisSection(url=url, socket_timeout=SOCKET_SECONDS, connect_timeout=SOCKET_SECONDS),
        queue=QueueSection(name=QUEUE, max_lost_workers=plan.max_lost_workers),
    )


def worker_environ(plan: Plan, url: str, name: str, history: Path) -> dict[str, str]:
    """Environment variables of a worker process, added to those of the run."""
    return {
        "FAIRQUE_REDIS_URL": url,
        "FAIRQUE_REDIS_SOCKET_TIMEOUT": str(SOCKET_SECONDS),
        "FAIRQUE_REDIS_CONNECT_TIMEOUT": str(SOCKET_SECONDS),
        "FAIRQUE_QUEUE_NAME": QUEUE,
        "FAIRQUE_QUEUE_MAX_LOST_WORKERS": str(plan.max_lost_workers),
        "FAIRQUE_WORKER_NAME": name,
        "FAIRQUE_WORKER_CONCURRENCY": str(plan.concurrency),
        "FAIRQUE_WORKER_LEASE": str(plan.lease),
        "FAIRQUE_WORKER_HEARTBEAT": str(plan.lease / 4),
        "FAIRQUE_WORKER_STOP_TIMEOUT": str(GRACE_SECONDS),
        FOLDER: str(history),
    }
