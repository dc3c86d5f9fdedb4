"""`python -m tools.tiers NAME TARGETS...`: runs make's targets, each to its end, and lists at the end how
long each took, what was slow in it and what failed.

Targets joined by `+` run side by side: what the first one says is seen at once, the others' afterwards.
A target that fails does not keep the next one from running. Exit code 0 where all passed, else 1.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

LISTED = 20  # tests of one target that are named
SLOWEST = 10  # files of one target that are named, with their seconds


@dataclass(frozen=True)
class Ended:
    """One target: its exit code, how long it took, which tests failed, and how long the tests of each file
    took, beside others or not.
    """

    target: str
    code: int
    seconds: float
    failed: tuple[str, ...]
    files: tuple[tuple[str, float], ...]


def run(name: str, steps: Sequence[str]) -> int:
    """Runs the steps in this order and prints the verdict as the last lines; returns the exit code."""
    began = time.monotonic()
    ended: list[Ended] = []
    with tempfile.TemporaryDirectory(prefix="rowlock-tiers-") as folder:
        for step in steps:
            ended += beside(step.split("+"), Path(folder))
    took = [line for each in ended for line in time_of(each)]
    failed = [line for each in ended if each.code for line in told(each)]
    verdict = [f"{name}: failed", *failed] if failed else [f"{name}: every tier passed"]
    whole = f"  {name} {time.monotonic() - began:.0f}"
    print(
        "\n".join([f"{name}: each tier and its slowest files, in seconds", *took, whole, *verdict]),
        flush=True,
    )
    return 1 if failed else 0


def beside(targets: Sequence[str], folder: Path) -> list[Ended]:
    """Runs the targets at once. Only the first one writes to the terminal meanwhile."""
    first, *others = targets
    outputs = {target: (folder / f"{target}.output").open("w+b") for target in others}
    with ThreadPoolExecutor(len(targets)) as pool:
        running = [pool.submit(make, target, folder, outputs.get(target)) for target in targets]
        ended = [each.result() for each in running]
    for target, output in outputs.items():
        with output:
            output.seek(0)
            print(f"{target}, beside {first}:", flush=True)
            sys.stdout.buffer.write(output.read())
            sys.stdout.flush()
    return ended


def make(target: str, folder: Path, output: IO[bytes] | None) -> Ended:
    """Runs one target; its tests note in the folder which of them failed and how long they took."""
    tests, seconds, began = folder / target, folder / f"{target}.seconds", time.monotonic()
    notes = {"ROWLOCK_FAILED_TESTS": str(tests), "ROWLOCK_TEST_SECONDS": str(seconds)}
    code = subprocess.run(
        ["make", "--no-print-directory", target],
        env=os.environ | notes,
        stdout=output,
        stderr=output,
        check=False,
    ).returncode
    return Ended(
        target,
        code,
        time.monotonic() - began,
        tuple(tests.read_text(encoding="utf-8").splitlines()) if tests.exists() else (),
        tuple(json.loads(seconds.read_text(encoding="utf-8")).items()) if seconds.exists() else (),
    )


def time_of(ended: Ended) -> list[str]:
    """The lines about the time of one target and of its slowest files; what takes less than a second has
    none.
    """
    lines = [f"  {ended.target} {ended.seconds:.0f}"] if ended.seconds >= 1 else []
    longest = sorted(ended.files, key=lambda each: -each[1])[:SLOWEST]
    return [*lines, *(f"  {took:8.1f}  {file}" for file, took in longest if took >= 1)]


def told(ended: Ended) -> list[str]:
    """The lines about one target that failed; a test is named once, however often it failed (in its setup, in
    its end).
    """
    target, named = ended.target, list(dict.fromkeys(ended.failed))
    if not named:
        return [f"  {target} (exit code {ended.code}; what it said is above)"]
    more = [f"  {target} and {len(named) - LISTED} more"] if len(named) > LISTED else []
    return [f"  {target} {test}" for test in named[:LISTED]] + more


def main() -> int:
    try:
        return run(sys.argv[1], sys.argv[2:])
    except KeyboardInterrupt:
        print(f"{sys.argv[1]}: interrupted", flush=True)
        return 130


if __name__ == "__main__":
    sys.exit(main())
