"""The examples of the READMEs work unchanged with a real worker, and their links are valid."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *ROOT.glob("packages/*/*.md")])
#: The page of each heading that has an example.
EXAMPLES = {
    "Quick start": "README.md",
    "Pipelines": "packages/fairque-client/README.md",
    "Without the plugin": "packages/fairque-testing/README.md",
}
SERVER = '"redis://localhost:6379/0"'


def example(heading: str) -> tuple[str, str]:
    """Return the name and the text of the module under a heading."""
    section = (ROOT / EXAMPLES[heading]).read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = re.search(r"`(\w+)\.py`[^`]*:\n\n```python\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1], found[2]


def run(project: Any, name: str, text: str) -> str:
    """Run an example while a worker runs its tasks, and return its output. Only the address is replaced."""
    url, queue = project.environ["FAIRQUE_REDIS_URL"], project.environ["FAIRQUE_QUEUE_NAME"]
    assert text.count(SERVER) == 1
    project.write(text.replace(SERVER, f"{url!r}, queue={queue!r}"), name, prelude="")
    project.start(name)
    done = subprocess.run(
        [sys.executable, f"{name}.py"],
        cwd=project.folder,
        env={**os.environ, **project.environ},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("heading", "printed"),
    [("Quick start", "https://example.org/cat.png?w=300\n"), ("Pipelines", "3 rows, no numbers: x\n")],
)
def test_an_example_runs_unchanged(project: Any, heading: str, printed: str) -> None:
    assert run(project, *example(heading)) == printed


def test_the_pipeline_prints_what_its_comment_says() -> None:
    _, text = example("Pipelines")
    assert "print(handle.result(timeout=10))  # 3 rows, no numbers: x\n" in text


@pytest.mark.thorough
def test_a_type_checker_agrees_with_the_examples(tmp_path: Path) -> None:
    examples = dict(example(heading) for heading in ("Quick start", "Pipelines"))
    for name, text in examples.items():
        (tmp_path / f"{name}.py").write_text(text)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            f"--cache-dir={tmp_path}",
            *(f"{tmp_path / name}.py" for name in examples),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_tests_of_the_readmes_pass(tmp_path: Path) -> None:
    for heading in ("Quick start", "Without the plugin"):
        name, text = example(heading)
        (tmp_path / f"{name}.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_tasks.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr


PIPELINE_TEST = """
import pytest
from fairque.client import TaskQueue
from fairque.worker import Worker
from orders import clean, extract, load, validate


@pytest.mark.parametrize("concurrency", [1, 2, 16])
def test_the_pipeline(concurrency):
    name = f"test-orders-{concurrency}"
    with TaskQueue.from_url("embedded://", queue=name, default_user_id="ann") as queue:
        extracted = extract.task("12,,x,7")
        cleaned, validated = clean.task(extracted.output), validate.task(extracted.output)
        handle = queue.push(extracted >> [cleaned, validated] >> load.task(cleaned.output))
        Worker.from_url("embedded://", queue=name, burst=True, concurrency=concurrency).run()
        assert handle.result(timeout=0) == "3 rows, no numbers: x"
"""


def test_the_pipeline_of_the_readme_ends_under_its_recipe_for_tests(tmp_path: Path) -> None:
    name, text = example("Pipelines")
    (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "test_orders.py").write_text(PIPELINE_TEST)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_orders.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "3 passed" in done.stdout, done.stdout + done.stderr


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts generate them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_the_links_of_a_page_lead_to_a_file_and_a_heading(page: str) -> None:
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", (ROOT / page).read_text()):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (ROOT / page).parent / name if name else ROOT / page
        if anchor and target.is_dir():
            target /= "README.md"
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    assert wrong == []


def test_the_first_page_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200
