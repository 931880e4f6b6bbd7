"""``fairque schedules``: schedules are shown and controlled."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import redis
from click.testing import CliRunner, Result

from fairque.client import TaskQueue, TaskState
from fairque.console.cli import main
from fairque.protocol.model.task import Task
from fairque.scheduler import Priority, Schedule, TaskScheduler

if TYPE_CHECKING:
    from tests.conftest import Bench

Command = Callable[..., Result]


@pytest.fixture
def command(bench: "Bench") -> Command:
    environ = {"FAIRQUE_REDIS_URL": bench.url, "FAIRQUE_QUEUE_NAME": bench.keys.name}

    def command(*args: str, expected: int = 0) -> Result:
        result = CliRunner().invoke(main, ["schedules", *args], env=environ)
        assert result.exit_code == expected, result.output
        return result

    return command


def declare(bench: "Bench", start: datetime | None = None) -> None:
    nightly = Schedule("nightly", Task(func="shop:report", user_id="acme"), cron="0 3 * * *", timezone="Europe/Berlin")
    often = Schedule(
        "often",
        Task(func="shop:report", user_id="acme", args=[1, {"a": None}], priority=Priority.HIGH),
        every=0.5,
        start=start,
    )
    with TaskScheduler.from_url(bench.url, queue=bench.keys.name) as scheduler:
        scheduler.schedules.apply([nightly, often])


def test_prefix_lists_only_ids_that_start_with_it(bench: "Bench", command: Command) -> None:
    task = Task(func="shop:report", user_id="acme")
    with TaskScheduler.from_url(bench.url, queue=bench.keys.name) as scheduler:
        for name in ("a", "mail", "mail:1", "mail:2", "main", "z"):
            scheduler.schedules.add(Schedule(name, task, cron="@daily"))

    def listed(*args: str) -> tuple[list[str], str | None]:
        page = json.loads(command("list", "--json", *args).stdout)
        return [item["schedule_id"] for item in page["items"]], page["next"]

    assert listed("--prefix", "mail") == (["mail", "mail:1", "mail:2"], None)
    assert listed("--prefix", "mail:", "--limit", "1") == (["mail:1"], "mail:1")
    assert listed("--prefix", "mail:", "--after", "mail:1") == (["mail:2"], None)
    assert listed("--prefix", "nothing") == ([], None)


def test_a_schedule_is_fired_in_addition_to_its_runs(bench: "Bench", command: Command) -> None:
    declare(bench, start=datetime(2100, 1, 1, tzinfo=UTC))
    task_id = command("fire", "often").stdout.strip()
    with TaskQueue.from_url(bench.url, queue=bench.keys.name) as queue:
        info = queue.task(task_id).info()
    assert (info.state, info.user_id, info.priority) == (TaskState.QUEUED, "acme", Priority.HIGH)
    assert json.loads(command("show", "often", "--json").stdout)["fired"] == 0
    assert "nobody" in command("fire", "nobody", expected=5).stderr


def test_what_a_command_changed_is_written_as_json_on_request(bench: "Bench", command: Command) -> None:
    declare(bench, start=datetime(2100, 1, 1, tzinfo=UTC))
    task_id = json.loads(command("fire", "often", "--json").stdout)["task_id"]
    with TaskQueue.from_url(bench.url, queue=bench.keys.name) as queue:
        assert queue.task(task_id).state() is TaskState.QUEUED
    for name in ("pause", "resume", "delete"):
        answers = [json.loads(command(name, "often", "--json").stdout) for _ in range(2 if name != "resume" else 1)]
        assert answers == [{"changed": True}, {"changed": False}][: len(answers)]


def test_schedules_are_listed(bench: "Bench", command: Command) -> None:
    declare(bench, start=datetime(2100, 1, 1, tzinfo=UTC))  # so that none is overdue, however slow this is
    head, first, second, leads = command("list").stdout.splitlines()
    assert head.split() == ["schedule", "when", "zone", "state", "next", "last", "fired", "missed", "skipped"]
    assert leads == "no scheduler leads; 2 schedules, 0 overdue"
    assert first.startswith("nightly   0 3 * * *    Europe/Berlin  on     ")
    assert "often     every 0.5 s  UTC" in second
    assert "more with --after 'nightly'" in command("list", "--limit", "1").stdout
    (row,) = json.loads(command("list", "--after", "nightly", "--json").stdout)["items"]
    assert (row["schedule_id"], row["every"], row["task"]["args"]) == ("often", 0.5, [1, {"a": None}])


def test_an_unreadable_schedule_is_listed_with_the_others(bench: "Bench", command: Command) -> None:
    declare(bench)
    key = f"{bench.keys.prefix}schedule:often"
    with redis.Redis.from_url(bench.url) as raw:
        record: Any = raw.get(key)
        raw.set(key, record.replace(b'"v":1', b'"v":9'))
    _, first, second, _ = command("list").stdout.splitlines()
    assert first.startswith("nightly ")
    assert second.startswith("schedule 'often': it has version 9")
    listed = json.loads(command("list", "--json").stdout)
    assert [row["schedule_id"] for row in listed["items"]] == ["nightly"]
    assert len(listed["problems"]) == 1
    assert "'often'" in listed["problems"][0]


def test_upcoming_shows_the_next_runs_of_a_schedule(bench: "Bench", command: Command) -> None:
    declare(bench)
    rows = command("upcoming", "nightly", "-n", "3").stdout.splitlines()
    assert len(rows) == 4
    assert all(" 03:00:00.000+0" in row for row in rows[1:])
    assert "has no schedule 'nighty'" in command("upcoming", "nighty", expected=5).stderr


def test_upcoming_shows_the_schedules_that_are_due_next(bench: "Bench", command: Command) -> None:
    assert command("upcoming").stdout == "no runs\n"
    declare(bench)
    runs = json.loads(command("upcoming", "--json").stdout)
    assert [run["schedule_id"] for run in runs] == ["often", "nightly"]


def test_a_schedule_is_shown_paused_resumed_and_deleted(bench: "Bench", command: Command) -> None:
    declare(bench)
    assert json.loads(command("show", "nightly", "--json").stdout)["cron"] == "0 3 * * *"
    assert "Europe/Berlin" in command("show", "nightly").stdout
    assert command("pause", "nightly").stdout == "paused\n"
    assert command("pause", "nightly").stdout == "it was already paused\n"
    assert command("resume", "nightly").stdout == "resumed\n"
    assert command("delete", "nightly").stdout == "deleted\n"
    assert command("delete", "nightly").stdout == "it did not exist\n"
    assert "has no schedule 'nightly'" in command("show", "nightly", expected=5).stderr
