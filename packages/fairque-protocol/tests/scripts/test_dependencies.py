"""Dependencies: a task starts once all its parents have ended, or is canceled with them; none is left behind."""

import random
from typing import TYPE_CHECKING, Any

import pytest

from fairque.console.verifier import verify
from fairque.protocol.calls.pop import Granted
from fairque.protocol.errors import BatchTooLarge, UnknownDependency
from fairque.protocol.model.dependencies import After
from fairque.protocol.model.states import Priority, TaskState
from fairque.protocol.wire.status import Status
from fairque.testing.internal import calls, only_thorough, packed

if TYPE_CHECKING:
    from tests.scripts.conftest import Bench

S = TaskState


def states(queue: "Bench", *ids: str) -> list[TaskState]:
    return [queue.state(task_id) for task_id in ids]


def end(queue: "Bench", how: str, task_id: str) -> None:
    """End a waiting task in one of the possible ways."""
    if how == "cancel":
        queue.cancel(task_id)
        return
    (granted,) = [t for t in queue.pop(50) if t.task_id == task_id]
    if how == "finish":
        queue.finish(granted)
    elif how == "dead":
        queue.fail(granted, verdict="dead")
    elif how == "cancel itself":
        queue.fail(granted, verdict="cancel")
    elif how == "cancel while it runs":
        queue.cancel(task_id)
        queue.release(granted)
    else:
        queue.advance(30_000)
        assert how == "lost lease"
        queue.sweep(max_lost_workers=1)


FAILURES = ["dead", "cancel", "cancel itself", "cancel while it runs", "lost lease"]


class TestOneParent:
    def test_a_child_waits_for_its_parent_and_then_runs(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="p"), queue.task(task_id="c", depends_on=["p"]))
        assert states(queue, "p", "c") == [S.QUEUED, S.DEFERRED]
        (parent,) = queue.pop(5)
        assert parent.task_id == "p"
        assert queue.pop(5) == ()
        queue.finish(parent)
        assert queue.pop_ids(5) == ["c"]

    @pytest.mark.parametrize("how", FAILURES)
    def test_a_child_is_canceled_with_its_parent_however_that_fails(self, queue: "Bench", how: str) -> None:
        queue.push(queue.task(task_id="p"), queue.task(task_id="c", depends_on=["p"]))
        end(queue, how, "p")
        assert queue.outcome("c") == (S.CANCELED, b'"task p, on which it depends, did not finish"')
        assert not queue.snapshot("deferred", "s:", "pending", "m:c")

    @pytest.mark.parametrize("how", ["finish", *FAILURES])
    def test_a_child_with_on_failure_run_runs_anyway(self, queue: "Bench", how: str) -> None:
        queue.push(queue.task(task_id="p"), queue.task(task_id="c", depends_on=[After("p", on_failure="run")]))
        end(queue, how, "p")
        assert queue.pop_ids(5) == ["c"]

    def test_a_retry_is_not_an_ending(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="p"), queue.task(task_id="c", depends_on=["p"]))
        (parent,) = queue.pop(5)
        queue.fail(parent)
        assert states(queue, "p", "c") == [S.SCHEDULED, S.DEFERRED]

    def test_an_idle_worker_is_woken_for_the_child(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="p"), queue.task(task_id="c", depends_on=["p"]))
        (parent,) = queue.pop(5)
        queue.woken()
        queue.finish(parent)
        assert queue.woken()

    def test_a_child_with_its_own_time_waits_for_that_too(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="p"), queue.task(task_id="c", depends_on=["p"], delay_ms=5_000))
        queue.advance(1_000)
        end(queue, "finish", "p")
        assert states(queue, "c") == [S.SCHEDULED]
        assert queue.snapshot("s:")["s:ann"] == [("c", queue.now_ms + 4_000)]
        queue.advance(4_000)
        assert queue.pop_ids(5) == ["c"]

    def test_a_child_whose_time_has_passed_runs_at_once(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="p"), queue.task(task_id="c", depends_on=["p"], delay_ms=5_000))
        queue.advance(9_000)
        end(queue, "finish", "p")
        assert queue.pop_ids(5) == ["c"]


class TestEarlierParents:
    @pytest.mark.parametrize(
        ("how", "policy", "state"),
        [
            ("finish", "cascade", S.QUEUED),
            ("finish", "run", S.QUEUED),
            ("dead", "run", S.QUEUED),
            ("dead", "cascade", S.CANCELED),
            ("cancel", "cascade", S.CANCELED),
        ],
    )
    def test_a_parent_that_has_ended_is_evaluated_in_the_push(
        self, queue: "Bench", how: str, policy: Any, state: TaskState
    ) -> None:
        queue.push(queue.task(task_id="p"))
        end(queue, how, "p")
        child = queue.task(task_id="c", depends_on=[After("p", on_failure=policy)])
        assert queue.push(child) == [(Status.OK, state, "c")]
        assert not queue.snapshot("deferred")
        assert bool(queue.snapshot("m:c")) == (state is S.QUEUED)
        assert queue.push(child) == [(Status.ALREADY, state, "c")]

    def test_a_parent_that_waits_or_runs_is_waited_for(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="p"))
        queue.push(queue.task(task_id="c1", depends_on=["p"]))
        (parent,) = queue.pop(5)
        queue.push(queue.task(task_id="c2", depends_on=["p"]))
        queue.finish(parent)
        assert queue.pop_ids(5) == ["c1", "c2"]

    def test_an_unknown_parent_refuses_the_whole_push(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="p"))
        before = queue.snapshot()
        with pytest.raises(
            UnknownDependency, match=r"task c depends on task nobody, which queue .* does not know"
        ) as caught:
            queue.push(queue.task(task_id="x"), queue.task(task_id="c", depends_on=["p", "nobody"]))
        assert (caught.value.task_id, caught.value.depends_on) == ("c", "nobody")
        assert queue.snapshot() == before

    def test_a_parent_of_another_queue_is_unknown(self, queue: "Bench", new_queue: Any) -> None:
        other = new_queue()
        other.push(other.task(task_id="p"))
        with pytest.raises(UnknownDependency):
            queue.push(queue.task(task_id="c", depends_on=["p"]))
        other.drop()

    def test_a_deduplicated_parent_is_replaced_with_the_task_that_holds_the_key(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="holder", dedup_key="k"))
        queue.push(queue.task(task_id="p", dedup_key="k"), queue.task(task_id="c", depends_on=["p"]))
        assert states(queue, "c") == [S.DEFERRED]
        end(queue, "finish", "holder")
        assert states(queue, "c") == [S.QUEUED]


class TestManyDependencies:
    def test_a_push_takes_10_000_dependencies(self, queue: "Bench") -> None:
        above = [queue.task() for _ in range(100)]
        below = [queue.task(depends_on=[task.task_id for task in above]) for _ in range(100)]
        queue.push(*below, *above)
        assert len(queue.snapshot("d:")) == 100
        assert {len(lines) for lines in queue.snapshot("d:").values()} == {100}
        queue.finish(*queue.pop(100))
        while queue.stats().deferred:
            queue.sweep()
        assert len(queue.pop_ids(100)) == 100

    def test_a_push_refuses_more_than_10_000_dependencies(self, queue: "Bench") -> None:
        above = [f"p{n}" for n in range(10_001)]
        with pytest.raises(
            BatchTooLarge, match=r"10,001 dependencies: an atomic call takes at most 10,000.* a task between"
        ):
            queue.push(queue.task(depends_on=above))
        queue.push(*(queue.task(task_id=name) for name in above[:200]))
        before = queue.snapshot()
        lines = "".join(f"\nc{name}" for name in above[:200])
        tasks: list[Any] = []
        for number in range(51):
            tasks += [f"c{number}{lines}", packed()]
        assert queue.raw("push", 1_000, 1_000, *tasks)[0] == Status.BAD_ARGS
        assert queue.snapshot() == before

    def test_the_lists_of_dependents_have_their_order(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="p"), queue.task(task_id="c1", depends_on=["p"]))
        queue.push(queue.task(task_id="c2", depends_on=["p"]), queue.task(task_id="c3", depends_on=["p", "c2"]))
        assert queue.snapshot("d:") == {"d:p": ["cc1", "cc2", "cc3"], "d:c2": ["cc3"]}


class TestManyParents:
    def test_a_child_waits_for_the_last_of_them(self, queue: "Bench") -> None:
        queue.fill("ann", 3)
        queue.push(queue.task(task_id="c", depends_on=["t1", "t2", "t3"]))
        first, second, third = queue.pop(3)
        queue.finish(second)
        queue.finish(first)
        assert states(queue, "c") == [S.DEFERRED]
        queue.finish(third)
        assert queue.pop_ids(5) == ["c"]

    def test_the_first_failure_ends_it_and_the_others_change_nothing(self, queue: "Bench") -> None:
        queue.fill("ann", 3)
        queue.push(queue.task(task_id="c", depends_on=["t1", "t2", "t3"]))
        first, second, third = queue.pop(3)
        queue.fail(first, verdict="dead")
        ended = queue.info("c")
        queue.finish(second, third)
        assert queue.info("c") == ended
        assert ended.state is S.CANCELED
        assert not queue.snapshot("pending", "deferred")

    def test_a_failure_propagates_through_the_whole_pipeline(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="t0"))
        queue.push(*(queue.task(task_id=f"t{n}", depends_on=[f"t{n - 1}"]) for n in range(1, 50)))
        end(queue, "dead", "t0")
        assert states(queue, *(f"t{n}" for n in range(1, 50))) == [S.CANCELED] * 49

    def test_a_child_goes_before_tasks_pushed_after_its_pipeline_started(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="p"))
        queue.advance(1_000)
        queue.push(queue.task(task_id="c", depends_on=["p"]), queue.task(task_id="g", depends_on=["c"]))
        (parent,) = queue.pop()
        queue.advance(1_000)
        queue.push(queue.task(task_id="later"))
        queue.finish(parent)
        (child,) = queue.pop()
        assert child.task_id == "c"
        queue.finish(child)
        assert queue.pop_ids(2) == ["g", "later"]

    def test_children_are_charged_to_their_own_user(self, queue: "Bench") -> None:
        queue.push(queue.task("ann", task_id="p"), queue.task("bob", task_id="c", depends_on=["p"]))
        end(queue, "finish", "p")
        assert set(queue.snapshot("n:")) == {"n:bob"}

    def test_a_critical_child_is_critical(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="p"), queue.task(task_id="c", depends_on=["p"], priority=Priority.CRITICAL))
        end(queue, "finish", "p")
        assert set(queue.snapshot("n:", "c:")) == {"c:ann"}


class TestFanOut:
    DEPENDENTS = 1_050

    def test_many_dependents_are_settled_a_limited_number_per_call(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="p"))
        for first in range(0, self.DEPENDENTS, 350):
            queue.push(*(queue.task(task_id=f"c{first + n}", depends_on=["p"]) for n in range(350)))
        (parent,) = queue.pop()
        queue.finish(parent)
        assert queue.stats().deferred == self.DEPENDENTS - 100
        assert queue.woken()
        assert queue.run(queue.pop_call(1)).more
        assert queue.stats().deferred == self.DEPENDENTS - 200
        for _ in range(10):
            queue.sweep()
        assert queue.stats().deferred == 0
        assert not queue.snapshot("pending", "s:")
        assert queue.stats().queued == self.DEPENDENTS - 1

    def test_the_remaining_dependents_are_settled_by_other_calls(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="p"), *(queue.task(task_id=f"c{n}", depends_on=["p"]) for n in range(250)))
        (parent,) = queue.pop()
        queue.fail(parent, verdict="dead")
        queue.advance(1_000)
        while queue.snapshot("pending"):
            assert queue.pop(5) == ()
        assert queue.stats().canceled == 250


class TestControl:
    def test_a_deferred_task_can_be_canceled(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="p"), queue.task(task_id="c", depends_on=["p"]))
        assert queue.cancel("c") == (Status.OK, S.CANCELED)
        assert not queue.snapshot("deferred", "s:")
        end(queue, "finish", "p")
        assert states(queue, "c") == [S.CANCELED]

    def test_a_purge_takes_deferred_tasks_too(self, queue: "Bench") -> None:
        queue.push(queue.task("ann", task_id="p"), queue.task("bob", task_id="c", depends_on=["p"]))
        purged = queue.run(calls.purge(queue.keys, "bob", reason="gone", result_ttl_ms=1_000))
        assert (purged.canceled, purged.left) == (1, 0)
        assert not queue.snapshot("deferred", "s:")

    def test_a_deferred_task_counts_for_the_backlog(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="p"), queue.task(task_id="c", depends_on=["p"]))
        standing = queue.run(calls.read_user(queue.keys, "ann"))
        assert standing.scheduled == 1

    def test_the_explanation_says_what_it_waits_for(self, queue: "Bench") -> None:
        queue.push(queue.task(task_id="p"), queue.task(task_id="c", depends_on=["p"]))
        standing = queue.run(calls.explain(queue.keys, "c"))
        assert (standing.reason, standing.explain()) == ("dependency", "task c waits for the tasks it depends on")


def graph(dice: random.Random, number: int) -> dict[str, list[After]]:
    """Tasks that each depend on some of those before."""
    return {
        f"t{n}": [
            After(f"t{parent}", on_failure=dice.choice(["cascade", "run"]))
            for parent in dice.sample(range(n), k=min(n, dice.choice([0, 0, 1, 1, 2, 3])))
        ]
        for n in range(number)
    }


class Story:
    """A random graph of tasks and what happens to them: failures, cancels, crashes of workers, replayed calls.

    Attributes:
        parents: What each task depends on.
        canceled: The tasks that somebody canceled, not the failure of another one.
    """

    def __init__(self, queue: "Bench", seed: int) -> None:
        self.queue = queue
        self.dice = random.Random(seed)  # noqa: S311 - the same graph each time
        self.parents = graph(self.dice, 40)
        self.canceled: set[str] = set()
        self._tasks = [queue.task(self.dice.choice("ab"), task_id=t, depends_on=p) for t, p in self.parents.items()]
        self._early = self.dice.randint(1, 39)
        self._step = 0
        queue.push(*self._tasks[: self._early])

    def go_on(self) -> bool:
        """Take a random step; return whether anything is left to do."""
        queue, dice = self.queue, self.dice
        self._step += 1
        if self._step == 5:
            queue.push(*self._tasks[self._early :])
            assert {code for code, _, _ in queue.push(*self._tasks)} == {Status.ALREADY}
        for one in queue.pop(dice.randint(1, 4), lease_ms=200):
            assert all(queue.state(parent.task_id).ended for parent in self.parents[one.task_id])
            self._end_somehow(one)
        if dice.random() < 0.05:
            self._cancel(f"t{dice.randrange(self._early)}")
        queue.advance(dice.choice([1, 100, 300]))
        queue.sweep(max_lost_workers=2)
        if self._step % 25 == 7:
            assert verify(queue.runner, queue.keys, fix=True).found == []
        return self._step <= 5 or bool(queue.snapshot("n:", "c:", "delayed", "deferred", "running"))

    def _end_somehow(self, one: Granted) -> None:
        match self.dice.choice(["finish", "finish", "finish", "dead", "retry", "cancel", "vanish"]):
            case "finish":
                self.queue.finish(one)
                self.queue.finish(one)
            case "dead":
                self.queue.fail(one, verdict="dead")
            case "retry":
                self.queue.fail(one, pause_ms=self.dice.choice([0, 100]))
            case "cancel":
                self._cancel(one.task_id)
                self.queue.release(one)
            # Or the worker is gone, and the lease runs out.

    def _cancel(self, task_id: str) -> None:
        self.queue.cancel(task_id)
        self.canceled.add(task_id)


@pytest.mark.parametrize("seed", [*range(8), *only_thorough(*range(8, 25))])
def test_every_task_of_a_random_graph_ends_and_none_before_its_parents(queue: "Bench", seed: int) -> None:
    """Nobody is left behind, every edge has its effect, and in the end all is forgotten."""
    story = Story(queue, seed)
    assert any(not story.go_on() for _ in range(2_000))
    ended = {task_id: queue.state(task_id) for task_id in story.parents}
    assert all(state.ended for state in ended.values())
    for task_id, state in ended.items():
        failed = [p for p in story.parents[task_id] if ended[p.task_id] is not S.FINISHED and p.on_failure == "cascade"]
        assert (state is S.CANCELED) if failed else (state is not S.CANCELED or task_id in story.canceled)
    assert not queue.snapshot("deferred", "pending", "s:", "delayed", "running", "n:", "c:")
    for _ in range(60):
        queue.advance(86_400_000)
        queue.sweep()
    assert {key for key in queue.snapshot() if not key.startswith("claim:")} <= {"meta", "g", "counts", "wake"}


@pytest.mark.parametrize("seed", [*range(25, 28), *only_thorough(*range(28, 35))])
def test_all_calls_may_be_repeated(queue: "Bench", monkeypatch: Any, seed: int) -> None:
    sent: list[Any] = []
    run = queue.run

    def remember(call: Any) -> Any:
        if call.script in {"push", "pop", "finish", "fail", "release", "cancel"}:
            sent.append(call)
        return run(call)

    monkeypatch.setattr(queue, "run", remember)
    story = Story(queue, seed)
    for _ in range(60):
        going_on = story.go_on()
        # It would expire by the clock of the server, which continues during all these calls.
        queue.client.persist(f"{queue.keys.prefix}claim:w1")
        before = told(queue)
        for call in sent:
            # A worker sends its last pop again, and that only until it has the answer.
            if call.script != "pop" or before.get("claim:w1", "").startswith(call.args[1]):
                run(call)
        assert told(queue) == before
        if not going_on:
            break


def told(queue: "Bench") -> dict[str, Any]:
    """All data of the queue, except the counter of refused endings and zeros."""
    found = queue.snapshot()
    found.get("counts", {}).pop("stale", None)
    found["g"] = {name: value for name, value in found["g"].items() if value != "0"}
    return found
