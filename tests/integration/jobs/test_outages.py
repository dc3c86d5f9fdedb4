"""Redis and PostgreSQL go away under a busy worker; pods end under load. Nothing is lost, nothing runs
twice.
"""

import os
import random
import signal
from pathlib import Path

import pytest

from rowlock_jobs.worker.supervisor import part_file
from tests.integration.jobs.stage import RQ_QUEUE, Stage, process_exists
from tests.services.pgbouncer import PgBouncer
from tests.services.postgres import PostgresServer
from tests.services.process import wait_until
from tests.services.redis import RedisServer

pytestmark = pytest.mark.integration


def test_a_run_that_succeeds_while_redis_is_away_is_recorded_as_succeeded(
    database: str, own_redis: RedisServer, tmp_path: Path
) -> None:
    stage = Stage(database, own_redis.url, tmp_path)
    try:
        worker = stage.worker()
        (run_id,) = stage.run("hold", release=str(tmp_path / "go"))
        stage.wait_note("begin")
        own_redis.kill()
        (tmp_path / "go").touch()
        assert stage.wait_state(run_id, "succeeded")["attempt"] == 1
        own_redis.start()  # empty: it had no persistence
        stage.wait_ended(stage.run("noop", 3))
        worker.wait_event("redis_back")
        wait_until(lambda: stage.redis.scard("rq:workers") == 1, "the worker is listed again")
        worker.terminate()
        assert worker.wait() == 0
    finally:
        stage.close()


def test_a_worker_that_starts_before_redis_waits_for_it(
    database: str, own_redis: RedisServer, tmp_path: Path
) -> None:
    own_redis.kill()
    stage = Stage(database, own_redis.url, tmp_path)
    try:
        worker = stage.worker(ready=False)
        worker.wait_event("redis_away")
        own_redis.start()
        worker.wait_event("worker_started")
        stage.wait_ended(stage.run("noop"))
    finally:
        stage.close()


def test_flushall_under_a_run_changes_nothing_for_the_run(stage: Stage) -> None:
    stage.worker()
    (run_id,) = stage.run("hold", release=str(stage.folder / "go"))
    stage.wait_note("begin")
    stage.redis.flushall()
    (stage.folder / "go").touch()
    stage.wait_state(run_id, "succeeded")
    stage.wait_ended(stage.run("noop", 3))
    wait_until(lambda: stage.redis.scard("rq:workers") == 1, "the worker is listed again")
    assert stage.redis.keys("rq:execution:*") == []
    assert not stage.redis.exists(f"rq:job:{run_id}-1")


def test_a_database_that_restarts_under_runs_loses_no_outcome(
    own_postgres: PostgresServer, redis_url: str, tmp_path: Path
) -> None:
    """The outcome of a run that ends while the database is away is kept and recorded when it is back."""
    stage = Stage(own_postgres.new_database(), redis_url, tmp_path)
    try:
        worker = stage.worker()
        (run_id,) = stage.run("hold", release=str(tmp_path / "go"))
        stage.wait_note("begin")
        stage.run("noop", 5)
        own_postgres.kill()
        (tmp_path / "go").touch()
        worker.wait_event("database_away")
        stage.wait_note("end")
        assert stage.notes("noop") == []  # none is taken while that outcome is not recorded
        own_postgres.start()
        found = stage.wait_state(run_id, "succeeded")
        assert found["attempt"] == 1
        worker.wait_event("database_back")
        wait_until(
            lambda: stage.sql("select count(*) from rowlock.done where state = 'succeeded'")[0][0] == 6,
            "all six succeeded",
            30,
        )
        assert len(stage.notes("noop")) == 5
    finally:
        stage.close()


def test_backends_killed_under_load_lose_nothing_and_strand_nothing(stage: Stage) -> None:
    """Replies of cycle_v1 are lost at random moments: a start that may have happened must not stay running
    under a living lease.
    """
    for _ in range(2):
        stage.worker()
    ids = stage.run("noop", 400)
    kill = (
        "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name like"
        " 'rowlock-worker%%'"
    )
    done = "select count(*) from rowlock.done where id = any(%s::uuid[]) and state = 'succeeded'"

    def finished() -> bool:
        stage.sql(kill)
        stage.push(
            [
                f"{i}-{a}"
                for i, a in stage.sql(
                    "select id::text, attempt from rowlock.round_v1(array(select id from rowlock.queue),"
                    " array[1000]) where id is not null"
                )
            ]
        )
        return bool(stage.sql(done, ids)[0][0] == len(ids))

    wait_until(finished, "all succeeded", 40)
    starts = [tuple(line.split()[:2]) for line in stage.notes("noop")]
    assert len(starts) == len(set(starts))  # no attempt ran twice


def test_redis_connections_cut_under_load_lose_nothing_and_strand_nothing(stage: Stage) -> None:
    """A turn whose reply was lost is settled by the worker's own set of executions: its claim is run, its
    ending recorded once.
    """
    ids = stage.run("noop", 300)
    worker = stage.worker()
    for cut in range(20):
        wait_until(lambda seen=cut * 12: len(stage.notes("noop")) >= seen, "the worker is at full speed")
        stage.redis.client_kill_filter(_type="normal", skipme=True)
    stage.wait_ended(ids)
    assert len(stage.notes("noop")) == len(ids)
    assert len(worker.events("redis_away")) > 3
    worker.terminate()
    assert worker.wait() == 0
    assert stage.redis.zcard(f"rq:finished:{RQ_QUEUE}") == len(ids)
    assert stage.redis.keys("rq:execution:*") == []
    assert int(
        stage.redis.hget(f"rq:worker:{worker.events('worker_started')[0]['worker']}", "successful_job_count")
    ) == len(ids)


def test_an_id_taken_while_the_database_is_away_goes_back_when_the_worker_must_end(
    own_postgres: PostgresServer, redis_url: str, tmp_path: Path
) -> None:
    stage = Stage(own_postgres.new_database(), redis_url, tmp_path)
    try:
        worker = stage.worker()
        (run_id,) = stage.enqueue("noop")
        own_postgres.kill()
        stage.push([f"{run_id}-1"])
        worker.wait_event("database_away", 2)
        worker.terminate()
        assert worker.wait() == 0
        assert stage.redis.lrange(f"rq:queue:{RQ_QUEUE}", 0, -1) == [f"{run_id}-1".encode()]
        assert stage.redis.hget(f"rq:job:{run_id}-1", "status") == b"queued"
        assert stage.redis.zcard(f"rq:wip:{RQ_QUEUE}") == 0
    finally:
        stage.close()


def test_the_worker_works_through_pgbouncer_in_transaction_mode(
    database: str, redis_url: str, pgbouncer: PgBouncer, tmp_path: Path
) -> None:
    stage = Stage(database, redis_url, tmp_path)
    try:
        for _ in range(2):
            stage.worker(database_url=pgbouncer.url(database))
        ids = stage.run("noop", 50) + stage.run("writes", 5) + stage.run("effect", 5)
        stage.wait_ended(ids)
        assert {stage.look(run_id)["state"] for run_id in ids} == {"succeeded"}
        # The timeout of a fence call did not leak into the pooled server connections.
        assert stage.sql("show statement_timeout") == [("0",)]
    finally:
        stage.close()


def test_sigterm_under_load_strands_nothing_in_thirty_tries(stage: Stage) -> None:
    ids = stage.run("noop", 3000)
    choose = random.Random(7)
    queue = f"rq:queue:{RQ_QUEUE}"
    for _ in range(30):
        done = len(stage.notes("noop"))
        worker = stage.worker()
        wanted = done + choose.randrange(1, 25)
        wait_until(lambda w=wanted: len(stage.notes("noop")) >= w, "the worker is at full speed")
        worker.terminate()
        assert worker.wait() == 0
        listed = {entry.decode().rpartition("-")[0] for entry in stage.redis.lrange(queue, 0, -1)}
        states = dict(stage.sql("select id::text, state from rowlock.run"))
        assert {i for i in ids if states[i] == "queued"} == listed
        assert {i for i in ids if states[i] == "succeeded"} == set(ids) - listed
        assert stage.redis.llen(f"{queue}:intermediate") == 0
        assert stage.redis.keys("rq:execution:*") == []
    assert len(stage.notes("noop")) == len(ids) - len(listed)


def test_sigterm_lets_the_current_run_finish(stage: Stage) -> None:
    worker = stage.worker()
    first, second = stage.run("hold", 2, release=str(stage.folder / "go"))
    stage.wait_note("begin")
    worker.terminate()
    wait_until(
        lambda: stage.sql(
            "select lease_until > clock_timestamp() + interval '9 seconds' from rowlock.runner where id > 0"
        )[0][0],
        "renewed",
    )
    assert worker.poll() is None
    (stage.folder / "go").touch()
    assert worker.wait() == 0
    assert sorted([stage.look(first)["state"], stage.look(second)["state"]]) == ["queued", "succeeded"]


@pytest.mark.parametrize("again", [True, False], ids=["a second SIGTERM", "the end of the grace period"])
def test_a_run_that_may_not_finish_is_killed_and_retried_at_once(stage: Stage, again: bool) -> None:
    worker = stage.worker(grace_seconds="60" if again else "0.3")
    (run_id,) = stage.run("hold", release=str(stage.folder / "never"))
    child = int(stage.wait_note("begin").split()[2])
    worker.terminate()
    if again:
        wait_until(
            lambda: not worker.send(signal.SIGTERM) and worker.poll() is not None,
            "ended after a second SIGTERM",
        )
    assert worker.wait() == 0
    assert not process_exists(child)
    found = stage.look(run_id)
    assert (found["state"], found["attempt"], found["infra_tries"], found["app_tries"]) == (
        "pending",
        2,
        1,
        0,
    )


def test_many_idle_workers_wake_one_by_one_and_run_each_id_once(stage: Stage) -> None:
    for _ in range(8):
        stage.worker()
    queue = f"rq:queue:{RQ_QUEUE}"
    wait_until(lambda: sum(c["cmd"] == "blmove" for c in stage.redis.client_list()) == 8, "all wait")
    before = stage.redis.info("commandstats")["cmdstat_evalsha"]["calls"]
    (run_id,) = stage.run("noop")
    stage.wait_ended([run_id])
    # One turn takes the id, one records its end; an idle worker turns once a second besides.
    assert stage.redis.info("commandstats")["cmdstat_evalsha"]["calls"] - before <= 2 + 8 * 2
    ids = stage.run("noop", 60)
    stage.wait_ended(ids)
    assert len(stage.notes("noop")) == 61
    assert stage.redis.llen(queue) == stage.redis.llen(f"{queue}:intermediate") == 0


def test_several_workers_in_a_pod_are_restarted_and_stopped_together(stage: Stage) -> None:
    pod = stage.worker(processes="2", ready=False)
    pod.wait_event("worker_started", 2)
    first, second = (event["pid"] for event in pod.events("worker_started"))
    wait_until((stage.folder / "alive").exists, "the pod is alive")
    os.kill(first, signal.SIGKILL)
    pod.wait_event("worker_died")
    pod.wait_event("worker_started", 3)
    stage.wait_ended(stage.run("noop", 20))
    assert all(part_file(stage.folder / "alive", n).exists() for n in range(2))
    third = pod.events("worker_started")[2]["pid"]
    pod.terminate()
    assert pod.wait() == 0
    assert not any(process_exists(pid) for pid in (second, third))


def test_the_alive_command_follows_the_loop(stage: Stage) -> None:
    worker = stage.worker()
    assert stage.worker("alive", ready=False).wait() == 0
    worker.terminate()
    assert worker.wait() == 0
    (stage.folder / "alive").unlink()
    assert stage.worker("alive", ready=False, fresh=True).wait() == 1
