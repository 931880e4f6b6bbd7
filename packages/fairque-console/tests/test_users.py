"""``fairque apply`` and ``fairque users``: limits of a file are applied exactly; users are listed and explained."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from fairque.console.cli import main
from fairque.protocol.calls.limits import ALL_USERS, Setting
from fairque.protocol.calls.users import Configured
from fairque.protocol.config import FairnessSection
from fairque.protocol.model.limits import Limits
from fairque.protocol.service.limits import plan
from fairque.testing.internal import calls

if TYPE_CHECKING:
    from tests.conftest import Bench

Command = Callable[..., Result]

FILE = """
fairness:
  backlog: 1000
  user_defaults: {cap: 50}
  users:
    acme: {weight: 3, cap: 200}
    trial: {rate: 0.5, paused: true}
"""


@pytest.fixture
def command(bench: "Bench", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command on the queue of the test, in a folder with ``limits.yaml``."""
    monkeypatch.chdir(tmp_path)
    Path("limits.yaml").write_text(FILE)
    environ = {"FAIRQUE_REDIS_URL": bench.url, "FAIRQUE_QUEUE_NAME": bench.keys.name}

    def command(*args: str, expected: int = 0) -> Result:
        result = CliRunner().invoke(main, args, env=environ)
        assert result.exit_code == expected, result.output
        return result

    return command


def configured(bench: "Bench") -> Any:
    return dict(bench.runner.run(calls.read_configured(bench.keys)).users)


def set_limits(bench: "Bench", *settings: Setting) -> None:
    bench.runner.run(calls.limit(bench.keys, settings))


def configuration(users: dict[str, Any] | None = None, **fields: Any) -> Configured:
    return Configured(**{"cost_mode": "time", "backlog": None, "users": users or {}, "next": None, **fields})


class TestPlan:
    def test_limits_not_declared_for_a_declared_user_are_removed(self) -> None:
        fairness = FairnessSection(users={"ann": Limits(cap=5)})
        planned = plan(fairness, configuration({"ann": {"cap": 5.0, "rate": 2.0, "weight": 0.5}}))
        assert set(planned.settings) == {Setting("ann", "rate", None), Setting("ann", "weight", None)}
        assert set(planned.changes) == {"user 'ann': rate 2 -> none", "user 'ann': weight 0.5 -> none"}

    @pytest.mark.parametrize(
        ("declared", "before", "expected"),
        [
            (None, True, []),
            (None, False, []),
            (True, False, [Setting("ann", "paused", 1)]),
            (True, True, []),
            (False, True, [Setting("ann", "paused", None)]),
            (False, False, []),
        ],
    )
    def test_a_pause_changes_only_if_it_is_declared(
        self, *, declared: bool | None, before: bool, expected: list[Setting]
    ) -> None:
        fairness = FairnessSection(users={"ann": Limits(paused=declared)})
        assert list(plan(fairness, configuration({"ann": {"paused": 1.0}} if before else {})).settings) == expected

    def test_the_defaults_are_exactly_what_is_declared(self) -> None:
        fairness = FairnessSection(user_defaults=Limits(cap=3))
        planned = plan(fairness, configuration({"": {"cap": 5.0, "backlog": 9.0}}))
        assert set(planned.settings) == {Setting(ALL_USERS, "cap", 3), Setting(ALL_USERS, "backlog", None)}
        assert set(planned.changes) == {"all users: cap 5 -> 3", "all users: backlog 9 -> none"}

    def test_users_that_are_not_declared_are_listed_and_unchanged(self) -> None:
        planned = plan(FairnessSection(), configuration({"": {}, "bob": {"cap": 1.0}, "ann": {"cap": 1.0}}))
        assert (planned.settings, planned.undeclared) == ((), ("ann", "bob"))

    def test_settings_of_the_queue_are_applied_too(self) -> None:
        planned = plan(FairnessSection(cost_mode="count"), configuration(backlog=7))
        assert planned.changes == ("queue: cost_mode time -> count", "queue: backlog 7 -> none")
        assert plan(FairnessSection(cost_mode="count"), configuration(cost_mode="count")).unchanged == 2


class TestApply:
    def test_a_file_is_applied_and_again_changes_nothing(self, bench: "Bench", command: Command) -> None:
        assert command("apply", "limits.yaml").stdout.splitlines() == [
            "queue: backlog none -> 1000",
            "all users: cap none -> 50",
            "user 'acme': weight none -> 3",
            "user 'acme': cap none -> 200",
            "user 'trial': rate none -> 0.5",
            "user 'trial': paused none -> 1",
            "6 changed, 1 unchanged",
        ]
        assert configured(bench) == {
            "": {"cap": 50.0},
            "acme": {"weight": 3.0, "cap": 200.0},
            "trial": {"rate": 0.5, "paused": 1.0},
        }
        assert command("apply", "limits.yaml").stdout == "0 changed, 7 unchanged\n"

    def test_a_dry_run_shows_the_same_and_changes_nothing(self, bench: "Bench", command: Command) -> None:
        output = command("apply", "limits.yaml", "--dry-run").stdout
        assert "user 'acme': cap none -> 200\n" in output
        assert output.endswith("6 would change, 1 unchanged\n")
        assert configured(bench) == {}
        assert bench.client.keys(f"{bench.keys.prefix}*") == []

    def test_the_changes_are_written_as_json_on_request(self, bench: "Bench", command: Command) -> None:
        set_limits(bench, Setting("other", "cap", 7))
        told = json.loads(command("apply", "limits.yaml", "--dry-run", "--json").stdout)
        assert "user 'acme': cap none -> 200" in told["changes"]
        assert "user 'other': has limits but is not declared" in told["notes"][0]
        assert (len(told["changes"]), told["unchanged"], told["removed"], told["dry_run"]) == (6, 1, 0, True)
        applied = json.loads(command("apply", "limits.yaml", "--json").stdout)
        assert applied == {**told, "dry_run": False}

    def test_other_users_keep_their_limits(self, bench: "Bench", command: Command) -> None:
        set_limits(bench, Setting("other", "cap", 7), Setting("acme", "rate", 9))
        output = command("apply", "limits.yaml").stdout
        assert "user 'other': has limits but is not declared, left unchanged (--prune removes them)\n" in output
        assert "user 'acme': rate 9 -> none\n" in output
        assert configured(bench)["other"] == {"cap": 7.0}

    def test_more_limits_than_fit_into_one_call_are_applied(self, bench: "Bench", command: Command) -> None:
        users = "".join(f"    u{number:04}: {{cap: 5, weight: 2}}\n" for number in range(1_200))
        Path("limits.yaml").write_text(f"fairness:\n  users:\n{users}")
        assert command("apply", "limits.yaml").stdout.endswith("2,400 changed, 2 unchanged\n")
        assert command("apply", "limits.yaml").stdout == "0 changed, 2,402 unchanged\n"
        assert bench.client.zcard(f"{bench.keys.prefix}configured") == 1_200

    def test_a_cost_mode_that_cannot_change_now_changes_nothing_at_all(self, bench: "Bench", command: Command) -> None:
        bench.push("f")
        Path("limits.yaml").write_text(f"{FILE}  cost_mode: count\n")
        result = command("apply", "limits.yaml", expected=1)
        assert "change it to 'count' when the queue is empty" in result.stderr
        assert configured(bench) == {}

    def test_all_problems_of_the_file_are_reported_and_nothing_is_changed(
        self, bench: "Bench", command: Command
    ) -> None:
        Path("limits.yaml").write_text("fairness:\n  users:\n    acme:\n      weight: 0\n      cap: many\n")
        result = command("apply", "limits.yaml", expected=78)
        assert "limits.yaml:4: fairness.users.acme.weight: must be a number from 0.01 to 100" in result.stderr
        assert "limits.yaml:5: fairness.users.acme.cap: expected an integer" in result.stderr
        assert configured(bench) == {}

    @pytest.mark.parametrize("text", ["", "worker: {}\n", "fairness:\n"])
    def test_a_file_without_the_section_removes_nothing(self, bench: "Bench", command: Command, text: str) -> None:
        set_limits(bench, Setting(ALL_USERS, "cap", 7))
        Path("limits.yaml").write_text(text)
        result = command("apply", "limits.yaml", expected=78)
        assert "limits.yaml: has neither a section fairness nor schedules: there is nothing to apply" in result.stderr
        assert configured(bench) == {"": {"cap": 7.0}}

    def test_a_file_is_needed(self, command: Command) -> None:
        assert "FILE" in command("apply", expected=2).stderr

    def test_options_select_another_queue(self, bench: "Bench", command: Command) -> None:
        command("apply", "limits.yaml", "--queue", f"{bench.keys.name}-2", "--url", bench.url)
        assert configured(bench) == {}
        keys = bench.client.keys(f"fairque:{{{bench.keys.name}-2}}:*")
        assert keys
        bench.client.delete(*keys)

    def test_the_error_for_an_unreachable_server_is_one_line(self, command: Command) -> None:
        result = command("apply", "limits.yaml", "--url", "unix:///nowhere/server.sock", expected=3)
        assert result.stderr.count("\n") == 1
        assert command("users", "list", "--url", "http://x", expected=78).stderr.count("\n") == 1


class TestList:
    def test_users_are_listed_as_a_table(self, bench: "Bench", command: Command) -> None:
        set_limits(bench, Setting("acme", "weight", 2.5), Setting("acme", "paused", 1))
        for user in ("acme", "acme", "bob"):
            bench.push("f", user=user)
        assert command("users", "list").stdout.splitlines() == [
            "user  weight  waiting  running  served  reason",
            "acme     2.5        2        0   0.000  user_paused",
            "bob        1        1        0   0.000  turn",
        ]

    def test_a_long_list_is_read_page_by_page(self, bench: "Bench", command: Command) -> None:
        for user in ("ann", "bob", "cem"):
            bench.push("f", user=user)
        assert command("users", "list", "--limit", "2").stdout.endswith("more with --after 'bob'\n")
        last = command("users", "list", "--limit", "2", "--after", "bob").stdout.splitlines()
        assert [line.split()[0] for line in last] == ["user", "cem"]

    def test_a_page_is_written_as_json_on_request(self, bench: "Bench", command: Command) -> None:
        set_limits(bench, Setting("acme", "weight", 2.5), Setting("acme", "cap", 7))
        for user in ("acme", "bob"):
            bench.push("f", user=user)
        page = json.loads(command("users", "list", "--limit", "1", "--json").stdout)
        assert page["next"] == "acme"
        (acme,) = page["items"]
        assert (acme["user_id"], acme["weight"], acme["cap"], acme["waiting"]) == ("acme", 2.5, 7, 1)
        assert acme["reason"] == "turn"
        assert datetime.fromisoformat(acme["since"]) <= datetime.fromisoformat(page["read_at"])
        assert page["read_at"].endswith("+00:00")

    def test_prefix_lists_only_ids_that_start_with_it(self, bench: "Bench", command: Command) -> None:
        for user in ("a", "shop", "shop:1", "shop:2", "shoq", "z"):
            bench.push("f", user=user)

        def listed(*args: str) -> list[str]:
            return [line.split()[0] for line in command("users", "list", *args).stdout.splitlines()[1:]]

        assert listed("--prefix", "shop") == ["shop", "shop:1", "shop:2"]
        assert listed("--prefix", "shop:", "--limit", "1") == ["shop:1", "more"]
        assert listed("--prefix", "shop:", "--after", "shop:1") == ["shop:2"]
        assert listed("--prefix", "shop", "--after", "b") == ["shop", "shop:1", "shop:2"]
        assert listed("--prefix", "nobody") == []
        assert "prefix" in command("users", "list", "--prefix", "a\tb", expected=2).stderr

    def test_watch_repeats_until_it_is_interrupted(self, bench: "Bench", command: Command) -> None:
        words = ["users", "list", "--json", "--watch", "0.1", "--url", bench.url, "--queue", bench.keys.name]
        process = subprocess.Popen(  # noqa: S603 - our own words
            [sys.executable, "-u", "-m", "fairque.console", *words], stdout=subprocess.PIPE, text=True
        )
        with process:
            try:
                assert process.stdout is not None
                assert json.loads(process.stdout.readline())["items"] == []
                bench.push("f", user="ann")
                pages = (json.loads(line)["items"] for line in process.stdout)
                assert next(page for page in pages if page)[0]["user_id"] == "ann"
                process.send_signal(signal.SIGINT)
                assert process.wait() == 130
            finally:
                process.kill()
        assert "--watch" not in command("users", "set", "--help").stdout

    def test_an_empty_queue_has_only_the_heading(self, command: Command) -> None:
        assert command("users", "list").stdout == "user  weight  waiting  running  served  reason\n"


class TestExplain:
    def test_a_user_is_explained(self, bench: "Bench", command: Command) -> None:
        set_limits(bench, Setting("acme", "paused", 1), Setting("acme", "rate", 0.5))
        bench.push("f", user="acme")
        lines = command("users", "show", "acme").stdout.splitlines()
        assert lines[0] == "user 'acme' is paused: nothing is started until it is resumed"
        assert lines[1] == "  waiting 1, delayed 0, running 0"
        assert lines[-1] == "  weight 1, cap none, rate 0.5, burst 1, backlog none"

    def test_a_task_is_explained(self, bench: "Bench", command: Command) -> None:
        task_id = bench.push("f", user="acme")
        assert command("tasks", "explain", task_id).stdout.startswith(f"task {task_id} is number 1 of its user: ")

    def test_both_are_written_as_json_on_request(self, bench: "Bench", command: Command) -> None:
        task_id = bench.push("f", user="acme")
        user = json.loads(command("users", "show", "acme", "--json").stdout)
        assert (user["user_id"], user["waiting"], user["cap"]) == ("acme", 1, None)
        task = json.loads(command("tasks", "explain", task_id, "--json").stdout)
        assert (task["ahead_in_user"], task["users_ahead"], task["next_start_at"]) == (0, 0, None)
        assert user["reason"] == task["reason"] == "no_worker"
        for answer in (user, task):
            assert "start a worker" in answer["sentence"]

    def test_an_unknown_user_or_task_is_reported(self, command: Command) -> None:
        assert command("users", "show", "nobody").stdout.startswith("user 'nobody' has no waiting task\n")
        assert "is not known" in command("tasks", "explain", "nothing", expected=5).stderr


class TestSet:
    def test_limits_are_set_and_removed_and_others_stay(self, bench: "Bench", command: Command) -> None:
        assert command("users", "set", "acme", "--cap", "5", "--weight", "2").stdout == "changed\n"
        assert command("users", "set", "acme", "--cap", "none").stdout == "changed\n"
        assert command("users", "set", "acme", "--cap", "none").stdout == "nothing to change\n"
        assert configured(bench) == {"acme": {"weight": 2.0}}
        command("users", "set-defaults", "--backlog", "100")
        assert configured(bench)[""] == {"backlog": 100.0}
        command("users", "reset", "acme")
        assert configured(bench) == {"": {"backlog": 100.0}}

    @pytest.mark.parametrize(
        "words",
        [["set", "acme", "--cap", "5"], ["set-defaults", "--cap", "5"], ["pause", "acme"], ["resume", "acme"]],
        ids=" ".join,
    )
    def test_whether_anything_changed_is_written_as_json_on_request(self, command: Command, words: list[str]) -> None:
        if words[0] == "resume":
            command("users", "pause", "acme")
        answers = [json.loads(command("users", *words, "--json").stdout) for _ in range(2)]
        assert answers == [{"changed": True}, {"changed": False}]

    def test_a_reset_is_written_as_json_on_request(self, command: Command) -> None:
        assert json.loads(command("users", "reset", "acme", "--json").stdout) == {"changed": False}

    def test_a_pause_lasts_until_it_is_resumed(self, bench: "Bench", command: Command) -> None:
        command("users", "pause", "acme")
        assert configured(bench) == {"acme": {"paused": 1.0}}
        command("users", "resume", "acme")
        assert configured(bench) == {}

    def test_wrong_limits_are_refused_and_change_nothing(self, bench: "Bench", command: Command) -> None:
        assert "neither a number nor none" in command("users", "set", "acme", "--cap", "many", expected=2).stderr
        assert "give at least one limit: --weight, --cap, " in command("users", "set", "acme", expected=2).stderr
        assert "cap" in command("users", "set", "acme", "--cap", "0", expected=2).stderr
        assert configured(bench) == {}


class TestCancel:
    def test_all_waiting_tasks_of_a_user_are_canceled(self, bench: "Bench", command: Command) -> None:
        for user in ("ann", "ann", "bob"):
            bench.push("f", user=user)
        assert command("tasks", "cancel", "--user", "ann", "--yes").stdout == "2 canceled\n"
        assert command("users", "list").stdout.splitlines()[1].startswith("bob")

    def test_without_confirmation_nothing_is_canceled(self, bench: "Bench", command: Command) -> None:
        bench.push("f", user="ann")
        assert "Cancel 1 waiting tasks of user 'ann'?" in command("tasks", "cancel", "--user", "ann", expected=1).stdout
        assert "ann" in command("users", "list").stdout

    def test_a_dry_run_only_counts_them(self, bench: "Bench", command: Command) -> None:
        bench.push("f", user="ann")
        assert command("tasks", "cancel", "--user", "ann", "--dry-run").stdout == "1 would be canceled\n"
        assert "ann" in command("users", "list").stdout
        assert "give it with --user" in command("tasks", "cancel", "t", "--dry-run", expected=2).stderr

    def test_what_was_canceled_is_written_as_json_on_request(self, bench: "Bench", command: Command) -> None:
        ids = [bench.push("f") for _ in range(2)]
        one, two = command("tasks", "cancel", *ids, "--json").stdout.splitlines()
        assert json.loads(one) == {"task_id": ids[0], "result": "canceled"}
        assert json.loads(two)["task_id"] == ids[1]
        bench.push("f", user="bob")
        words = ["tasks", "cancel", "--user", "bob", "--json"]
        report = {"matched": 1, "changed": 1, "refused": 0, "scanned": 1}
        assert json.loads(command(*words, "--dry-run").stdout) == {**report, "changed": 0}
        unconfirmed = command(*words, expected=1)
        assert (unconfirmed.stdout, "Cancel 1 waiting tasks" in unconfirmed.stderr) == ("", True)
        assert json.loads(command(*words, "--yes").stdout) == report

    def test_a_task_is_canceled_by_its_id(self, bench: "Bench", command: Command) -> None:
        task_id = bench.push("f")
        assert command("tasks", "cancel", task_id).stdout == f"{task_id}: canceled\n"

    @pytest.mark.parametrize("args", [(), ("t", "--user", "ann")])
    def test_either_tasks_or_a_user_must_be_given(self, command: Command, args: tuple[str, ...]) -> None:
        assert "give IDs of tasks, or a user" in command("tasks", "cancel", *args, expected=2).stderr
