"""One real cluster for all tests of the cluster tier, of the tests' own; ended by its last user."""

import contextlib
import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

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
    with _lock_file(name, "used") as used:
        fcntl.flock(used, fcntl.LOCK_SH)
        up = run_module("tools.cluster", "up", "--name", name, timeout_seconds=1500)
        if up.returncode != 0:
            pytest.fail(
                f"There is no cluster {name}, and this tier is nothing without one.\n{up.stdout}{up.stderr}",
                pytrace=False,
            )
        yield name
        if os.environ.get("ROWLOCK_KEEP_CLUSTER") != "1" and _is_last(used):
            down = run_module("tools.demo", "down", "--cluster", name, timeout_seconds=120)
            assert down.returncode == 0, down.stdout + down.stderr


def _lock_file(cluster: str, what: str) -> TextIO:
    """Known to every process of the tests by its name; a lock on it ends with its process."""
    return (Path(tempfile.gettempdir()) / f"rowlock-tests-{cluster}.{what}").open("a")


def _is_last(used: TextIO) -> bool:
    """Whether nobody else uses the cluster; who comes now waits, and starts it anew."""
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(used, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


@contextlib.contextmanager
def definitions_alone(cluster: str) -> Iterator[None]:
    """Nobody else changes the cluster's custom resource definitions meanwhile: there is one of each."""
    with _lock_file(cluster, "definitions") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def cluster_kubeconfig(cluster: str) -> Path:
    """The administrator's kubeconfig of that cluster."""
    return Path(
        run_module("tools.cluster", "kubeconfig", "--name", cluster, timeout_seconds=60).stdout.strip()
    )
