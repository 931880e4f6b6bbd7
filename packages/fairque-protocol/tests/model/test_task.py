"""Task: its options, and how mistakes are reported."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest

from fairque.protocol.errors import InvalidTask
from fairque.protocol.model.dependencies import After
from fairque.protocol.model.retry import Backoff
from fairque.protocol.model.states import Priority
from fairque.protocol.model.task import Task, from_fields

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def resize(url: str, width: int) -> str:
    return f"{url}{width}"


class TestDefaults:
    def test_a_task_has_defaults(self) -> None:
        task: Task[str] = Task()
        assert (task.user_id, task.func, task.args, task.kwargs) == (None, None, (), {})
        assert (task.priority, task.retries, task.timeout_ms) == (None, 2, 3_600_000)
        assert task.created_at > 1_700_000_000_000

    def test_each_task_has_an_id_of_its_own(self) -> None:
        assert Task().task_id != Task().task_id

    def test_a_task_does_not_change(self) -> None:
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            Task().user_id = "ann"  # type: ignore[misc]  # that it is refused is the point

    def test_evolve_returns_a_changed_copy(self) -> None:
        task: Task[str] = Task(task_id="t", args=(1,))
        changed = task.evolve(user_id="ann", timeout=timedelta(minutes=1))
        assert (changed.task_id, changed.args, changed.user_id, task.user_id) == ("t", (1,), "ann", None)
        assert (changed.timeout_ms, changed.created_at) == (60_000, task.created_at)

    def test_a_mistake_in_evolve_is_reported(self) -> None:
        with pytest.raises(InvalidTask, match="not both"):
            Task(delay=1).evolve(at=NOON)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"task_id": ""}, "task_id is empty"),
        ({"task_id": 5}, "task_id must be a string"),
        ({"user_id": ""}, "user_id is empty"),
        ({"user_id": "a\tb"}, "user_id .* has control characters"),
        ({"user_id": "x" * 129}, "user_id .* at most 128"),
        ({"func": ""}, "func is empty"),
        ({"func": 5}, "func must be a string"),
        ({"group_id": ""}, "group_id is empty"),
        ({"priority": 0}, "priority 0 is unknown: choose one of VERY_LOW 1, .*CRITICAL 6"),
        ({"priority": "HIGH"}, "priority 'HIGH' is a string: pass Priority.HIGH"),
        ({"priority": "high"}, "priority 'high' is unknown"),
        ({"delay_ms": -1}, "delay_ms must be a whole number from 0"),
        ({"delay_ms": 1.5}, "delay_ms must be a whole number"),
        ({"delay_ms": True}, "delay_ms must be a whole number"),
        ({"delay_ms": 10**13}, "delay_ms must be a whole number"),
        ({"execute_at": -1}, "execute_at must be a whole number"),
        ({"execute_at": 10**13}, "execute_at must be a whole number"),
        ({"execute_at": 5, "delay_ms": 5}, "not both"),
        ({"retries": -1}, "retries must be a whole number from 0 to 1000"),
        ({"isolation": "fork"}, "isolation must be 'thread' or 'process', not 'fork'"),
        ({"retries": 1001}, "retries must be a whole number from 0 to 1000"),
        ({"backoff": 3}, "backoff must be a Backoff"),
        ({"timeout_ms": 0}, "timeout_ms must be a whole number from 1"),
        ({"timeout_ms": None}, "timeout_ms must be a whole number from 1"),
        ({"dedup_key": ""}, "dedup_key is empty"),
        ({"dedup_key": "k\n"}, "dedup_key .* control characters"),
        ({"dedup_ttl_ms": 5}, "dedup_ttl needs a dedup_key"),
        ({"dedup_key": "k", "dedup_ttl_ms": -1}, "dedup_ttl_ms must be a whole number"),
        ({"depends_on": [""]}, "depends_on is empty"),
        ({"depends_on": [5]}, "depends_on must be a string"),
        ({"cost": -1.0}, "cost must be a number of seconds from 0"),
        ({"cost": float("nan")}, "cost must be a number of seconds from 0"),
        ({"cost": float("inf")}, "cost must be a number of seconds from 0"),
        ({"cost": 1e305}, "cost must be a number of seconds from 0"),
        ({"cost": "cheap"}, "cost must be a number of seconds from 0"),
        ({"cost": True}, "cost must be a number of seconds from 0"),
    ],
)
def test_a_mistake_is_reported_with_the_field(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidTask, match=message):
        from_fields(**fields)


class TestConstructor:
    def test_a_function_is_stored_by_its_place(self) -> None:
        assert Task(func=resize, args=["u"], kwargs={"width": 3}).func == f"{__name__}:resize"

    def test_a_registered_function_is_stored_by_its_name(self) -> None:
        def shrink() -> None: ...

        shrink.task_name = "images.shrink"  # type: ignore[attr-defined]  # what the decorator sets
        assert Task(func=shrink).func == "images.shrink"

    def test_a_name_is_stored_unchanged(self) -> None:
        assert Task(func="images.shrink").func == "images.shrink"

    def test_times_are_seconds_or_timedeltas(self) -> None:
        task = Task(delay=1.5, timeout=timedelta(minutes=1), dedup_key="k", dedup_ttl=2)
        assert (task.delay_ms, task.timeout_ms, task.dedup_ttl_ms) == (1_500, 60_000, 2_000)

    def test_a_time_is_a_datetime_with_a_time_zone(self) -> None:
        assert Task(at=NOON).execute_at == 1_767_355_200_000
        assert Task(at=NOON.astimezone(timezone(timedelta(hours=5)))).execute_at == 1_767_355_200_000

    def test_parents_are_tasks_or_ids_one_or_many(self) -> None:
        parent: Task[str] = Task(task_id="p")
        assert Task(depends_on=parent).depends_on == (After("p"),)
        assert Task(depends_on="q").depends_on == (After("q"),)
        assert Task(depends_on=[parent, "q", "q"]).depends_on == (After("p"), After("q"))
        late = After("r", on_failure="run")
        assert Task(depends_on=late).depends_on == (late,)
        assert Task(depends_on=["q", late]).depends_on == (After("q"), late)

    def test_a_dependency_has_one_policy(self) -> None:
        with pytest.raises(InvalidTask, match="has task q twice"):
            Task(depends_on=["q", After("q", on_failure="run")])
        with pytest.raises(InvalidTask, match="on_failure must be 'cascade' or 'run', not 'stop'"):
            After("q", on_failure="stop")  # type: ignore[arg-type]  # what it refuses

    def test_other_options_are_stored(self) -> None:
        policy = Backoff(base=2)
        task = Task(user_id="ann", priority=Priority.CRITICAL, backoff=policy, cost=1)
        assert (task.user_id, task.priority, task.backoff, task.cost) == ("ann", Priority.CRITICAL, policy, 1)

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"task_id": ""}, "task_id is empty"),
            ({"delay": -1}, "delay must be a number of seconds"),
            ({"delay": float("nan")}, "delay must be a number of seconds"),
            ({"delay": 1e308}, "delay must be a number of seconds"),
            ({"delay": "5"}, "delay must be a number of seconds"),
            ({"delay": True}, "delay must be a number of seconds"),
            ({"timeout": 0}, "timeout must be above 0 s"),
            ({"timeout": timedelta(seconds=-1)}, "timeout must be a number of seconds"),
            ({"dedup_ttl": -1, "dedup_key": "k"}, "dedup_ttl must be a number of seconds"),
            ({"at": datetime(2026, 1, 2, 12)}, "at 2026-01-02T12:00:00 has no time zone"),  # noqa: DTZ001 - the mistake
            ({"at": 1_767_355_200}, "at must be a datetime, not int"),
            ({"at": NOON, "delay": 1}, "not both"),
            ({"func": 5}, "func must be a string"),
        ],
    )
    def test_a_mistake_in_an_option_is_reported(self, fields: dict[str, Any], message: str) -> None:
        with pytest.raises(InvalidTask, match=message):
            Task(**fields)

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"usr_id": "ann"}, "unknown option 'usr_id': did you mean 'user_id'"),
            ({"delay_ms": 5}, "unknown option 'delay_ms': did you mean 'delay'"),
            ({"timeout_ms": 5}, "unknown option 'timeout_ms': did you mean 'timeout'"),
            ({"dedup_ttl_ms": 5}, "unknown option 'dedup_ttl_ms': did you mean 'dedup_ttl'"),
            ({"created_at": 5}, "unknown option 'created_at': there are at, backoff, cost, "),
        ],
    )
    def test_the_error_for_an_unknown_option_suggests_a_known_one(self, fields: dict[str, Any], message: str) -> None:
        with pytest.raises(TypeError, match=message):
            Task(**fields)
        with pytest.raises(TypeError, match=message):
            Task().evolve(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"args": 5}, "args must be a list or tuple of arguments, not 5"),
        ({"args": "abc"}, "args must be a list or tuple of arguments, not 'abc': put it into a list"),
        ({"args": b"abc"}, "args must be a list or tuple of arguments, not b'abc'"),
        ({"args": {"a": 1}}, "args must be a list or tuple of arguments"),
        ({"args": None}, "args must be a list or tuple of arguments, not None"),
        ({"kwargs": [1]}, r"kwargs must be a mapping of names to arguments, not \[1\]"),
        ({"kwargs": "abc"}, "kwargs must be a mapping"),
        ({"kwargs": 0}, "kwargs must be a mapping"),
    ],
)
@pytest.mark.parametrize("make", [Task, from_fields])
def test_arguments_of_the_wrong_shape_are_refused(make: Any, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidTask, match=message):
        make(**fields)


@pytest.mark.parametrize("timeout", [0, 0.0, timedelta(0)])
def test_a_timeout_of_zero_is_refused_in_seconds(timeout: Any) -> None:
    with pytest.raises(InvalidTask, match=r"^timeout must be above 0 s"):
        Task(timeout=timeout)


@pytest.mark.parametrize("option", ["timeout", "delay", "dedup_ttl"])
def test_times_that_are_too_long_are_refused_in_seconds(option: str) -> None:
    with pytest.raises(InvalidTask, match=f"^{option} must be a number of seconds from 0 to 9,007,199,254 "):
        Task(**{"dedup_key": "k", option: 1e10})  # type: ignore[arg-type]  # a name that is not known here


def test_parents_are_tasks_or_ids() -> None:
    with pytest.raises(InvalidTask, match="depends_on must be tasks or ids of tasks, not 5"):
        Task(depends_on=5)  # type: ignore[arg-type]  # that it is refused is the point
