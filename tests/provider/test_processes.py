"""Ending processes: ours, and never a stranger's."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tools.cluster import processes
from tools.cluster.steps import wait_until


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process of somebody else."""
    process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    yield process
    process.kill()
    process.wait()


def identity_of(process: "subprocess.Popen[bytes]") -> processes.Identity:
    found = processes.identify(process.pid)
    assert found is not None
    return found


@pytest.mark.parametrize("difference", ["start_ticks", "boot_id"])
def test_a_process_that_inherited_the_pid_is_not_ended(
    stranger: "subprocess.Popen[bytes]", difference: str
) -> None:
    ours = identity_of(stranger)
    other = (
        replace(ours, start_ticks=ours.start_ticks - 1)
        if difference == "start_ticks"
        else replace(ours, boot_id="-")
    )
    processes.end(other, grace_seconds=0)
    assert stranger.poll() is None
    assert not processes.is_alive(other)


def test_the_very_process_is_ended(stranger: "subprocess.Popen[bytes]") -> None:
    """The twin of the test above: with the right identity the same call does end it."""
    processes.end(identity_of(stranger), grace_seconds=5)
    assert stranger.wait(timeout=5) != 0


def test_a_daemon_keeps_its_pid_through_the_shell_that_joins_its_cgroups(tmp_path: Path) -> None:
    joined = tmp_path / "cgroup.procs"
    argv = [sys.executable, "-c", "import os, signal; print(os.getpid(), flush=True); signal.pause()"]
    identity = processes.spawn(argv, log=tmp_path / "log", cgroup_files=[joined], env={})
    try:
        wait_until(
            "The daemon's first word", lambda: bool((tmp_path / "log").read_text()), deadline_seconds=20
        )
        assert processes.is_alive(identity)
        processes.save(identity, tmp_path / "pid")
        assert processes.load(tmp_path / "pid") == identity
    finally:
        processes.end(identity, grace_seconds=5)
    assert joined.read_text().split() == [str(identity.pid)]
    assert (tmp_path / "log").read_text().split() == [str(identity.pid)]
    assert not processes.is_alive(identity)


@pytest.mark.parametrize("text", ["", "{", "{}", "7"])
def test_a_pid_file_that_a_crash_cut_off_names_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "pid").write_text(text)
    assert processes.load(tmp_path / "pid") is None
