"""`python -m tests.proof [NAME...]`: the long form of each proof, one after the other; nothing else should
run beside them.

Results are JSON files in tests/proof/results/; chaos writes its page into docs/measurements.md as well. Exit
code 0 where all of them held.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
NOISE = "tests/integration/mistakes_tasks/test_processes.py"
# What once failed now and then: each fifty times in a row beside two busy loops.
REPEATED = [
    "tests/chaos/test_proxy.py",
    f"{NOISE}::test_a_task_that_ends_its_process_or_its_channel_fails_and_the_worker_goes_on",
    f"{NOISE}::test_a_task_finds_no_socket_but_the_channel",
    "tests/integration/operator/test_mistakes.py::test_a_quiet_installation_writes_nothing",
]
PROOFS = {
    "hundred-sources": [
        "tests.proof.hundred_sources", "--seconds", "300", "--out", str(RESULTS / "hundred_sources.json"),
    ],
    "soak": ["tests.proof.soak", "--seconds", "1800", "--out", str(RESULTS / "soak.json")],
    "etcd": ["tests.proof.etcd_growth", "--rows", "1000", "--out", str(RESULTS / "etcd.json")],
    "silence": ["pytest", "-q", "tests/integration/operator/test_long_outages.py"],
    "fifty": ["tests.proof.fifty", *REPEATED, "--write"],
    "chaos": ["tests.chaos", "--runs", "10500", "--write"],
    "kueue": ["tests.proof.kueue", "--out", str(RESULTS / "kueue.json")],
}  # fmt: skip


def main() -> int:
    wrong = [name for name in sys.argv[1:] if name not in PROOFS]
    if wrong:
        print(f"there is no proof {', '.join(wrong)}; there are {', '.join(PROOFS)}")
        return 2
    failed = []
    for name in sys.argv[1:] or PROOFS:
        began = time.monotonic()
        print(f"proof {name}: python -m {' '.join(PROOFS[name])}", flush=True)
        code = subprocess.run(
            [sys.executable, "-m", *PROOFS[name]], env=os.environ | {"ROWLOCK_LONG_TESTS": "1"}, check=False
        ).returncode
        print(
            f"proof {name}: {'failed' if code else 'held'} after {time.monotonic() - began:.0f} s", flush=True
        )
        failed += [name] if code else []
    print(f"proof: failed: {', '.join(failed)}" if failed else "proof: all held", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
