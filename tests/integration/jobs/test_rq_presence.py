"""What RQ's tools see of a worker and of the run it has in hand, and what they tell it, is up to date."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from rq import Queue, Worker
from rq.command import send_stop_job_command
from rq.job import Job

from tests.integration.jobs.stage import ROOT, RQ_QUEUE, Stage
from tests.services.process import wait_until

pytestmark = pytest.mark.integration


def _rq(stage: Stage, *arguments: str) -> str:
    program = Path(sys.executable).with_name("rq")
    command = [program, *arguments, "-u", stage.redis_url]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


def _state(stage: Stage) -> str:
    (worker,) = Worker.all(queue=Queue(RQ_QUEUE, connection=stage.redis))
    return str(worker.get_state())


def _listens(stage: Stage) -> bool:
    return bool(stage.redis.pubsub_channels("rq:pubsub:*"))


@pytest.mark.parametrize("kinds", [("pubsub",), ("pubsub", "normal")], ids=" and ".join)
def test_a_command_is_obeyed_soon_after_connections_dropped(stage: Stage, kinds: tuple[str, ...]) -> None:
    stage.worker()
    (run_id,) = stage.run("hold", release=str(stage.folder / "never"))
    stage.wait_note("begin")
    wait_until(lambda: _listens(stage), "it listens")
    for kind in kinds:
        stage.redis.client_kill_filter(_type=kind, skipme=True)
    dropped = time.monotonic()
    wait_until(lambda: _listens(stage), "it listens again")
    send_stop_job_command(stage.redis, f"{run_id}-1")
    stage.wait_state(run_id, "canceled")
    assert time.monotonic() - dropped < 11, "a beat, where it was ten seconds and a beat (13.4 s)"


def test_a_worker_is_shown_as_suspended_while_rq_is_and_at_work_while_it_works(stage: Stage) -> None:
    stage.worker()
    (run_id,) = stage.run("hold", release=str(stage.folder / "go"))
    stage.wait_note("begin")
    _rq(stage, "suspend")
    assert _state(stage) == "busy"
    (stage.folder / "go").touch()
    stage.wait_ended([run_id])
    wait_until(lambda: _state(stage) == "suspended", "shown as suspended")
    assert "suspended" in _rq(stage, "info", "-W")
    _rq(stage, "resume")
    wait_until(lambda: _state(stage) == "idle", "shown as idle")
    assert "suspended" not in _rq(stage, "info", "-W")


def test_the_heartbeat_of_a_run_moves_while_it_runs_and_a_forgotten_run_stays_forgotten(stage: Stage) -> None:
    stage.worker()
    (run_id,) = stage.run("hold", release=str(stage.folder / "go"))
    stage.wait_note("begin")
    job = Job.fetch(f"{run_id}-1", connection=stage.redis)
    first = job.last_heartbeat

    def moved() -> bool:
        job.refresh()
        return job.last_heartbeat is not None and job.last_heartbeat > first

    wait_until(moved, "the heartbeat moves")
    assert job.get_status() == "started"
    assert Queue(RQ_QUEUE, connection=stage.redis).started_job_registry.get_job_ids() == [f"{run_id}-1"]
    stage.redis.flushall()
    wait_until(lambda: stage.redis.scard("rq:workers") == 1, "the worker is listed again")
    assert _state(stage) == "busy"
    (stage.folder / "go").touch()
    stage.wait_ended([run_id])
    assert stage.redis.keys("rq:job:*") + stage.redis.keys("rq:execution:*") == []


@pytest.mark.parametrize("prefix", ["acme", ""])
def test_another_prefix_of_rq_s_keys_is_refused_with_a_sentence(stage: Stage, prefix: str) -> None:
    """An empty one would end in a traceback of RQ's import, another in a worker that never sees a run."""
    command = [sys.executable, "-m", "rowlock_jobs", "run"]
    environment = stage.environment() | {"RQ_KEY_PREFIX": prefix}
    ended = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 2
    assert f"RQ_KEY_PREFIX is {prefix!r}" in ended.stderr
    assert "Traceback" not in ended.stderr
