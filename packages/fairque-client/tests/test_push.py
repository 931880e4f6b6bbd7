"""push and push_many: what is stored and what is refused; a refused push stores nothing."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from fairque.client import (
    BatchTooLarge,
    ClientSettings,
    FairqueError,
    InvalidArgument,
    InvalidTask,
    PartialPush,
    QueueSection,
    RedisUnavailable,
    Task,
    TaskConflict,
    TaskQueue,
    TaskState,
    TaskTooLarge,
    task,
)
from fairque.testing.internal import eventually


@task
def resize(url: str, width: int = 100, options: Any = None) -> str:
    return f"{url}{width}{options}"


def test_a_pushed_task_is_queued_for_its_user(queue: TaskQueue) -> None:
    handle = queue.push(resize.options(user_id="bob").task("u"))
    info = handle.info()
    assert (info.state, info.user_id) == (TaskState.QUEUED, "bob")


def test_a_task_without_a_user_gets_the_default_user(queue: TaskQueue) -> None:
    assert queue.push(resize.task("u")).info().user_id == "ann"


@pytest.mark.parametrize(("own", "expected"), [("cem", "cem"), (None, "bob")])
def test_the_user_of_a_push_applies_to_tasks_without_a_user(queue: TaskQueue, own: str | None, expected: str) -> None:
    job = resize.options(user_id=own)
    assert queue.push(job.task("u"), user_id="bob").info().user_id == expected
    (single,) = queue.push_many([job.task("u")], user_id="bob")
    (other,) = queue.push_many([job.task("u")], user_id="bob", chunked=True)
    of_pipeline = queue.push(job.task("u") >> job.task("v"), user_id="bob").tasks.values()
    assert {handle.info().user_id for handle in (single, other, *of_pipeline)} == {expected}


def test_the_user_of_a_push_takes_precedence_over_that_of_a_dependency(queue: TaskQueue) -> None:
    first = queue.push(resize.task("u"), user_id="bob")
    assert queue.push(resize.options(depends_on=first.task_id).task("v")).info().user_id == "bob"
    assert queue.push(resize.options(depends_on=first.task_id).task("v"), user_id="cem").info().user_id == "cem"


def test_an_invalid_user_of_a_push_is_refused(queue: TaskQueue, spy: Any) -> None:
    with pytest.raises(InvalidArgument, match="user_id is empty"):
        queue.push(resize.task("u"), user_id="")
    assert spy.scripts == []


def test_a_delayed_task_is_scheduled(queue: TaskQueue) -> None:
    assert queue.push(resize.options(delay=60).task("u")).state() is TaskState.SCHEDULED


def test_the_same_task_again_is_stored_once(queue: TaskQueue) -> None:
    job = resize.task("u")
    assert queue.push(job).task_id == queue.push(job).task_id
    assert queue.info().totals["pushed"] == 1


def test_the_same_id_with_keys_in_another_order_is_the_same_task(queue: TaskQueue) -> None:
    first = resize.options(task_id="one", payload={"a": 1, "b": [{"c": 2, "d": 3}]}).task("u")
    second = resize.options(task_id="one", payload={"b": [{"d": 3, "c": 2.0}], "a": 1}).task("u")
    assert queue.push(first).task_id == queue.push(second).task_id
    assert [handle.task_id for handle in queue.push_many([second, first])] == ["one", "one"]
    assert queue.info().totals["pushed"] == 1
    with pytest.raises(TaskConflict):
        queue.push(resize.options(task_id="one", payload={"b": [{"d": 2, "c": 3}], "a": 1}).task("u"))


def test_the_same_id_with_other_content_is_a_conflict(queue: TaskQueue) -> None:
    queue.push(resize.options(task_id="one").task("u"))
    with pytest.raises(TaskConflict, match="task one exists with different content"):
        queue.push(resize.options(task_id="one").task("v"))
    assert queue.info().totals["pushed"] == 1


def test_a_deduplicated_push_returns_the_handle_of_the_task_that_holds_the_key(queue: TaskQueue) -> None:
    first = queue.push(resize.options(dedup_key="k").task("u"))
    second = queue.push(resize.options(dedup_key="k").task("other"))
    assert second.task_id == first.task_id
    assert queue.info().totals["pushed"] == 1


def test_many_tasks_are_pushed_in_one_call_and_their_handles_keep_the_order(queue: TaskQueue, spy: Any) -> None:
    jobs = [resize.task(f"u{n}") for n in range(20)]
    assert [handle.task_id for handle in queue.push_many(jobs)] == [job.task_id for job in jobs]
    assert spy.scripts == ["push"]


def test_threads_wait_for_a_free_connection(queue: TaskQueue, in_thread: Any, server: Any) -> None:
    queue.info()
    server.client_pause(300, all=True)
    pushing = [in_thread(lambda: queue.push(resize.task("u"))) for _ in range(150)]
    assert len({thread.outcome().task_id for thread in pushing}) == 150


def test_one_conflict_refuses_the_whole_batch(queue: TaskQueue) -> None:
    queue.push(resize.options(task_id="one").task("u"))
    with pytest.raises(TaskConflict):
        queue.push_many([resize.task("u"), resize.options(task_id="one").task("v")])
    assert queue.info().totals["pushed"] == 1


@pytest.mark.parametrize("chunked", [False, True])
def test_pushing_no_tasks_sends_nothing(queue: TaskQueue, spy: Any, *, chunked: bool) -> None:
    assert queue.push_many([], chunked=chunked) == []
    assert spy.scripts == []


def test_the_error_for_a_task_without_a_user_says_how_to_set_one(settings: ClientSettings) -> None:
    with TaskQueue(ClientSettings(redis=settings.redis, queue=settings.queue)) as queue:
        with pytest.raises(InvalidTask, match=r"no user_id.*options\(user_id=...\).*default_user_id=..."):
            queue.push(resize.task("u"))
        assert queue.info().totals["pushed"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("u", 3, {"a": [1, object()]}),
            r"argument 'options', args\[2\]\['a'\]\[1\] is not a JSON value but builtins.object",
        ),
        (("u", float("nan")), r"argument 'width', args\[1\] is nan"),
        (({1: 2},), r"argument 'url', args\[0\] has the key 1 of type int"),
        ((b"u",), r"argument 'url', args\[0\] is not a JSON value but builtins.bytes"),
    ],
)
def test_an_argument_that_is_not_json_is_named_with_parameter_and_path(
    queue: TaskQueue, spy: Any, arguments: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(InvalidTask, match=message):
        queue.push(resize.task(*arguments))
    assert spy.scripts == []


def test_a_keyword_argument_that_is_not_json_is_named(queue: TaskQueue) -> None:
    with pytest.raises(InvalidTask, match=r"kwargs\['options'\] is not a JSON value"):
        queue.push(resize.task("u", options={1, 2}))


@pytest.mark.parametrize("thing", [resize, "resize", None])
def test_the_error_for_an_object_that_is_not_a_task_says_how_to_create_one(queue: TaskQueue, thing: Any) -> None:
    with pytest.raises(InvalidTask, match=r"only a task can be pushed, not .*function.task"):
        queue.push(thing)


def test_the_error_for_a_list_of_tasks_names_the_calls_that_accept_it(queue: TaskQueue) -> None:
    with pytest.raises(InvalidTask, match=r"not \[.*: push_many\(.*\) takes several tasks, and pipeline\("):
        queue.push([resize.task("u")])  # type: ignore[call-overload]  # what this tests


def test_a_message_above_the_limit_is_refused_before_anything_is_sent(settings: ClientSettings) -> None:
    limits = QueueSection(name=settings.queue.name, message_limit=1_000)
    with TaskQueue(ClientSettings(redis=settings.redis, queue=limits, client=settings.client)) as queue:
        job = resize.task("u" * 1_000)
        with pytest.raises(TaskTooLarge, match="allowed are 1,000") as caught:
            queue.push_many([resize.task("u"), job])
        assert caught.value.task_id == job.task_id
        assert queue.info().totals["pushed"] == 0


def test_a_batch_above_the_limit_is_refused_unless_chunked(queue: TaskQueue) -> None:
    with pytest.raises(BatchTooLarge, match=r"1,001 tasks .* push_many\(tasks, chunked=True\)"):
        queue.push_many(resize.task("u") for _ in range(1_001))
    assert queue.info().totals["pushed"] == 0


def test_too_many_bytes_are_refused_unless_chunked(queue: TaskQueue) -> None:
    large = "u" * 200_000
    with pytest.raises(BatchTooLarge, match=r"bytes: an atomic call takes at most .* push_many\(tasks, chunked=True\)"):
        queue.push_many([resize.task(large) for _ in range(25)])
    assert queue.info().totals["pushed"] == 0


def test_a_chunked_push_accepts_any_number_in_order(queue: TaskQueue, spy: Any) -> None:
    jobs = [resize.task("u") for _ in range(2_100)]
    handles = queue.push_many(iter(jobs), chunked=True)
    assert [handle.task_id for handle in handles] == [job.task_id for job in jobs]
    assert spy.scripts == ["push"] * 3


def test_a_chunked_push_also_splits_by_bytes(queue: TaskQueue, spy: Any) -> None:
    jobs = [resize.task("u" * 200_000) for _ in range(25)]
    handles = queue.push_many(jobs, chunked=True)
    assert [handle.task_id for handle in handles] == [job.task_id for job in jobs]
    assert spy.scripts == ["push"] * 2


def test_a_chunked_push_that_fails_midway_carries_the_handles_so_far(queue: TaskQueue) -> None:
    good = [resize.task("u") for _ in range(1_000)]
    with pytest.raises(PartialPush, match=r"first 1,000 tasks .*not a JSON value") as caught:
        queue.push_many([*good, resize.task(object())], chunked=True)  # type: ignore[arg-type]  # what this tests
    assert [handle.task_id for handle in caught.value.handles] == [job.task_id for job in good]
    assert isinstance(caught.value.__cause__, InvalidTask)
    assert queue.info().totals["pushed"] == 1_000


def test_the_tasks_of_a_failed_chunked_push_can_be_pushed_again(queue: TaskQueue) -> None:
    jobs = [resize.task("u") for _ in range(1_500)]

    def breaks() -> Iterator[Task[str]]:
        yield from jobs[:1_200]
        raise OSError("the file ended early")

    with pytest.raises(PartialPush, match="the file ended early"):
        queue.push_many(breaks(), chunked=True)
    assert len(queue.push_many(jobs, chunked=True)) == 1_500
    assert queue.info().totals["pushed"] == 1_500


def test_a_chunked_push_makes_the_next_chunk_while_the_server_stores_one(queue: TaskQueue, spy: Any) -> None:
    answered: list[int] = []

    def jobs() -> Iterator[Task[str]]:
        for number in range(2_500):
            if number % 1_000 == 0:
                answered.append(len(spy.scripts))
            yield resize.task(str(number))

    assert len(queue.push_many(jobs(), chunked=True)) == 2_500
    assert answered == [0, 0, 1]


def test_a_chunk_is_stored_whatever_the_making_of_the_next_one_waits_for(queue: TaskQueue) -> None:
    def jobs() -> Iterator[Task[str]]:
        yield from (resize.task(str(number)) for number in range(1_000))
        with TaskQueue(queue.settings) as other:
            eventually(lambda: other.info().tasks[TaskState.QUEUED] == 1_000, what="the first chunk")
        yield resize.task("last")

    assert len(queue.push_many(jobs(), chunked=True)) == 1_001


def test_chunked_pushes_that_are_interrupted_leave_room_for_others(queue: TaskQueue) -> None:
    class Interruption(BaseException):
        """As a KeyboardInterrupt."""

    def jobs() -> Iterator[Task[str]]:
        yield from chunk
        raise Interruption

    chunk = [resize.task(str(number)) for number in range(1_000)]
    # More than there may be calls at a time.
    for _ in range(70):
        with pytest.raises(Interruption):
            queue.push_many(jobs(), chunked=True)
    assert queue.push(chunk[0]).task_id == chunk[0].task_id


def test_a_chunked_push_that_stored_nothing_raises_the_error_itself(queue: TaskQueue) -> None:
    with pytest.raises(InvalidTask, match="not a JSON value"):
        queue.push_many([resize.task(object())], chunked=True)  # type: ignore[arg-type]  # what this tests


def test_the_error_for_a_silent_server_says_where_and_what_to_do() -> None:
    with (
        TaskQueue.from_url("redis://:secret@127.0.0.1:1/0", default_user_id="ann") as queue,
        pytest.raises(
            RedisUnavailable, match=r"redis://:\*\*\*@127.0.0.1:1/0 does not answer.*[^.]\. Is it running"
        ) as caught,
    ):
        queue.push(resize.task("u"))
    assert "secret" not in str(caught.value)
    assert ".." not in str(caught.value)


def test_using_a_closed_queue_is_an_error(queue: TaskQueue) -> None:
    handle = queue.push(resize.task("u"))
    queue.close()
    queue.close()
    for use in (lambda: queue.push(resize.task("u")), queue.info, handle.state, handle.result):
        with pytest.raises(FairqueError, match=r"\(.*\) is closed"):
            use()


def test_leaving_the_with_block_closes_the_queue(settings: ClientSettings) -> None:
    with suppress(KeyError), TaskQueue(settings) as queue:
        raise KeyError
    with pytest.raises(FairqueError, match="is closed"):
        queue.info()


def test_the_queue_shows_its_name_and_no_password() -> None:
    assert "secret" not in repr(TaskQueue.from_url("redis://:secret@h/0", queue="q"))
