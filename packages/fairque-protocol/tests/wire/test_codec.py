"""The message: every task survives a round trip, and tasks and messages that are invalid are reported."""

import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairque.protocol.errors import InvalidTask, ProtocolError
from fairque.protocol.model.outputs import Output, extract_outputs
from fairque.protocol.model.registry import REGISTRY
from fairque.protocol.model.retry import Backoff
from fairque.protocol.model.states import Priority
from fairque.protocol.model.task import ISOLATIONS, Task, from_fields, with_fields
from fairque.protocol.wire import codec
from fairque.protocol.wire.codec import WIRE_VERSION, decode_task, encode_task

texts = st.text(st.characters(codec="utf-8"))
ids = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30)
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=10)
milliseconds = st.integers(0, 10**12)
parts = st.lists(texts | st.integers(), max_size=2).map(tuple)
outputs = st.builds(Output, ids, st.none() | ids, parts)
with_outputs = st.recursive(
    leaves | outputs,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def tasks(draw: st.DrawFn) -> Task[Any]:
    due = draw(st.sampled_from(["now", "delay", "moment"]))
    dedup_key = draw(st.none() | ids)
    return from_fields(
        task_id=draw(ids),
        user_id=draw(ids),
        func=draw(st.none() | ids),
        args=draw(st.lists(values, max_size=3)),
        kwargs=draw(st.dictionaries(texts, values, max_size=3)),
        payload=draw(values),
        priority=draw(st.sampled_from(Priority)),
        retries=draw(st.integers(0, 1_000)),
        backoff=draw(st.none() | st.builds(Backoff, base=st.floats(0.1, 10))),
        timeout_ms=draw(st.integers(1, 10**12)),
        isolation=draw(st.sampled_from([None, *ISOLATIONS])),
        depends_on=draw(st.lists(ids, max_size=2)),
        delay_ms=draw(milliseconds) if due == "delay" else 0,
        execute_at=draw(milliseconds) if due == "moment" else None,
        dedup_key=dedup_key,
        dedup_ttl_ms=draw(milliseconds) if dedup_key else 0,
        cost=draw(st.none() | st.floats(0, 10**6)),
        group_id=draw(st.none() | ids),
        created_at=draw(milliseconds),
    )


def message(**fields: Any) -> bytes:
    return json.dumps({"v": 1, "id": "t1", "user": "ann", "created_at": 0, **fields}).encode()


@given(tasks())
def test_a_task_survives_a_round_trip(task: Task[Any]) -> None:
    assert decode_task(encode_task(task).data) == task


@given(tasks(), st.lists(with_outputs, max_size=3), st.dictionaries(texts, with_outputs, max_size=3))
def test_outputs_are_restored_to_their_places_and_are_dependencies(
    plain: Task[Any], args: list[Any], kwargs: dict[str, Any]
) -> None:
    task = with_fields(plain, args=args, kwargs=kwargs)
    message = encode_task(task)
    assert decode_task(message.data) == with_fields(task, depends_on=message.parents)
    assert {p.task_id for p in message.parents} == {p.task_id for p in task.depends_on} | {
        one.output.task_id for one in extract_outputs(task.args, task.kwargs)[2]
    }
    assert encode_task(decode_task(message.data)) == message


@given(tasks(), milliseconds)
def test_the_digest_ignores_the_times(task: Task[Any], other: int) -> None:
    later = with_fields(task, created_at=other, delay_ms=other, execute_at=None)
    assert encode_task(later).digest == encode_task(task).digest


@pytest.mark.parametrize(
    "changes",
    [
        {"task_id": "t2"},
        {"user_id": "bob"},
        {"func": "g"},
        {"args": (1,)},
        {"args": (Output("p"),)},
        {"args": (Output("p", "key"),)},
        {"args": (Output("p")[0],)},
        {"kwargs": {"a": 1}},
        {"payload": 0},
        {"payload": False},
        {"priority": Priority.HIGH},
        {"retries": 3},
        {"backoff": Backoff()},
        {"timeout_ms": 5},
        {"isolation": "process"},
        {"depends_on": ("p",)},
        {"dedup_key": "k"},
        {"cost": 0.0},
        {"group_id": "g"},
    ],
    ids=str,
)
def test_the_digest_covers_every_other_field(changes: dict[str, Any]) -> None:
    task: Task[Any] = Task(task_id="t1", user_id="ann", func="f")
    assert encode_task(with_fields(task, **changes)).digest != encode_task(task).digest


def test_a_digest_has_16_hexadecimal_digits() -> None:
    digest = encode_task(Task(user_id="ann")).digest
    assert len(digest) == 16
    assert int(digest, 16) >= 0


def test_defaults_take_no_space() -> None:
    task: Task[Any] = from_fields(task_id="t1", user_id="ann", created_at=7)
    assert encode_task(task).data == b'{"v":1,"id":"t1","user":"ann","created_at":7}'


def test_every_field_of_a_task_is_in_the_message() -> None:
    policy = Backoff(base=2)
    full: dict[str, Any] = {
        "task_id": "t1",
        "user_id": "ann",
        "priority": Priority.HIGH,
        "func": "f",
        "args": (1,),
        "kwargs": {"a": 1},
        "payload": 2,
        "depends_on": ("p",),
        "delay_ms": 0,
        "execute_at": 4,
        "retries": 5,
        "backoff": policy,
        "timeout_ms": 6,
        "isolation": "process",
        "dedup_key": "k",
        "dedup_ttl_ms": 7,
        "cost": 8.0,
        "group_id": "g",
        "created_at": 9,
    }
    assert full.keys() == attrs.fields_dict(Task).keys()
    assert decode_task(encode_task(from_fields(**full)).data) == from_fields(**full)


class TestWhatCannotBeSent:
    def test_a_task_without_a_user(self) -> None:
        with pytest.raises(InvalidTask, match=r"task t1 has no user_id: .*default_user_id"):
            encode_task(Task(task_id="t1"))

    def test_an_argument_that_is_not_json_is_reported_with_parameter_and_path(self) -> None:
        def resize(url: str, sizes: list[Any]) -> None: ...

        name = REGISTRY.register(resize, "test_codec.resize")
        with pytest.raises(InvalidTask) as caught:
            encode_task(Task(task_id="t1", user_id="ann", func=name, args=("u", [1, {"w": {2}}])))
        assert str(caught.value).startswith(
            "task t1 (test_codec.resize): argument 'sizes', args[1][1]['w'] is not a JSON value but builtins.set"
        )

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"func": "unknown:f", "args": ({1},)}, r"task t1 \(unknown:f\): args\[0\] is not a JSON value"),
            ({"args": ({1},)}, r"task t1: args\[0\] is not a JSON value"),
            ({"func": "test_codec.resize", "args": (1, 2, {3})}, r"args\[2\] is not a JSON value"),
            ({"kwargs": {"width": b"1"}}, r"kwargs\['width'\] is not a JSON value but builtins.bytes"),
            ({"kwargs": {1: 2}}, r"kwargs has the key 1"),
            ({"payload": float("nan")}, r"payload is nan"),
            (
                {"payload": [Output("p")]},
                r"payload\[0\] is not a JSON .*Output: outputs of other tasks",
            ),
            ({"args": ({Output("p"): 1},)}, r"args\[0\] has the key Output\(.* of type Output: JSON keys are strings"),
            ({"args": (Output("p"), {"a": {2}})}, r"args\[1\]\['a'\] is not a JSON value but builtins.set"),
            ({"args": ({Output("p")},)}, r"args\[0\] is not a JSON value but builtins.set"),
            (
                {"kwargs": {"rows": Task(task_id="p")}},
                r"kwargs\['rows'\] is not a JSON .*: pass its result, task\.output",
            ),
            ({"args": (Output("p")["\ud800"],)}, r"task t1 cannot be written as JSON"),
            ({"payload": 10**5_000}, r"task t1: payload is a number with more than 4,300 digits"),
        ],
    )
    def test_other_places_are_named_too(self, fields: dict[str, Any], message: str) -> None:
        with pytest.raises(InvalidTask, match=message):
            encode_task(Task(task_id="t1", user_id="ann", **fields))

    @pytest.mark.parametrize("beside", [[], [Output("p")]])
    def test_a_value_that_contains_itself_is_nested_too_deep(self, beside: list[Any]) -> None:
        endless: list[Any] = []
        endless.append(endless)
        with pytest.raises(InvalidTask, match="is nested deeper than 32 levels"):
            encode_task(Task(task_id="t1", user_id="ann", args=[*beside, endless]))


class TestReading:
    def test_unknown_fields_are_ignored(self) -> None:
        data = message(args=[1], invented={"later": True}, retry={"base_seconds": 2, "invented": 1})
        assert decode_task(data) == from_fields(
            task_id="t1",
            user_id="ann",
            priority=Priority.NORMAL,
            args=(1,),
            backoff=Backoff(base=2),
            created_at=0,
        )

    def test_a_newer_version_is_refused_with_the_fix(self) -> None:
        with pytest.raises(ProtocolError, match=r"has version 2, .* reads up to 1: upgrade the workers before"):
            decode_task(message(v=WIRE_VERSION + 1))

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\xff\xfe",
            b"not json",
            b"[]",
            b"5",
            b'"v"',
            b"null",
            b"{}",
            b'{"v":1}',
            b'{"v":"one","id":"t1","user":"ann","created_at":0}',
            message(id=""),
            message(user=None, id=5),
            message(priority=9),
            message(retries=-1),
            message(isolation="moon"),
            message(isolation=[]),
            message(args=5),
            message(retry={"factor": 0}),
            message(retry=5),
            message(execute_at="soon"),
            message(inputs=5),
            message(inputs=[[[0], "p", None, []]]),
            message(args=[1], inputs=[[[], "p", None, []]]),
            message(args=[1], inputs=[[[0, 0], "p", None, []]]),
            message(args=[1], inputs=[[[0], "", None, []]]),
            message(args=[1], inputs=[[[0], "p", "", []]]),
            message(args=[1], inputs=[[[0], "p", None, 5]]),
            message(args=[1], inputs=[[[[0]], "p", None, []]]),
            message(args=[1], inputs=[[[0], "p"]]),
            b"[" * 200_000,
            b'{"v":1,"id":"t1","user":"ann","created_at":0,"args":' + b"[" * 200_000,
        ],
    )
    def test_an_invalid_message_is_reported_and_shown_in_part(self, data: bytes) -> None:
        with pytest.raises(ProtocolError, match="a message cannot be read") as caught:
            decode_task(data)
        assert len(str(caught.value)) < 600

    @given(st.binary(max_size=200))
    def test_no_bytes_raise_another_error(self, data: bytes) -> None:
        with pytest.raises(ProtocolError):
            decode_task(data)


def reordered(value: Any) -> Any:
    """The same JSON value, with the keys of all objects in reverse order."""
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return [reordered(item) for item in value] if isinstance(value, list | tuple) else value


HIGH = Priority.HIGH


class TestTheSameTask:
    @given(tasks())
    def test_keys_in_another_order_have_the_same_digest(self, task: Task[Any]) -> None:
        other = with_fields(
            task, args=reordered(task.args), kwargs=reordered(task.kwargs), payload=reordered(task.payload)
        )
        assert encode_task(other).digest == encode_task(task).digest

    def test_the_message_keeps_the_order_in_which_they_were_passed(self) -> None:
        message = encode_task(Task(task_id="t", user_id="ann", kwargs={"b": 1, "a": {"d": 2, "c": 3}}))
        assert b'"kwargs":{"b":1,"a":{"d":2,"c":3}}' in message.data
        assert list(decode_task(message.data).kwargs) == ["b", "a"]

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({"args": (1.0, [-0.0])}, {"args": [1, (0,)]}),
            ({"args": (1e22,)}, {"args": (10**22,)}),
            ({"cost": 2}, {"cost": 2.0}),
            ({"backoff": Backoff(base=2)}, {"backoff": Backoff(base=2.0)}),
            ({"priority": HIGH, "depends_on": ("b", "a")}, {"priority": HIGH, "depends_on": ("a", "b")}),
            ({"depends_on": ("a", "c", "b")}, {"depends_on": ("a", "b", "c")}),
            ({"depends_on": {"b", "a", "c"}}, {"depends_on": ("a", "b", "c")}),
            ({"kwargs": {"a": Output("p"), "b": Output("q")}}, {"kwargs": {"b": Output("q"), "a": Output("p")}}),
            (
                {"args": ({"x": Output("p"), "y": [Output("q")]},)},
                {"args": ({"y": [Output("q")], "x": Output("p")},)},
            ),
        ],
    )
    def test_equal_values_have_the_same_digest(self, one: dict[str, Any], other: dict[str, Any]) -> None:
        base: Task[Any] = Task(task_id="t", user_id="ann", func="f")
        assert encode_task(with_fields(base, **one)).digest == encode_task(with_fields(base, **other)).digest

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({"args": (1,)}, {"args": (True,)}),
            ({"args": (1,)}, {"args": ("1",)}),
            ({"args": (0,)}, {"args": (None,)}),
            ({"args": ("\u00e9",)}, {"args": ("e\u0301",)}),
            ({"args": (1e30,)}, {"args": (10**30,)}),
            ({"args": ([1, 2],)}, {"args": ([2, 1],)}),
            ({"args": ({"a": 1, "b": 2},)}, {"args": ({"a": 2, "b": 1},)}),
            ({"depends_on": ("a", "b")}, {"depends_on": ("b", "a")}),
        ],
        ids=str,
    )
    def test_other_values_have_another_digest(self, one: dict[str, Any], other: dict[str, Any]) -> None:
        base: Task[Any] = Task(task_id="t", user_id="ann", func="f")
        assert encode_task(with_fields(base, **one)).digest != encode_task(with_fields(base, **other)).digest

    def test_the_user_of_a_task_does_not_depend_on_the_order_of_keys(self) -> None:
        one: Task[Any] = Task(task_id="t", kwargs={"b": Output("q"), "a": Output("p")})
        assert [parent.task_id for parent in encode_task(one).parents] == ["p", "q"]


class TestCommonTasks:
    """Those of a task function, without dependencies: texts and checks that many of them share are not repeated."""

    @given(tasks(), st.lists(values, max_size=3), st.dictionaries(texts, values, max_size=3))
    def test_one_has_the_same_message_as_any_other_task_with_its_fields(
        self, task: Task[Any], args: list[Any], kwargs: dict[str, Any]
    ) -> None:
        common = with_fields(
            task, args=args, kwargs=kwargs, payload=None, depends_on=(), dedup_key=None, dedup_ttl_ms=0
        )
        assert encode_task(common) == codec._encode_any(common, None, None)

    @given(tasks(), ids, values, milliseconds)
    def test_a_message_is_read_like_one_whose_like_was_not_seen_before(
        self, task: Task[Any], other: str, payload: Any, created_at: int
    ) -> None:
        task = with_fields(task, depends_on=())
        later = with_fields(task, task_id=other, user_id=other, args=[1], kwargs={}, payload=payload)
        for seen in (task, later, with_fields(task, created_at=created_at)):
            assert decode_task(encode_task(seen).data) == seen

    @pytest.mark.parametrize(
        "changes",
        [{"retries": True}, {"retries": 3.0}, {"args": {"a": 1}}, {"id": ""}, {"user": "a\n"}, {"user": 5}, {"v": 2}],
        ids=str,
    )
    def test_a_message_that_is_invalid_is_refused_after_a_valid_one_like_it(self, changes: dict[str, Any]) -> None:
        decode_task(message(retries=1))
        decode_task(message(retries=3))
        with pytest.raises(ProtocolError) as caught:
            decode_task(message(**{"retries": 1, **changes}))
        assert "t1" in str(caught.value) or "version 2" in str(caught.value) or changes == {"id": ""}

    def test_tasks_without_arguments_do_not_share_any(self) -> None:
        one, other = decode_task(message(func="f")), decode_task(message(func="f"))
        assert one.kwargs == other.kwargs == {}
        assert one.kwargs is not other.kwargs

    def test_options_that_are_equal_keep_their_form(self) -> None:
        task: Task[Any] = Task(user_id="ann")
        for cost in (1, 1.0, 1):
            assert f'"cost":{cost},'.encode() in encode_task(with_fields(task, cost=cost)).data
