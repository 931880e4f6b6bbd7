"""The calls of a worker: pop, finish, fail, release, beat and sweep, with the worker's settings filled in."""

from collections.abc import Sequence
from typing import Any

from attrs import define

from fairque.protocol.calls.beat import beat
from fairque.protocol.calls.endings import Ended, Failed, Finished, Released, fail, finish, release
from fairque.protocol.calls.interrupt import interrupt
from fairque.protocol.calls.outputs import MAX_OUTPUTS, read_outputs
from fairque.protocol.calls.pop import Popped, granted_in, pop
from fairque.protocol.calls.progress import Reported, progress
from fairque.protocol.calls.read import QueueStats, read_stats
from fairque.protocol.calls.rouse import rouse
from fairque.protocol.calls.sweep import Swept, sweep
from fairque.protocol.durations import to_ms
from fairque.protocol.errors import FairqueError
from fairque.protocol.model.ids import new_nonce
from fairque.protocol.model.outputs import StoredOutputs
from fairque.protocol.runners import Runner
from fairque.protocol.runners.checks import WARNED_CHECKS, findings_of
from fairque.protocol.runners.wait import WaitLine
from fairque.protocol.service.limits import LimitsKeeper
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.keys import QueueKeys
from fairque.protocol.wire.status import Status
from fairque.worker.log import log
from fairque.worker.settings import WorkerSettings

__all__ = ["Consumer", "Request"]


@define
class Request:
    """Calls that are sent together: reports of progress, endings, and a pop, as far as there are any.

    The pop also ends the attempts that succeeded.

    Attributes:
        calls: The calls.
        progress: Whether the first one reports progress.
        finished: Whether there are successes.
        failed: Whether there are failures.
        count: How many tasks it takes; 0 without a pop.
    """

    calls: list[Call[Any]]
    progress: bool
    finished: bool
    failed: bool
    count: int

    def granted_in(self, answers: Sequence[Any]) -> int | None:
        """Return how many tasks are in answers that are not decoded yet; None if the queue has refused a call."""
        if any(type(answer) is not list or answer[0] != Status.OK for answer in answers):
            return None
        return granted_in(answers[-1]) if self.count else 0

    def meaning(self, decoded: Sequence[Any]) -> tuple[Sequence[Ended], Sequence[Ended], Popped | None]:
        """Return, from the decoded answers, those to successes, to failures, and to the pop."""
        answers = iter(decoded)
        if self.progress:
            next(answers)
        done = next(answers) if self.finished and not self.count else []
        refused = next(answers) if self.failed else []
        if not self.count:
            return done, refused, None
        popped = next(answers)
        return popped.ended, refused, popped


def _say(what: str, changes: list[str]) -> None:
    log.warning(what)
    for line in changes:
        log.warning("applied again", change=line)


class Consumer:
    """Takes tasks from one queue and reports how they ended. Each method is one round trip.

    Args:
        settings: The settings of the worker.
        runner: Sends the calls; by default a new one.
    """

    def __init__(self, settings: WorkerSettings, runner: Runner | None = None) -> None:
        self.runner = runner or Runner(settings.redis)
        self.keys = QueueKeys(settings.queue.name)
        self.worker = settings.worker.name
        self.lease_ms = to_ms(settings.worker.lease, "lease")
        self._max_lost_workers = settings.queue.max_lost_workers
        self._result_ttl_ms = to_ms(settings.queue.result_ttl, "result_ttl")
        self._dead_ttl_ms = to_ms(settings.queue.dead_letter_ttl, "dead_letter_ttl")
        self._claim = new_nonce()
        #: Keeps the limits of the configuration.
        self.limits = LimitsKeeper(self.runner, self.keys, settings.fairness, _say)

    def pop(self, count: int) -> Popped:
        """Take up to ``count`` tasks. After a lost answer the next pop gets the same tasks again."""
        popped = self.runner.run(self._pop(count))
        self._claim = new_nonce()
        return popped

    def begin_wait(self, line: WaitLine[Popped], count: int, seconds: float) -> None:
        """Start a wait that takes up to ``count`` tasks after the wake-up, or after ``seconds`` without one.

        Nothing else may pop before `receive_wait`. After a lost answer the next pop gets the same tasks.
        """
        own = self.keys.interrupt(self.worker)
        line.begin_wait([self.keys.wake, own], seconds, self._pop(count), clear=own)

    def receive_wait(self, line: WaitLine[Popped], seconds: float) -> Popped:
        """Return the answer of a wait, which may take ``seconds`` to arrive."""
        _, popped = line.receive_wait(seconds)
        self._claim = new_nonce()
        return popped

    def interrupt(self) -> None:
        """End the wait of this worker as soon as possible."""
        self.runner.run(interrupt(self.keys, self.worker))

    def release(self, tasks: Sequence[Released]) -> None:
        """Release tasks, at most a batch of them, if possible now; else others get them when the leases end."""
        if not tasks:
            return
        try:
            self.runner.run(release(self.keys, tasks, result_ttl_ms=self._result_ttl_ms))
        except FairqueError as error:
            log.warning("could not release tasks: others get them when the leases end", error=str(error))

    def request(
        self,
        finished: Sequence[Finished],
        failed: Sequence[Failed],
        count: int,
        reports: Sequence[Reported] = (),
    ) -> Request:
        """Return the calls that report the last progress, then endings, and take up to ``count`` tasks (0: none)."""
        calls: list[Call[Any]] = []
        if reports:
            calls.append(progress(self.keys, reports))
        if finished and not count:
            calls.append(finish(self.keys, finished, result_ttl_ms=self._result_ttl_ms))
        if failed:
            calls.append(self._fail(failed))
        if count:
            calls.append(self._pop(count, finished))
        return Request(calls, bool(reports), bool(finished), bool(failed), count)

    def ask(self, request: Request) -> list[Any]:
        """Send a request in one round trip and return its decoded answers; after a failure it is safe to repeat."""
        decoded = self.runner.run_all(request.calls)
        self.answered(request)
        return decoded

    def answered(self, request: Request) -> None:
        """Note that a request was answered: until then the same one is sent again, with the same effect."""
        if request.count:
            self._claim = new_nonce()

    def exchange(
        self,
        finished: Sequence[Finished],
        failed: Sequence[Failed],
        count: int,
        reports: Sequence[Reported] = (),
    ) -> tuple[Sequence[Ended], Sequence[Ended], Popped | None]:
        """Make a request, and return its answers, see `Request.meaning`."""
        request = self.request(finished, failed, count, reports)
        return request.meaning(self.ask(request))

    def beat(self, held: Sequence[tuple[str, str]]) -> list[Status]:
        """Renew the leases of tasks, given as pairs of id and token."""
        return self.runner.run(beat(self.keys, held, lease_ms=self.lease_ms))

    def progress(self, reports: Sequence[Reported]) -> None:
        """Report the progress of tasks; the queue ignores that of tasks that are no longer held."""
        self.runner.run(progress(self.keys, reports))

    def read_outputs(self, reader: str, task_ids: Sequence[str]) -> list[StoredOutputs]:
        """Read outputs for a task: those of the first of these tasks, up to 4 MiB together, but at least one."""
        return self.runner.run(read_outputs(self.keys, reader, task_ids[:MAX_OUTPUTS]))

    def sweep(self, guard_ms: int) -> Swept | None:
        """Do what is due, unless another worker has within ``guard_ms``; this one may continue at once."""
        return self.runner.run(
            sweep(
                self.keys,
                self.worker,
                guard_ms=guard_ms,
                max_lost_workers=self._max_lost_workers,
                result_ttl_ms=self._result_ttl_ms,
                dead_ttl_ms=self._dead_ttl_ms,
            )
        )

    def read_stats(self) -> QueueStats:
        """Read the numbers of the queue."""
        return self.runner.run(read_stats(self.keys))

    def rouse(self) -> None:
        """Pass on a wake-up that this worker cannot use."""
        self.runner.run(rouse(self.keys))

    def check(self) -> None:
        """Connect, and check that the server and the queue can be used; risks are logged.

        Raises:
            FairqueError: They cannot be used; the error says why.
        """
        # This call reads no records that could be corrupt; a pop sets those aside.
        self.runner.run(rouse(self.keys))
        self.runner.require(self.keys, "worker")
        for finding in findings_of(self.runner.info(), self.runner.settings, WARNED_CHECKS):
            log.warning(f"{finding.what}: {finding.why}", fix=finding.fix)

    def _pop(self, count: int, finished: Sequence[Finished] = ()) -> Call[Popped]:
        return pop(
            self.keys,
            worker=self.worker,
            claim=self._claim,
            count=count,
            lease_ms=self.lease_ms,
            max_lost_workers=self._max_lost_workers,
            result_ttl_ms=self._result_ttl_ms,
            dead_ttl_ms=self._dead_ttl_ms,
            finished=finished,
        )

    def _fail(self, failed: Sequence[Failed]) -> Call[list[Ended]]:
        return fail(self.keys, failed, result_ttl_ms=self._result_ttl_ms, dead_ttl_ms=self._dead_ttl_ms)
