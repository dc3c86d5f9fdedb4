"""One real cluster for all tests of the cluster tier, of the tests' own; ended with the session."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run_module(*words: str, timeout_seconds: float) -> "subprocess.CompletedProcess[str]":
    """`python -m ...` from the repository's root."""
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """The name of a cluster that is up. Fails, and with it every test of the tier, where there can be none:
    no skip hides a tier.
    """
    name = os.environ.get("ROWLOCK_TEST_CLUSTER", "test")
    up = run_module("tools.cluster", "up", "--name", name, timeout_seconds=1500)
    if up.returncode != 0:
        pytest.fail(
            f"There is no cluster {name}, and this tier is nothing without one.\n{up.stdout}{up.stderr}",
            pytrace=False,
        )
    yield name
    if os.environ.get("ROWLOCK_KEEP_CLUSTER") != "1":
        down = run_module("tools.demo", "down", "--cluster", name, timeout_seconds=120)
        assert down.returncode == 0, down.stdout + down.stderr


@pytest.fixture(scope="session")
def cluster_kubeconfig(cluster: str) -> Path:
    """The administrator's kubeconfig of that cluster."""
    return Path(
        run_module("tools.cluster", "kubeconfig", "--name", cluster, timeout_seconds=60).stdout.strip()
    )
