"""The files in config/ are read by the real settings of each process, and production has the defaults."""

from pathlib import Path
from typing import Any

import pytest
from attrs import asdict, frozen

from fairque.client import ClientSettings
from fairque.protocol.config import FairnessSettings, load_settings
from fairque.scheduler import SchedulerSettings
from fairque.client.schedule_checks import all_problems
from fairque.scheduler.declared import DeclaredSchedule, schedules_of
from fairque.worker import WorkerSettings

FOLDER = Path(__file__).parents[1] / "config"
FILES = ["development", "production", "test"]
ENVIRON = {"REDIS_URL": "redis://localhost:6379/0"}


@frozen(kw_only=True)
class Fairness:
    fairness: FairnessSettings


@frozen(kw_only=True)
class Schedules:
    schedules: dict[str, DeclaredSchedule]


def load(name: str, kind: type) -> Any:
    return load_settings(FOLDER / f"{name}.yaml", kind, environ=ENVIRON)


@pytest.mark.parametrize("kind", [ClientSettings, WorkerSettings, SchedulerSettings, Fairness, Schedules])
@pytest.mark.parametrize("name", FILES)
def test_every_key_of_the_files_is_known(name: str, kind: type) -> None:
    assert isinstance(load(name, kind), kind)


@pytest.mark.parametrize("name", FILES)
def test_every_section_belongs_to_one_of_these(name: str) -> None:
    lines = (FOLDER / f"{name}.yaml").read_text().splitlines()
    assert {line.partition(":")[0] for line in lines if line[:1].isalpha()} == {
        "redis",
        "queue",
        "client",
        "worker",
        "scheduler",
        "fairness",
        "schedules",
    }


def values(settings: Any) -> dict[str, Any]:
    found = asdict(settings)
    # Made again by each process.
    for section in ("worker", "scheduler"):
        found.get(section, {}).pop("name", None)
    return found


@pytest.mark.parametrize("kind", [ClientSettings, WorkerSettings, SchedulerSettings])
def test_production_has_the_defaults(kind: type) -> None:
    assert values(load("production", kind)) == values(kind())


def test_production_limits_nobody() -> None:
    assert load("production", Fairness).fairness == FairnessSettings()


@pytest.mark.parametrize("name", FILES)
def test_the_schedule_in_the_comments_is_one(name: str, tmp_path: Path) -> None:
    text = (FOLDER / f"{name}.yaml").read_text()
    example = "\n".join(line.removeprefix("#") for line in text.splitlines() if line.startswith("#   "))
    (tmp_path / "file.yaml").write_text(f"schedules:\n{example}\n")
    (schedule,) = schedules_of(load_settings(tmp_path / "file.yaml", Schedules).schedules)
    assert not all_problems(schedule, ())
    assert (schedule.schedule_id, schedule.cron, schedule.args) == ("nightly", "0 3 * * *", ("daily",))
