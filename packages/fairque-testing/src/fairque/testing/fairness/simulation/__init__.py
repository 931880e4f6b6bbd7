"""Try a set of users on the scheduler in advance: hours of virtual time in seconds.

A unit test of a fair share::

    report = simulate(
        [SimulatedUser("noisy", backlog=10_000, run_time=0.05), SimulatedUser("quiet", every=1.0, run_time=0.05)],
        workers=4,
        seconds=60,
    )
    assert report["quiet"].wait_p99 < 0.1

It runs `FairModel`, which takes the same steps as the Lua scripts. It does not simulate the time of Redis and the
network, or failures of workers and tasks.
"""

from fairque.testing.fairness.simulation.experiment import simulate
from fairque.testing.fairness.simulation.policies import PolicyName
from fairque.testing.fairness.simulation.report import SimulationReport, UserReport, jain_index
from fairque.testing.fairness.simulation.workload import SimulatedUser

__all__ = ["PolicyName", "SimulatedUser", "SimulationReport", "UserReport", "jain_index", "simulate"]
