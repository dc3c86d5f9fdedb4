"""RQ's own tools see this worker and its runs as they see RQ's: the records a stock worker leaves are
compared with ours.
"""

import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest
from rq import Queue, SimpleWorker, Worker
from rq.command import send_kill_horse_command, send_shutdown_command, send_stop_job_command
from rq.job import Job

from tests.integration.jobs.stage import RQ_QUEUE, Stage
from tests.services.process import wait_until

pytestmark = pytest.mark.integration

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "a result": ("echo", {}),
    "a failure": ("raises", {"error": "Permanent"}),
    "a soft timeout": ("soft", {}),
    "an attempt that is not ours": ("noop", {}),
}


def run_stock(stage: Stage) -> None:
    """A stock SimpleWorker, burst, in a fork with the worker's environment."""
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            log = os.open(stage.folder / "stock.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.environ.update(stage.environment(soft_seconds="0.3"))
            connection = stage.redis.from_url(stage.redis_url)
            SimpleWorker([RQ_QUEUE], connection=connection).work(burst=True)
            code = 0
        except BaseException:
            (stage.folder / "stock.log").write_text(traceback.format_exc())
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert status == 0, (stage.folder / "stock.log").read_text()


def records(stage: Stage, rq_id: str) -> dict[str, Any]:
    """Everything Redis holds about one id and its queue, without names, times and random ids."""
    redis = stage.redis
    worker = {"successful_job_count", "failed_job_count"}
    job_hash = {key.decode(): value for key, value in redis.hgetall(f"rq:job:{rq_id}").items()}
    times = {"started_at", "ended_at", "last_heartbeat", "enqueued_at", "created_at", "worker_name"}
    result = [{k.decode(): v for k, v in entry.items()} for _, entry in redis.xrange(f"rq:results:{rq_id}")]
    varying = {"worker_name", "execution_id", "execution_started_at", "execution_ended_at", "exc_string"}
    return {
        "status": job_hash.get("status"),
        "set": sorted(key for key in times if job_hash.get(key)),
        "data": job_hash.get("data"),
        "ttl": (redis.ttl(f"rq:job:{rq_id}") + 5) // 60,
        "result": [{k: v for k, v in entry.items() if k not in varying} for entry in result],
        "result fields": [sorted(entry) for entry in result],
        "result ttl": (redis.ttl(f"rq:results:{rq_id}") + 5) // 60,
        "finished": redis.zcard(f"rq:finished:{RQ_QUEUE}"),
        "failed": redis.zcard(f"rq:failed:{RQ_QUEUE}"),
        "started": redis.zcard(f"rq:wip:{RQ_QUEUE}"),
        "queued": redis.llen(f"rq:queue:{RQ_QUEUE}"),
        "leftovers": sorted(k.decode() for k in redis.keys("*execution*"))
        + redis.lrange(f"rq:queue:{RQ_QUEUE}:intermediate", 0, -1),
        "counts": sorted(
            (k, v)
            for key in redis.keys("rq:worker:*")
            for k, v in redis.hgetall(key).items()
            if k.decode() in worker
        ),
    }


@pytest.mark.parametrize("case", CASES)
def test_a_run_leaves_the_same_records_as_with_stock_rq(stage: Stage, case: str) -> None:
    task, args = CASES[case]
    found = []
    for stock in (True, False):
        stage.redis.flushall()
        (run_id,) = stage.run(task, **args)
        if case == "an attempt that is not ours":
            stage.sql("select rowlock.cancel_v1(array[%s]::uuid[])", run_id)
        if stock:
            run_stock(stage)
        else:
            worker = stage.worker(soft_seconds="0.3")
            rq_id = f"{run_id}-1"
            wait_until(
                lambda r=rq_id: stage.redis.hget(f"rq:job:{r}", "status") in (b"finished", b"failed"),
                "recorded in RQ",
            )
            worker.terminate()
            assert worker.wait() == 0
        found.append((records(stage, f"{run_id}-1"), stage.look(run_id)["state"]))
        stage.sql("select rowlock.cancel_v1(array[%s]::uuid[])", run_id)
    stock_records, our_records = found
    assert our_records == stock_records
    assert our_records[0]["leftovers"] == []


def test_a_killed_child_is_a_failed_job_without_leftovers(stage: Stage) -> None:
    """Stock RQ's forking worker leaves: status failed, in the failed registry, nothing started."""
    stage.worker()
    (run_id,) = stage.run("dies", how="kill")
    wait_until(lambda: stage.redis.hget(f"rq:job:{run_id}-1", "status") == b"failed", "recorded in RQ")
    found = records(stage, f"{run_id}-1")
    assert (found["failed"], found["started"], found["leftovers"], found["result"]) == (
        1,
        0,
        [],
        [{"type": b"2"}],
    )
    exc_info = Job.fetch(f"{run_id}-1", connection=stage.redis).latest_result().exc_string
    assert exc_info == "infra ChildKilled"


def test_rq_lists_the_worker_and_what_it_does(stage: Stage) -> None:
    release = stage.folder / "go"
    worker = stage.worker(fresh=True)
    (run_id,) = stage.run("hold", release=str(release))
    stage.wait_note("begin")
    queue = Queue(RQ_QUEUE, connection=stage.redis)
    (seen,) = Worker.all(queue=queue)
    assert (seen.pid, seen.queue_names(), seen.get_state(), seen.get_current_job_id()) == (
        worker.pid,
        [RQ_QUEUE],
        "busy",
        f"{run_id}-1",
    )
    assert queue.started_job_registry.get_job_ids() == [f"{run_id}-1"]
    program = Path(sys.executable).with_name("rq")
    listing = subprocess.run(
        [program, "info", "-u", stage.redis_url, "-R"], capture_output=True, text=True, check=True, timeout=30
    ).stdout
    assert f"{RQ_QUEUE}" in listing
    assert "1 executing, 0 finished, 0 failed" in listing
    assert f"{seen.name} " in listing
    assert "busy" in listing
    release.touch()
    stage.wait_state(run_id, "succeeded")
    wait_until(lambda: Worker.all(queue=queue)[0].successful_job_count == 1, "counted")
    wait_until(lambda: Worker.all(queue=queue)[0].get_state() == "idle", "idle")
    worker.terminate()
    assert worker.wait() == 0
    assert Worker.all(queue=queue) == []


def test_no_user_data_is_ever_in_redis(stage: Stage) -> None:
    worker = stage.worker()
    ids = stage.run("echo", word="tulip-in-the-arguments")
    failing = stage.run("raises", error="ValueError", word="tulip-in-the-arguments")
    stage.wait_ended(ids)
    wait_until(lambda: stage.look(failing[0])["failure"], "failed")
    wait_until(lambda: stage.redis.hget(f"rq:job:{failing[0]}-1", "status") == b"failed", "recorded in RQ")
    everything = b""
    for key in stage.redis.keys("*"):
        kind = stage.redis.type(key)
        if kind == b"hash":
            everything += repr(stage.redis.hgetall(key)).encode()
        elif kind == b"stream":
            everything += repr(stage.redis.xrange(key)).encode()
    exc_string = Job.fetch(f"{failing[0]}-1", connection=stage.redis).latest_result().exc_string
    assert b"tulip" not in everything
    assert b"echo" not in everything
    assert exc_string == "app ValueError"
    assert "tulip" not in worker.log.read_text()


def test_rq_suspend_holds_the_queue_back_and_loses_nothing(stage: Stage) -> None:
    worker = stage.worker()
    stage.redis.set("rq:suspended", 1)
    ids = stage.run("noop", 3)
    queue = f"rq:queue:{RQ_QUEUE}"
    wait_until(
        lambda: stage.redis.hget(stage.redis.smembers("rq:workers").pop(), "state") == b"suspended",
        "shown as suspended",
    )
    # The worker that waited took one id, saw the suspension, and put it back at the head.
    wait_until(
        lambda: stage.redis.lrange(queue, 0, -1) == [f"{i}-1".encode() for i in ids], "all back in order"
    )
    assert stage.notes() == []
    stage.redis.delete("rq:suspended")
    stage.wait_ended(ids)
    assert worker.poll() is None


def test_rq_commands_stop_a_run_kill_its_process_and_end_the_worker(stage: Stage) -> None:
    worker = stage.worker()
    (stopped,) = stage.run("hold", release=str(stage.folder / "never"))
    stage.wait_note("begin")
    wait_until(lambda: stage.redis.pubsub_numsub(*stage.redis.pubsub_channels("rq:pubsub:*")), "it listens")
    send_stop_job_command(stage.redis, f"{stopped}-1")
    stage.wait_state(stopped, "canceled")
    (killed,) = stage.run("hold", release=str(stage.folder / "never"))
    stage.wait_note("begin", 2)
    name = worker.events("worker_started")[0]["worker"]
    send_kill_horse_command(stage.redis, name)
    wait_until(lambda: stage.look(killed)["failure"], "failed")
    assert stage.look(killed)["failure"]["reason"] == "ChildKilled"
    send_shutdown_command(stage.redis, name)
    assert worker.wait() == 0


def test_a_stock_worker_runs_our_ids_with_every_fence(stage: Stage) -> None:
    good = stage.run("echo")[0]
    bad = stage.run("raises", error="SiteError")[0]
    written = stage.run("writes")[0]
    stage.push([f"{good}-1"])  # a duplicate
    run_stock(stage)
    assert stage.look(good)["state"] == "succeeded"
    assert stage.look(written)["result"] == {"written": 1}
    assert stage.look(bad)["site_tries"] == 1
    assert len(stage.notes("echo")) == 1
    assert stage.sql("select count(*) from rowlock.runner where id > 0") == [(0,)]


def test_signals_of_the_terminal_do_not_reach_the_task(stage: Stage) -> None:
    worker = stage.worker()
    (run_id,) = stage.run("hold", release=str(stage.folder / "go"))
    stage.wait_note("begin")
    os.killpg(worker.pid, signal.SIGINT)  # Ctrl-C goes to the whole foreground group
    worker.wait_event("run_started")
    (stage.folder / "go").touch()
    stage.wait_state(run_id, "succeeded")
    assert worker.wait() == 0
