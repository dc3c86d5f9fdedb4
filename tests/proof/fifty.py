"""`python -m tests.proof.fifty TEST...`: runs each test fifty times with two busy loops beside it, and says
how often it passed.

`--write` keeps the result in tests/proof/results/fifty.json, beside those of other tests. Exit code 0 where
nothing failed. Nothing is tried again: what failed once has failed.
"""

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

RESULTS = Path(__file__).parent / "results" / "fifty.json"
BUSY_LOOPS = 2


@dataclass(eq=False)  # pytest keeps plugins in sets
class Repeated:
    """A pytest plugin: every test `times` times, counted without the number of the time."""

    times: int
    chosen: tuple[str, ...]
    seconds: dict[str, list[float]] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        metafunc.fixturenames.append("nth_time")
        metafunc.parametrize("nth_time", range(self.times), ids=[f"time{n}" for n in range(self.times)])

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Of a parametrized test, the cases that were asked for."""
        whole = {_without_case(each) for each in self.chosen if "[" not in each}
        items[:] = [
            item
            for item in items
            if (name := _without_number(item.nodeid)) in self.chosen
            or any(name.startswith(each) for each in whole)
        ]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = _without_number(report.nodeid)
        if report.skipped:
            self.skipped.add(name)
        elif report.failed:
            self.failed[name] = self.failed.get(name, 0) + 1
        if report.when == "call":
            self.seconds.setdefault(name, []).append(report.duration)

    def result(self) -> dict[str, Any]:
        """By test: how often it ran and failed, and how long a time took (seconds)."""
        return {
            name: {
                "times": len(self.seconds.get(name, ())),
                "failed": self.failed.get(name, 0),
                "median_seconds": round(statistics.median(self.seconds.get(name) or [0.0]), 2),
                "longest_seconds": round(max(self.seconds.get(name) or [0.0]), 2),
            }
            for name in sorted({*self.seconds, *self.failed} - self.skipped)
        }


def _without_number(name: str) -> str:
    return re.sub(r"(-?)time\d+(-?)", lambda found: "-" if found[1] and found[2] else "", name).replace(
        "[]", ""
    )


def _without_case(name: str) -> str:
    return name.partition("[")[0]


@contextlib.contextmanager
def busy(loops: int) -> Iterator[None]:
    """So many processes that take all the processor they get."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
    try:
        yield
    finally:
        for each in running:
            each.kill()
            each.wait()


def main() -> int:
    options = argparse.ArgumentParser(description="Runs tests many times on a busy machine.")
    options.add_argument("tests", nargs="+", help="node ids of pytest, or files")
    options.add_argument("--times", type=int, default=50)
    options.add_argument("--loops", type=int, default=BUSY_LOOPS, help="busy loops beside the tests")
    options.add_argument("--write", action="store_true", help=f"keep the result in {RESULTS.name}")
    chosen = options.parse_args()
    repeated = Repeated(chosen.times, tuple(chosen.tests))
    with busy(chosen.loops):
        code = pytest.main(
            ["-q", "-p", "no:cacheprovider", *dict.fromkeys(map(_without_case, chosen.tests))],
            plugins=[repeated],
        )
        load = round(os.getloadavg()[0], 1)
    found = {
        name: {**each, "busy_loops": chosen.loops, "load": load, "cores": os.cpu_count()}
        for name, each in repeated.result().items()
    }
    print(json.dumps(found, indent=2))
    if chosen.write:
        RESULTS.parent.mkdir(exist_ok=True)
        before = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        RESULTS.write_text(json.dumps({**before, **found}, indent=2, sort_keys=True) + "\n")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
