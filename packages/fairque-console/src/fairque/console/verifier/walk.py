"""Walks through the keys, tasks, indexes, users and counters of a queue, and checks them in small calls."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TypeVar

from fairque.console.verifier.report import Report
from fairque.protocol.calls.schedules import read_schedules
from fairque.protocol.calls.verify import (
    Finding,
    verify_counts,
    verify_keys,
    verify_parents,
    verify_places,
    verify_running,
    verify_schedules,
    verify_settings,
    verify_tasks,
    verify_users,
)
from fairque.protocol.errors import ProtocolError
from fairque.protocol.model.dependencies import After
from fairque.protocol.runners import Runner
from fairque.protocol.wire.body import message_in
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.codec import decode_task
from fairque.protocol.wire.keys import QueueKeys

__all__ = ["verify"]

T = TypeVar("T")

# Per call: small enough that other clients wait a few milliseconds at most.
_TASKS = 200
_USERS = 200
_KEYS = 500
# Fewer, since the message of each is read, and its parents have lists of dependents.
_WAITING = 50
_SCHEDULES = 200
# Users whose running tasks are counted: many, since each call counts all running tasks of the queue.
_COUNTING = 10_000

#: Settings with which every other script refuses the queue.
_UNREADABLE = ("meta", "meta schema", "meta needs")
_INDEXES = (b"running", b"delayed", b"deferred", b"kept", b"held", b"dead")
_RINGS = (b"ready", b"fresh", b"critical", b"owe", b"timers", b"users")
_OF_SCHEDULES = (b"schedules", b"due")
_LISTENERS = b"w:"
_LISTS = b"n:"
_OF_USERS = (b"z:", b"c:", b"s:")


def verify(
    runner: Runner,
    keys: QueueKeys,
    fix: bool = False,  # noqa: FBT001, FBT002 - reads well as verify(runner, keys, True)
    *,
    result_ttl_ms: int = 86_400_000,
    dead_ttl_ms: int = 1_209_600_000,
    lease_ms: int = 30_000,
) -> Report:
    """Check all keys of a queue, and optionally fix inconsistencies. Workers can keep running.

    It scans the key space of the server three times and checks a few hundred tasks or users per call; each call is
    atomic. Up to 10,000 running tasks are counted in one call. On a healthy queue it finds and changes nothing, even
    under load.

    Args:
        runner: The runner of the server.
        keys: The queue.
        fix: Whether to fix findings; otherwise nothing is written.
        result_ttl_ms: How long to keep an ended task from now on that had no expiry.
        dead_ttl_ms: As `result_ttl_ms`, for dead letters, including tasks that become one because they are unreadable.
        lease_ms: The lease of a running task that had none: its worker renews it, or the task is reclaimed.

    Raises:
        FairqueError: The server does not answer, or the queue belongs to another version.
    """
    ttls = {"result_ttl_ms": result_ttl_ms, "dead_ttl_ms": dead_ttl_ms}
    walk = _Walk(runner, keys, Report(queue=keys.name, fix=fix), ttls, lease_ms)
    if not walk.settings():
        return walk.report
    walk.keys_and_tasks()
    walk.parents()
    # By now all records are in their indexes; next, remove entries of indexes without a record.
    walk.places()
    walk.schedules()
    # Users last, since they are compared with their tasks.
    walk.users_and_listeners()
    walk.run(verify_counts(keys, fix=fix))
    return walk.report


class _Walk:
    """Reads keys and members of indexes, runs the checks, and collects their findings."""

    def __init__(self, runner: Runner, keys: QueueKeys, report: Report, ttls: Mapping[str, int], lease_ms: int) -> None:
        self.report = report
        self._runner = runner
        self._keys = keys
        self._prefix = keys.prefix.encode()
        self._fix = report.fix
        self._ttls = ttls
        self._lease_ms = lease_ms

    def settings(self) -> bool:
        """Check the settings of the queue; return whether the rest can be checked."""
        self.run(verify_settings(self._keys, fix=self._fix))
        unreadable = [finding for finding in self.report.found if finding.name in _UNREADABLE and not finding.fixed]
        if unreadable:
            what = "everything else, since the settings of the queue cannot be read"
            self.report.add([Finding("unseen", "", what, fixed=False)])
        return not unreadable

    def keys_and_tasks(self) -> None:
        """Check all keys, and the tasks and schedules among them."""
        for names in self._names():
            self.report.keys += len(names)
            # Listeners are checked later: a task may still turn out to be lost, which notifies them.
            self._check_keys(name for name in names if not name.startswith(_LISTENERS))
            self._check_tasks(_after(names, b"t:"))
            self._check_schedules(_after(names, b"schedule:"), strays=False)
        for ids in _chunks(self._runner.scan_fields(self._prefix + b"a"), _TASKS):
            bodies = self._runner.texts([self._prefix + b"t:" + task_id for task_id in ids])
            self._check_tasks(task_id for task_id, body in zip(ids, bodies, strict=True) if body is None)

    def parents(self) -> None:
        """Check whether the endings of parents will reach their dependents."""
        ttl_ms = self._ttls["result_ttl_ms"]
        for ids in _chunks((name for _, name in self._members((b"deferred",))), _WAITING):
            if waiting := list(self._with_parents(ids)):
                self.run(verify_parents(self._keys, waiting, fix=self._fix, result_ttl_ms=ttl_ms))

    def _with_parents(self, ids: Sequence[bytes]) -> Iterator[tuple[bytes, Sequence[After]]]:
        """Yield the tasks whose messages can be read, with their dependencies. Messages never change."""
        bodies = self._runner.texts([self._prefix + b"t:" + task_id for task_id in ids])
        for task_id, body in zip(ids, bodies, strict=True):
            message = body and message_in(body)
            try:
                if message:
                    yield task_id, decode_task(message).depends_on
            except ProtocolError:
                what = "the dependencies of tasks whose messages cannot be read"
                self.report.add([Finding("unseen", task_id.decode(errors="replace"), what, fixed=False)])

    def places(self) -> None:
        """Check the entries of the indexes."""
        for names in self._names():
            self._check_places(self._elements([name for name in names if name.startswith(_LISTS)]))
            self._check_places(self._members([name for name in names if name.startswith(_OF_USERS)]))
        self._check_places(self._members(_INDEXES))
        self._check_keys(b"cfg:" + user for _, user in self._members((b"configured",)))

    def schedules(self) -> None:
        """Check the entries of schedules without a record, and whether all definitions can be read.

        An unreadable definition stays: a newer release may have written it.
        """
        self._check_schedules((name for _, name in self._members(_OF_SCHEDULES)), strays=True)
        reported = {finding.name for finding in self.report.found if finding.kind == "schedule"}
        after = None
        while True:
            try:
                page = self._runner.run(read_schedules(self._keys, after=after, most=_SCHEDULES))
            except ProtocolError:
                return  # a key of the wrong type stays without fix; it has already been reported
            for lost in page.unreadable:
                if lost.schedule_id not in reported:
                    what = f"{lost.problem}. Apply the schedule again, or delete it"
                    self.report.add([Finding("definition", lost.schedule_id, what, fixed=False)])
            after = page.next
            if after is None:
                return

    def users_and_listeners(self) -> None:
        """Check listeners, and all users: those with a record, and entries of users without one."""
        counting: set[bytes] = set()
        for names in self._names():
            self._check_keys(name for name in names if name.startswith(_LISTENERS))
            self._check_users(_after(names, b"n:", b"z:", b"c:"), strays=True)
        counting |= self._check_users(self._runner.scan_fields(self._prefix + b"u"), strays=False)
        self._check_users((user for _, user in self._members(_RINGS)), strays=True)
        for chunk in [*_chunks(counting, _COUNTING)] or [[]]:
            self.run(verify_running(self._keys, chunk, fix=self._fix))

    def run(self, call: Call[list[Finding]]) -> list[bytes]:
        """Send a call and add its findings to the report; return the users whose running tasks must be counted."""
        try:
            findings = self._runner.run(call)
        except ProtocolError as error:
            # Without fix, a key of the wrong type stays and fails further calls; it has already been reported.
            if "WRONGTYPE" not in str(error):
                raise
            self.report.add([Finding("unseen", "", "the data next to a key of the wrong type", fixed=False)])
            return []
        self.report.add(finding for finding in findings if finding.kind != "counts")
        return [finding.name.encode() for finding in findings if finding.kind == "counts"]

    def _check_keys(self, names: Iterable[bytes]) -> None:
        for chunk in _chunks(names, _KEYS):
            self.run(verify_keys(self._keys, chunk, fix=self._fix))

    def _check_tasks(self, ids: Iterable[bytes]) -> None:
        for chunk in _chunks(ids, _TASKS):
            self.run(verify_tasks(self._keys, chunk, fix=self._fix, lease_ms=self._lease_ms, **self._ttls))

    def _check_places(self, places: Iterable[tuple[bytes, bytes]]) -> None:
        for chunk in _chunks(places, _TASKS):
            self.run(verify_places(self._keys, chunk, fix=self._fix, dead_ttl_ms=self._ttls["dead_ttl_ms"]))

    def _check_users(self, users: Iterable[bytes], *, strays: bool) -> set[bytes]:
        """Check users and return those whose running tasks must be counted."""
        counting: set[bytes] = set()
        for chunk in _chunks(users, _USERS):
            counting.update(self.run(verify_users(self._keys, chunk, fix=self._fix, strays=strays)))
        return counting

    def _check_schedules(self, schedules: Iterable[bytes], *, strays: bool) -> None:
        for chunk in _chunks(schedules, _SCHEDULES):
            self.run(verify_schedules(self._keys, chunk, fix=self._fix, strays=strays))

    def _names(self) -> Iterator[list[bytes]]:
        """Yield all keys of the queue without the prefix, page by page."""
        skip = len(self._prefix)
        for page in self._runner.scan(self._prefix.decode()):
            yield [key[skip:] for key in page]

    def _members(self, indexes: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
        """Yield all members of indexes, each with its index."""
        keys = [self._prefix + index for index in indexes]
        return ((key[len(self._prefix) :], member) for key, member in self._runner.scan_indexes(keys))

    def _elements(self, lists: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
        """Yield all elements of lists, each with its list."""
        keys = [self._prefix + name for name in lists]
        return ((key[len(self._prefix) :], element) for key, element in self._runner.scan_lists(keys))


def _after(names: Iterable[bytes], *prefixes: bytes) -> Iterator[bytes]:
    return (name[len(prefixes[0]) :] for name in names if name.startswith(prefixes))


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    remaining = iter(items)
    while chunk := list(islice(remaining, size)):
        yield chunk
