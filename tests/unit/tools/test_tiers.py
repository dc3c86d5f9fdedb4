"""`make test` runs every tier to its end and says last what failed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

MAKEFILE = """
good:
\t@echo well
broken:
\t@echo lint says something; exit 3
tests:
\t@{python} -m pytest -q --continue-on-collection-errors -p no:cacheprovider -n {processes} --rootdir . \\
\t  -c {root}/pyproject.toml -p tests.conftest suite || exit 1
slow:
\t@sleep 1.1
last:
\t@touch last-ran
meets:
\t@echo from the first; touch first; until [ -e second ]; do sleep 0.05; done
met:
\t@echo from the second; touch second; until [ -e first ]; do sleep 0.05; done; exit 4
"""
SUITE = """
import time
import pytest
@pytest.mark.parametrize("n", range({count}))
def test_fails(n): assert n < 0
def test_passes(): time.sleep({slow})
@pytest.fixture
def no_end():
    yield
    raise RuntimeError("its end fails")
def test_fails_twice(no_end): raise AssertionError
"""


def tiers(
    folder: Path, *targets: str, count: int = 2, processes: int = 0, slow: float = 0
) -> subprocess.CompletedProcess[str]:
    (folder / "Makefile").write_text(MAKEFILE.format(python=sys.executable, root=ROOT, processes=processes))
    (folder / "suite").mkdir()
    (folder / "suite" / "test_suite.py").write_text(SUITE.format(count=count, slow=slow))
    (folder / "suite" / "test_broken.py").write_text("import no_such_module\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_CURRENT_TEST", "MAKEFLAGS", "MAKELEVEL"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "tools.tiers", "test", *targets]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_every_tier_runs_to_its_end_and_the_last_lines_list_what_failed(tmp_path: Path) -> None:
    ended = tiers(tmp_path, "broken", "good", "tests", "last")
    assert ended.returncode == 1
    assert (tmp_path / "last-ran").exists()
    assert "lint says something" in ended.stdout
    lines = ended.stdout.split("test: failed\n")[1].splitlines()
    assert lines[0] == "  broken (exit code 2; what it said is above)"
    assert [line.split()[0] for line in lines[1:]] == ["tests"] * len(lines[1:])
    assert {line.split("::")[-1].split("/")[-1] for line in lines[1:]} == {
        "test_broken.py",
        "test_fails[0]",
        "test_fails[1]",
        "test_fails_twice",
    }


@pytest.mark.parametrize("processes", [0, 2])
def test_a_tier_with_many_failures_names_each_once_and_not_all(tmp_path: Path, processes: int) -> None:
    ended = tiers(tmp_path, "tests", count=30, processes=processes)
    lines = ended.stdout.split("test: failed\n")[1].splitlines()
    assert len(lines) == len(set(lines)) == 21
    assert lines[-1] == "  tests and 12 more"


@pytest.mark.parametrize("processes", [0, 2])
def test_before_that_the_slowest_files_stand_with_their_seconds(tmp_path: Path, processes: int) -> None:
    ended = tiers(tmp_path, "good", "tests", "slow", processes=processes, slow=1.1)
    told = ended.stdout.split("test: each tier and its slowest files, in seconds\n")[1]
    (tier, took), (seconds, file), (other, _), (name, whole) = (
        line.split() for line in told.split("test: failed\n")[0].splitlines()
    )
    assert (tier, file, other, name) == ("tests", "suite/test_suite.py", "slow", "test")
    assert 1.1 <= float(seconds) <= float(took) + 1 <= float(whole) + 1


def test_where_all_passed_the_last_line_says_so(tmp_path: Path) -> None:
    ended = tiers(tmp_path, "good", "last")
    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (0, "test: every tier passed")


def test_joined_tiers_run_side_by_side_and_what_each_says_stays_together(tmp_path: Path) -> None:
    ended = tiers(tmp_path, "meets+met", "last")  # each waits for the other
    assert ended.stdout.splitlines()[:3] == ["from the first", "met, beside meets:", "from the second"]
    assert ended.stdout.splitlines()[-2:] == ["test: failed", "  met (exit code 2; what it said is above)"]
    assert (ended.returncode, (tmp_path / "last-ran").exists()) == (1, True)


def belongs(file: Path, tier: str) -> bool:
    marks = set(re.findall(r"pytest\.mark\.(integration|cluster)\b", file.read_text()))
    if tier == "unit":
        return not marks and not file.is_relative_to(ROOT / "tests/chart")
    return tier in marks and (tier == "cluster" or not file.is_relative_to(ROOT / "tests/chart"))


@pytest.mark.parametrize("tier", ["unit", "integration", "cluster"])
def test_every_file_with_tests_of_a_tier_is_in_a_folder_that_the_tier_collects(tier: str) -> None:
    """Of tests/chart, `make chart` collects all but what needs the cluster."""
    recipe = (ROOT / "Makefile").read_text().split(f"\n{tier}: setup", 1)[1].split("\n", 2)[1]
    collected = tuple(f"{word}/" for word in recipe.split() if word.startswith("tests/"))
    names = [
        str(file.relative_to(ROOT)) for file in (ROOT / "tests").rglob("test_*.py") if belongs(file, tier)
    ]
    assert [name for name in names if not name.startswith(collected)] == []
    assert len([name for name in names if name.startswith(collected)]) > 10
