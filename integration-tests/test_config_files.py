"""The files in config/ are read by the real settings of each process, and production has the defaults."""

from pathlib import Path
from typing import Any

import pytest
from attrs import asdict, frozen

from fairque.client import ClientSettings
from fairque.protocol.config import FairnessSettings, load_settings
from fairque.worker import WorkerSettings

FOLDER = Path(__file__).parents[1] / "config"
FILES = ["development", "production", "test"]
ENVIRON = {"REDIS_URL": "redis://localhost:6379/0"}


@frozen(kw_only=True)
class Fairness:
    fairness: FairnessSettings


def load(name: str, kind: type) -> Any:
    return load_settings(FOLDER / f"{name}.yaml", kind, environ=ENVIRON)


@pytest.mark.parametrize("kind", [ClientSettings, WorkerSettings, Fairness])
@pytest.mark.parametrize("name", FILES)
def test_every_key_of_the_files_is_known(name: str, kind: type) -> None:
    assert isinstance(load(name, kind), kind)


@pytest.mark.parametrize("name", FILES)
def test_every_section_belongs_to_one_of_these(name: str) -> None:
    lines = (FOLDER / f"{name}.yaml").read_text().splitlines()
    assert {line.rstrip(":") for line in lines if line[:1].isalpha()} == {
        "redis",
        "queue",
        "client",
        "worker",
        "fairness",
    }


def values(settings: Any) -> dict[str, Any]:
    found = asdict(settings)
    # Made anew by each process.
    found.get("worker", {}).pop("name", None)
    return found


@pytest.mark.parametrize("kind", [ClientSettings, WorkerSettings])
def test_production_has_the_defaults(kind: type) -> None:
    assert values(load("production", kind)) == values(kind())


def test_production_limits_nobody() -> None:
    assert load("production", Fairness).fairness == FairnessSettings()
