"""`python -m tools.tiers NAME TARGET...`: runs make's targets, each to its end, and lists at the end what was
slow and what failed.

A target that fails does not keep the next one from running. Exit code 0 where all passed, else 1.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

LISTED = 20  # tests of one target that are named
SLOWEST = 10  # files of one target that are named, with their seconds


def run(name: str, targets: Sequence[str]) -> int:
    """Runs the targets in this order and prints the verdict as the last lines; returns the exit code."""
    failed: list[str] = []
    slow: list[str] = []
    with tempfile.TemporaryDirectory(prefix="rowlock-tiers-") as folder:
        for target in targets:
            tests, seconds, began = (
                Path(folder) / target,
                Path(folder) / f"{target}.seconds",
                time.monotonic(),
            )
            notes = {"ROWLOCK_FAILED_TESTS": str(tests), "ROWLOCK_TEST_SECONDS": str(seconds)}
            code = subprocess.run(
                ["make", "--no-print-directory", target], env=os.environ | notes, check=False
            ).returncode
            if seconds.exists():
                slow += slowest(
                    target, time.monotonic() - began, json.loads(seconds.read_text(encoding="utf-8"))
                )
            if code:
                failed += told(
                    target, code, tests.read_text(encoding="utf-8").splitlines() if tests.exists() else []
                )
    verdict = [f"{name}: failed", *failed] if failed else [f"{name}: every tier passed"]
    print(
        "\n".join([*([f"{name}: the slowest files, in seconds"] if slow else []), *slow, *verdict]),
        flush=True,
    )
    return 1 if failed else 0


def slowest(target: str, whole: float, seconds: Mapping[str, float]) -> list[str]:
    """The lines about the time of one target: its own, and of the files whose tests took longest, beside
    others or not.
    """
    longest = sorted(seconds.items(), key=lambda each: -each[1])[:SLOWEST]
    return [f"  {target} {whole:.0f}", *(f"  {took:8.1f}  {file}" for file, took in longest if took >= 1)]


def told(target: str, code: int, tests: Sequence[str]) -> list[str]:
    """The lines about one target that failed; a test is named once, however often it failed (in its setup, in
    its end).
    """
    named = list(dict.fromkeys(tests))
    if not named:
        return [f"  {target} (exit code {code}; what it said is above)"]
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
