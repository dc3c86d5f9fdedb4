"""`python -m tools.tiers NAME TARGET...`: runs make's targets, each to its end, and lists at the end what failed.

A target that fails does not keep the next one from running. Exit code 0 where all passed, else 1.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

LISTED = 20  # tests of one target that are named


def run(name: str, targets: Sequence[str]) -> int:
    """Runs the targets in this order and prints the verdict as the last lines; returns the exit code."""
    failed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="rowlock-tiers-") as folder:
        for target in targets:
            tests = Path(folder) / target
            code = subprocess.run(
                ["make", "--no-print-directory", target], env=os.environ | {"ROWLOCK_FAILED_TESTS": str(tests)}, check=False
            ).returncode
            if code:
                failed += told(target, code, tests.read_text(encoding="utf-8").splitlines() if tests.exists() else [])
    print("\n".join([f"{name}: failed", *failed] if failed else [f"{name}: every tier passed"]), flush=True)
    return 1 if failed else 0


def told(target: str, code: int, tests: Sequence[str]) -> list[str]:
    """The lines about one target that failed; a test is named once, however often it failed (in its setup, in its end)."""
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
