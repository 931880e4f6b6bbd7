"""The settings of all processes of a run: short timeouts, so that the run sees the end of each fault."""

import os
from pathlib import Path

from chaos.plan import Plan
from chaos.tasks import FOLDER
from fairque.client import ClientSettings, QueueSettings, RedisSettings
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
        redis=RedisSettings(url=url, socket_timeout_seconds=SOCKET_SECONDS, connect_timeout_seconds=SOCKET_SECONDS),
        queue=QueueSettings(name=QUEUE, max_deliveries=plan.max_deliveries),
    )


def worker_environ(plan: Plan, url: str, name: str, history: Path) -> dict[str, str]:
    """Environment variables of a worker process, added to those of the run."""
    return {
        "FAIRQUE__REDIS__URL": url,
        "FAIRQUE__REDIS__SOCKET_TIMEOUT_SECONDS": str(SOCKET_SECONDS),
        "FAIRQUE__REDIS__CONNECT_TIMEOUT_SECONDS": str(SOCKET_SECONDS),
        "FAIRQUE__QUEUE__NAME": QUEUE,
        "FAIRQUE__QUEUE__MAX_DELIVERIES": str(plan.max_deliveries),
        "FAIRQUE__WORKER__NAME": name,
        "FAIRQUE__WORKER__CONCURRENCY": str(plan.concurrency),
        "FAIRQUE__WORKER__LEASE_SECONDS": str(plan.lease_seconds),
        "FAIRQUE__WORKER__HEARTBEAT_SECONDS": str(plan.lease_seconds / 4),
        "FAIRQUE__WORKER__GRACE_SECONDS": str(GRACE_SECONDS),
        FOLDER: str(history),
    }
