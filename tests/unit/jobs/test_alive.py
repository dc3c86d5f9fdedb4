"""The alive file, as its writers leave it and its probes read it."""

import os
import signal
import time
from pathlib import Path

import pytest

from rowlock_jobs.__main__ import main
from rowlock_jobs.worker.alive import (
    ALIVE_FOR_SECONDS,
    STARTING,
    WORKING,
    read_alive,
    state_of,
    state_of_all,
    write_alive,
)
from rowlock_jobs.worker.supervisor import Supervisor
from tests.services.process import wait_until


def test_it_says_what_the_loop_waits_for_and_that_it_works_again(tmp_path: Path) -> None:
    path = tmp_path / "alive"
    assert read_alive(path) is None
    for waits_for, state in (
        ((), "working"),
        (("Redis",), "waiting for Redis"),
        (("Redis", "PostgreSQL"), "waiting for Redis and PostgreSQL"),
    ):
        write_alive(path, state_of(waits_for))
        assert read_alive(path) == state
    assert list(tmp_path.iterdir()) == [path]


def test_it_is_dead_once_it_is_old_whatever_it_says(tmp_path: Path) -> None:
    path = tmp_path / "alive"
    write_alive(path, WORKING)
    assert read_alive(path, time.time() + ALIVE_FOR_SECONDS - 5) == WORKING
    assert read_alive(path, time.time() + ALIVE_FOR_SECONDS + 5) is None


def test_writing_the_same_again_only_renews_it(tmp_path: Path) -> None:
    path = tmp_path / "alive"
    write_alive(path, WORKING)
    os.utime(path, (1.0, 1.0))
    before = path.stat().st_ino
    write_alive(path, WORKING)
    assert (path.stat().st_ino, read_alive(path)) == (before, WORKING)


def test_a_folder_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    write_alive(tmp_path / "no" / "such" / "folder", WORKING)


@pytest.mark.parametrize(
    ("parts", "pod"),
    [
        ([WORKING, WORKING], WORKING),
        ([WORKING, STARTING], STARTING),
        ([STARTING, "waiting for Redis", WORKING], "waiting for Redis"),
        ([WORKING, None], None),
        (["waiting for PostgreSQL", None], None),
    ],
)
def test_a_pod_is_what_the_worst_of_its_loops_is(parts: list[str | None], pod: str | None) -> None:
    assert state_of_all(parts) == pod


@pytest.mark.parametrize(
    ("state", "alive", "ready"),
    [(WORKING, 0, 0), (STARTING, 0, 1), ("waiting for Redis", 0, 1), (None, 1, 1), ("", 0, 1)],
)
def test_a_probe_kills_nobody_who_waits_and_calls_nobody_ready_who_does(
    state: str | None,
    alive: int,
    ready: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "alive"
    monkeypatch.setenv("ROWLOCK_ALIVE_FILE", str(path))
    if state is not None:
        path.write_text(state)
    assert (main(["alive"]), main(["ready"])) == (alive, ready)
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"no loop turned within {ALIVE_FOR_SECONDS:.0f} s" if state is None else state
    )


def forked(supervisor: Supervisor) -> int:
    """The process in which it runs."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(supervisor.run())
        finally:
            os._exit(70)
    return pid


def test_a_pod_whose_loop_ends_again_and_again_does_not_stay_alive(tmp_path: Path) -> None:
    """Only a loop renews its file: starting one anew does not."""
    path = tmp_path / "alive"

    def ends_at_once(number: int) -> int:
        # 2: the second start ends the test
        return 1 if (tmp_path / f"alive-{number}").stat().st_mtime > 1.0 else 2

    pid = forked(Supervisor(ends_at_once, processes=1, alive_file=path))
    part = tmp_path / "alive-0"
    wait_until(part.exists, "it is started")
    os.utime(part, (1.0, 1.0))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 2


def test_parents_end_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    def work(number: int) -> int:
        (tmp_path / f"pid-{number}").write_text(str(os.getpid()))
        while True:
            signal.pause()

    pid = forked(Supervisor(work, processes=2, alive_file=tmp_path / "alive"))
    files = [tmp_path / "pid-0", tmp_path / "pid-1"]
    wait_until(lambda: all(file.exists() and file.read_text() for file in files), "both parents work")
    parents = [int(file.read_text()) for file in files]
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    wait_until(lambda: not any(_lives(parent) for parent in parents), "both ended")


def _lives(pid: int) -> bool:
    """A process that is no zombie: nobody of ours waits for an orphan's orphan."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
