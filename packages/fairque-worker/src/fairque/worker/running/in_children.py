"""Runs attempts in child processes: a thread waits for each."""

from collections.abc import Iterable
from typing import Any

from fairque.protocol import clock
from fairque.protocol.errors import LeaseLost
from fairque.protocol.model.task import Isolation, Task
from fairque.worker.handling.inputs import Inputs
from fairque.worker.jobs import Ending, Job
from fairque.worker.log import log
from fairque.worker.processes.children import Children
from fairque.worker.running.alarm import Alarm
from fairque.worker.running.attempts import Attempts
from fairque.worker.running.places import Places
from fairque.worker.running.threads import Slot

__all__ = ["InChildren"]


class InChildren:
    """The attempts in child processes.

    Args:
        children: The child processes; None runs all tasks here.
        attempts: Begins the attempts.
        places: Where attempts run.
        inputs: Reads the outputs of other tasks for those in children.
        alarm: Rung when a task in a child was asked to stop.
        isolation: Where tasks run that do not set it themselves.
        cancel_timeout: Seconds that a task may clean up after a request to stop.
    """

    def __init__(
        self,
        children: Children | None,
        attempts: Attempts,
        places: Places,
        *,
        inputs: Inputs,
        alarm: Alarm,
        isolation: Isolation,
        cancel_timeout: float,
    ) -> None:
        self._children = children
        self._attempts = attempts
        self._places = places
        self._inputs = inputs
        self._alarm = alarm
        self._isolation = isolation
        self._cancel_timeout = cancel_timeout

    def asked_for(self, task: Task[Any]) -> bool:
        """Whether a task, or else the worker, asks for a child."""
        return (task.isolation or self._isolation) == "process"

    def run(self, job: Job, task: Task[Any], slot: Slot) -> Ending | None:
        """Run a task in a child if it has to run there, and return its ending; None if it does not.

        It also has to if it may have killed its last worker.

        Raises:
            LeaseLost: The lease was lost before it could begin.
            Unstarted: No child can be started.
        """
        children = self._children
        if children is None or not (self.asked_for(task) or job.granted.solo):
            return None
        if not self.asked_for(task) and children.impossible:
            log.warning("runs beside other tasks after a lost lease", task_id=task.task_id, why=children.impossible)
            return None
        # Before the timeout of the attempt begins: the first child has to import the modules.
        with children.lend() as child:
            if not job.lease.held():
                raise LeaseLost(task.task_id)
            context = self._attempts.begin(job, task, clock.monotonic())

            def on_stop() -> None:
                child.request_stop(job)
                job.limit = min(job.limit, clock.monotonic() + self._cancel_timeout)
                self._alarm.ring()

            # The lease last: giving the job back ends the children known by then, and this one may be added later.
            if not self._places.move(job, slot, child) or not job.lease.held():
                child.kill()
            return children.run(child, job, context, on_stop, self._inputs.read)

    def end(self, jobs: Iterable[Job], seconds: float) -> None:
        """Make sure that no child still runs one of these jobs, all of which were asked to stop.

        Args:
            jobs: The jobs; their leases are lost, so none of them starts in a child after this.
            seconds: How long they may clean up before their children are killed.
        """
        if self._children is not None:
            self._children.end(self._places.children(jobs), seconds)

    def stop(self) -> bool:
        """Kill all children; return whether there could be some."""
        if self._children is None:
            return False
        self._children.stop()
        return True
