"""fairque for tests: a pytest plugin with a real server and a worker, and the scheduler in virtual time.

Register the plugin with ``pytest_plugins = ["fairque.testing"]`` in a conftest.py, or with ``-p fairque.testing``.
"""

from fairque.testing._version import __version__
from fairque.testing.fairness.simulation import (
    PolicyName,
    SimulatedUser,
    SimulationReport,
    UserReport,
    jain_index,
    simulate,
)
from fairque.testing.fixtures import fairque_queue_name, fairque_server_url, fairque_worker
from fairque.testing.servers import PlainServer, free_port
from fairque.testing.waiting import eventually
from fairque.testing.workers import WorkerFixture

# Grouped by purpose, not sorted.
__all__ = [  # noqa: RUF022 - see above
    # Fixtures
    "fairque_server_url",
    "fairque_queue_name",
    "fairque_worker",
    "WorkerFixture",
    # Waiting
    "eventually",
    # Servers that a test can kill
    "PlainServer",
    "free_port",
    # The scheduler in virtual time
    "simulate",
    "SimulatedUser",
    "SimulationReport",
    "UserReport",
    "PolicyName",
    "jain_index",
    "__version__",
]
