"""The programs of the benchmarks, at the smallest size: they run, and compute what they say."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parent / "benchmarks"


def _run(*words: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "bench.py"), *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **variables},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import a module of the benchmarks, which are programs in a folder of their own."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))

    def imported(name: str) -> ModuleType:
        return importlib.import_module(name)

    return imported


def _results(load: Any, runs: dict[tuple[str, str], list[dict[str, float]]]) -> Any:
    figures, sides = load("figures"), load("sides")
    names = dict.fromkeys(side for _, side in runs)
    return figures.Results(
        [sides.Side(name, "fairque", Path(sys.executable), "1") for name in names],
        [figures.Workload(name, name, lambda _side, _scale: {}) for name in dict.fromkeys(name for name, _ in runs)],
        runs,
    )


@pytest.mark.parametrize(
    ("workload", "names"),
    [
        ("drain", {"tasks a second"}),
        ("sleeps", {"wall / ideal"}),
        ("push", {"tasks a second"}),
        ("push-bulk", {"tasks a second"}),
        ("latency", {"start p50 ms", "result p50 ms"}),
        ("memory", {"bytes a waiting task", "more a running task"}),
        ("computing", {"ratio to threads"}),
        ("idle", {"MiB (PSS)"}),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
@pytest.mark.thorough
def test_a_workload_measures_its_figures(tmp_path: Path, workload: str, names: set[str]) -> None:
    text = _run(workload, "--scale", "0", "--rounds", "1", "--json", str(tmp_path / "figures.json"))
    written = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    medians = written["workloads"][workload]["fairque"]["medians"]
    assert names <= set(medians)
    assert all(medians[name] > 0 for name in names)
    assert f"\n{workload}: " in text
    assert written["notes"] == []


def test_without_valgrind_the_report_says_how_to_get_it() -> None:
    text = _run("instructions", "--rounds", "1", PATH="")
    assert "instructions: not counted, since valgrind is not installed" in text


def test_the_readme_of_the_benchmarks_names_each_workload() -> None:
    listed = [line.split()[0] for line in _run("--list").splitlines()]
    written = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    assert listed
    assert [name for name in listed if f"`{name}`" not in written] == []


def test_each_row_of_the_table_has_a_workload(load: Any) -> None:
    assert set(load("table").WORKLOADS) <= set(load("bench").WORKLOADS)


def test_a_figure_is_the_median_of_its_rounds_and_a_ratio_that_of_the_medians(load: Any) -> None:
    rate = load("drains").RATE
    results = _results(
        load,
        {("drain", "fairque"): [{rate: 10.0}, {rate: 900.0}, {rate: 20.0}], ("drain", "tarsk"): [{rate: 40.0}]},
    )
    assert results.median("drain", "fairque", rate) == 20.0
    assert results.ratio("drain", "tarsk", rate) == 2.0
    assert results.ratio("drain", "fairque", rate, "tarsk") == 0.5
    assert results.median("drain", "tarsk", "another") is None


def test_sides_are_measured_alternately_in_opposite_orders(load: Any) -> None:
    figures, sides = load("figures"), load("sides")
    order: list[str] = []
    one, two = (sides.Side(name, "fairque", Path(sys.executable), "1") for name in ("one", "two"))

    def run(side: Any, _: float) -> dict[str, float]:
        order.append(side.name)
        return {"figure": 1.0}

    figures.measure([one, two], [figures.Workload("w", "w", run)], rounds=2, scale=1.0)
    assert order == ["one", "two", "two", "one"]


def test_a_side_that_fails_is_named_and_the_others_are_measured(load: Any) -> None:
    figures, sides = load("figures"), load("sides")
    one, two = (sides.Side(name, "fairque", Path(sys.executable), "1") for name in ("one", "two"))

    def run(side: Any, _: float) -> dict[str, float]:
        if side is one:
            raise sides.Failed("one: its worker has ended")
        return {"figure": 1.0}

    results = figures.measure([one, two], [figures.Workload("w", "w", run)], rounds=2, scale=1.0)
    assert results.notes == ["w: one: its worker has ended"]
    assert len(results.runs["w", "two"]) == 2


def test_the_table_names_what_was_not_measured(load: Any) -> None:
    rate = load("drains").RATE
    results = _results(load, {("drain", "fairque"): [{rate: 30.0}], ("drain", "tarsk"): [{rate: 20.0}]})
    lines = load("table").as_markdown(results).splitlines()
    assert "| no-op drain by one worker process, threads, 16 slots | 1.50 x tarsk |" in lines
    assert "| idle worker, PSS | not measured |" in lines
