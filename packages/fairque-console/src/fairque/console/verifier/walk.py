"""The way of a verification through a queue: keys, tasks, indexes, users, counters, some of each in a call."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TypeVar

from fairque.console.verifier.report import Report
from fairque.protocol.calls.verify import (
    Found,
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
from fairque.protocol.wire.call import Call
from fairque.protocol.wire.codec import decode_task
from fairque.protocol.wire.keys import QueueKeys

__all__ = ["verify"]

T = TypeVar("T")

# So many in a call that others wait a few milliseconds for it at most.
_TASKS = 200
_USERS = 200
_KEYS = 500
# Few, since each has a message to read, and its parents have lists of their dependents.
_WAITING = 50
_SCHEDULES = 200
# Users whose records count running tasks: in one call, since each counts all running tasks of the queue.
_COUNTING = 10_000

_INDEXES = (b"running", b"delayed", b"deferred", b"kept", b"held", b"dead")
_RINGS = (b"ready", b"fresh", b"critical", b"owe", b"timers", b"users")
_OF_SCHEDULES = (b"schedules", b"due")
_LISTENERS = b"w:"
_OF_USERS = (b"n:", b"c:", b"s:")


def verify(
    runner: Runner,
    keys: QueueKeys,
    fix: bool = False,  # noqa: FBT001, FBT002 - the one thing that is asked of it
    *,
    result_ttl_ms: int = 86_400_000,
    dead_ttl_ms: int = 1_209_600_000,
    lease_ms: int = 30_000,
) -> Report:
    """Look at all keys of a queue, and at request fix what does not fit together. Workers may continue meanwhile.

    It scans the key space of the server three times and looks at some hundred tasks or users in a call, each call
    atomic. The running tasks, up to 10,000, are counted in one call. On a healthy queue it finds nothing and changes
    nothing, under load, too.

    Args:
        runner: Of the server.
        keys: The queue.
        fix: Whether to fix what is found; without it nothing is written.
        result_ttl_ms: How long an ended task is kept from now on that would never have been forgotten.
        dead_ttl_ms: The same for a dead letter, and for a task that becomes one since it cannot be read.
        lease_ms: The lease of a running task that had none: its worker renews it, or others take the task back.

    Raises:
        FairqueError: The server cannot be asked, or the queue belongs to another version.
    """
    ttls = {"result_ttl_ms": result_ttl_ms, "dead_ttl_ms": dead_ttl_ms}
    walk = _Walk(runner, keys, Report(queue=keys.name, fix=fix), ttls, lease_ms)
    if not walk.settings():
        return walk.report
    walk.keys_and_tasks()
    walk.parents()
    # What was put back by now stands where it belongs; then what stands where it does not.
    walk.places()
    walk.schedules()
    # Users last, since they are compared with their tasks.
    walk.users_and_listeners()
    walk.ask(verify_counts(keys, fix=fix))
    return walk.report


class _Walk:
    """Reads names and members from the server, and takes down what the calls find."""

    def __init__(self, runner: Runner, keys: QueueKeys, report: Report, ttls: Mapping[str, int], lease_ms: int) -> None:
        self.report = report
        self._runner = runner
        self._keys = keys
        self._prefix = keys.prefix.encode()
        self._fix = report.fix
        self._ttls = ttls
        self._lease_ms = lease_ms

    def settings(self) -> bool:
        """Look at what is kept of the queue as a whole; return whether the rest can be looked at."""
        self.ask(verify_settings(self._keys, fix=self._fix))
        unreadable = [one for one in self.report.found if one.name in ("meta", "meta schema") and not one.fixed]
        if unreadable:
            what = "all else, since the settings of the queue cannot be read"
            self.report.add([Found("unseen", "", what, fixed=False)])
        return not unreadable

    def keys_and_tasks(self) -> None:
        """Look at all keys, and at the tasks and schedules among them."""
        for names in self._names():
            self.report.keys += len(names)
            # A task may still turn out to be lost, and then those are told who wait for it.
            self._look_at_keys(name for name in names if not name.startswith(_LISTENERS))
            for ids in _chunks(_after(names, b"t:"), _TASKS):
                self.ask(
                    verify_tasks(self._keys, ids, fix=self._fix, lease_ms=self._lease_ms, **self._ttls),
                )
            self._look_at_schedules(_after(names, b"schedule:"), strays=False)

    def parents(self) -> None:
        """Look whether the tasks that wait for others will be told of their ends."""
        ttl_ms = self._ttls["result_ttl_ms"]
        for ids in _chunks((name for _, name in self._members((b"deferred",))), _WAITING):
            if waiting := list(self._with_parents(ids)):
                self.ask(verify_parents(self._keys, waiting, fix=self._fix, result_ttl_ms=ttl_ms))

    def _with_parents(self, ids: Sequence[bytes]) -> Iterator[tuple[bytes, Sequence[After]]]:
        """The tasks whose messages can be read, each with what it depends on: nobody ever changes a message."""
        for task_id, message in zip(ids, self._runner.texts([self._prefix + b"m:" + one for one in ids]), strict=True):
            try:
                if message is not None:
                    yield task_id, decode_task(message).depends_on
            except ProtocolError:
                what = "what tasks wait for whose messages cannot be read"
                self.report.add([Found("unseen", task_id.decode(errors="replace"), what, fixed=False)])

    def places(self) -> None:
        """Look at what stands in the indexes."""
        for names in self._names():
            self._look_at_places(self._members([name for name in names if name.startswith(_OF_USERS)]))
        self._look_at_places(self._members(_INDEXES))
        self._look_at_keys(b"cfg:" + user for _, user in self._members((b"configured",)))

    def schedules(self) -> None:
        """Look at the schedules that stand somewhere without a record."""
        self._look_at_schedules((name for _, name in self._members(_OF_SCHEDULES)), strays=True)

    def users_and_listeners(self) -> None:
        """Look at who waits for tasks, and at all users: those with a record, and those that only stand somewhere."""
        counting: set[bytes] = set()
        for names in self._names():
            self._look_at_keys(name for name in names if name.startswith(_LISTENERS))
            counting |= self._look_at_users(_after(names, b"u:"), strays=False)
            self._look_at_users(_after(names, b"n:", b"c:"), strays=True)
        self._look_at_users((user for _, user in self._members(_RINGS)), strays=True)
        for some in [*_chunks(counting, _COUNTING)] or [[]]:
            self.ask(verify_running(self._keys, some, fix=self._fix))

    def ask(self, call: Call[list[Found]]) -> list[bytes]:
        """Send a call and take down what it found; return the users that it named to be looked at further."""
        try:
            found = self._runner.run(call)
        except ProtocolError as error:
            # Without fix, a key of the wrong type stays and is met again; it has been reported as such.
            if "WRONGTYPE" not in str(error):
                raise
            self.report.add([Found("unseen", "", "what stands beside a key of the wrong type", fixed=False)])
            return []
        self.report.add(one for one in found if one.kind != "counts")
        return [one.name.encode() for one in found if one.kind == "counts"]

    def _look_at_keys(self, names: Iterable[bytes]) -> None:
        for some in _chunks(names, _KEYS):
            self.ask(verify_keys(self._keys, some, fix=self._fix, dead_ttl_ms=self._ttls["dead_ttl_ms"]))

    def _look_at_places(self, places: Iterable[tuple[bytes, bytes]]) -> None:
        for some in _chunks(places, _TASKS):
            self.ask(verify_places(self._keys, some, fix=self._fix, dead_ttl_ms=self._ttls["dead_ttl_ms"]))

    def _look_at_users(self, users: Iterable[bytes], *, strays: bool) -> set[bytes]:
        """Return those of them whose records count running tasks."""
        counting: set[bytes] = set()
        for some in _chunks(users, _USERS):
            counting.update(self.ask(verify_users(self._keys, some, fix=self._fix, strays=strays)))
        return counting

    def _look_at_schedules(self, schedules: Iterable[bytes], *, strays: bool) -> None:
        for some in _chunks(schedules, _SCHEDULES):
            self.ask(verify_schedules(self._keys, some, fix=self._fix, strays=strays))

    def _names(self) -> Iterator[list[bytes]]:
        """All keys of the queue, page by page, by what follows the prefix."""
        skip = len(self._prefix)
        for page in self._runner.scan(self._prefix.decode()):
            yield [key[skip:] for key in page]

    def _members(self, indexes: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
        """All members of indexes, each with its index."""
        keys = [self._prefix + index for index in indexes]
        return ((key[len(self._prefix) :], member) for key, member in self._runner.scan_indexes(keys))


def _after(names: Iterable[bytes], *prefixes: bytes) -> Iterator[bytes]:
    return (name[len(prefixes[0]) :] for name in names if name.startswith(prefixes))


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
