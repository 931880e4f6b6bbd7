"""Errors and signals can be pickled and copied, as multiprocessing does, with their text and attributes."""

import copy
import importlib
import inspect
import pickle
import pkgutil
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import attrs
import pytest

import fairque.protocol
from fairque.protocol.errors import Copyable, ErrorInfo, FairqueError, PartialPush, RedisUnavailable, TaskFailed
from fairque.protocol.model.retry import Cancel, Retry, Snooze
from fairque.protocol.reasons import CancelCause, DeadReason

#: A value for each parameter of the constructors.
VALUES: dict[str, Any] = {
    "after": 2,
    "argument": "order",
    "cause": CancelCause.REQUESTED,
    "close": ["m:g"],
    "denied": True,
    "depends_on": "t0",
    "end": "it was killed",
    "error": ErrorInfo("ValueError", "bad", "a traceback"),
    "found": "2",
    "handles": [],
    "limit": 1_000,
    "message": "what happened",
    "modules": ["m"],
    "name": "m:f",
    "needs": "groups",
    "temporary": False,
    "problems": ["one", "two"],
    "queue": "default",
    "reason": "why",
    "retry_after": 1.5,
    "revision": 3,
    "schedule_id": "nightly",
    "scope": "user",
    "seconds": 2.5,
    "size": 2_000,
    "supported": 1,
    "task_id": "t1",
    "why": "Start it",
}


def pickled(protocol: int, error: Any) -> Any:
    return pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - our own


WAYS: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{f"pickle {protocol}": partial(pickled, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)},
}


def below(kind: type[Copyable]) -> Iterator[type[Copyable]]:
    for sub in kind.__subclasses__():
        yield sub
        yield from below(sub)


for module in pkgutil.walk_packages(fairque.protocol.errors.__path__, "fairque.protocol.errors."):
    importlib.import_module(module.name)
KINDS = sorted(
    {kind for kind in below(Copyable) if kind.__module__.startswith("fairque.protocol.")},
    key=lambda kind: kind.__name__,
)


def example(kind: type[Copyable]) -> Copyable:
    """An error of the class, with a value for each parameter of its constructor."""
    if not any("__init__" in vars(base) for base in kind.__mro__ if issubclass(base, Copyable)):
        return kind("what happened")
    values = {name: VALUES[name] for name in inspect.signature(kind).parameters}
    if kind is PartialPush:
        values["cause"] = ValueError("bad")
    if kind is TaskFailed:
        values["reason"] = DeadReason.RETRIES
    return kind(**values)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_of_an_error_has_its_text_and_attributes(
    kind: type[Copyable], way: Callable[[Copyable], Copyable]
) -> None:
    error = example(kind)
    error.add_note("a note")
    copied = way(error)
    assert type(copied) is kind
    assert (str(copied), copied.args, vars(copied)) == (str(error), error.args, vars(error))


def test_all_errors_and_signals_are_tried() -> None:
    assert {FairqueError, TaskFailed, RedisUnavailable, Retry, Snooze, Cancel} <= set(KINDS)


class Busy(Retry):
    def __init__(self, server: str, *, load: float) -> None:
        self.load = load
        super().__init__(f"{server} is busy", after=load * 10)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_a_copy_of_an_error_of_a_user_has_its_text_and_attributes(way: Callable[[Copyable], Copyable]) -> None:
    copied = way(Busy("db", load=0.5))
    assert str(copied) == "db is busy"
    assert vars(copied) == {"load": 0.5, "after": 5.0}


@attrs.frozen
class Handle:
    task_id: str

    def __reduce__(self) -> str:
        raise TypeError("it has a connection")


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_a_copy_of_a_partial_push_has_the_ids_of_its_tasks_but_no_handles(way: Callable[[Copyable], Copyable]) -> None:
    error = PartialPush([Handle("a"), Handle("b")], ValueError("bad"))
    copied = way(error)
    assert isinstance(copied, PartialPush)
    assert (copied.task_ids, copied.handles, str(copied)) == (("a", "b"), (), str(error))
