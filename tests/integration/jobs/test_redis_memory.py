"""What runs leave in Redis is bounded by count, and a Redis that is full stops nobody who makes room."""

from pathlib import Path
from uuid import uuid4

import pytest
import redis
from rq.command import send_shutdown_command
from rq.job import Job

from rowlock_jobs.worker.rq_worker import rq_time
from rowlock_jobs.worker.transport import ExecutionRecord, Transport
from rowlock_operator.errors import RetryLater
from rowlock_operator.transport.redis_queues import RedisQueues
from tests.integration.jobs.stage import Stage
from tests.services.process import wait_until
from tests.services.redis import RedisServer

pytestmark = pytest.mark.integration
KEPT = 500


def _used(client: "redis.Redis") -> int:
    return int(client.info("memory")["used_memory"])


def _work_off(url: str, status: str, count: int) -> list[str]:
    """So many runs pushed as the operator does, and ended as a worker does; their ids, in that order."""
    ids = [f"{uuid4()}-1" for _ in range(count)]
    operator = RedisQueues(url)
    client = redis.Redis.from_url(url)
    transport = Transport(
        client, rq_queue="default.orders", worker_name="orders-7d9f7c6b9d-abcde.7.abcdef", rq_time=rq_time
    )
    try:
        operator.push("default/orders", ids, hard_seconds=60)
        claims = transport.turn([], want=16)
        while claims:
            claims = transport.turn(
                [ExecutionRecord(claim, status, 0.01, "app ValueError") for claim in claims], want=16
            )
    finally:
        transport.close()
        client.close()
        operator.close()
    return ids


@pytest.mark.parametrize(
    ("status", "registry"), [("finished", "finished"), ("failed", "failed"), ("stopped", "failed")]
)
def test_of_a_queue_the_last_ended_runs_are_kept_and_no_more(
    status: str, registry: str, own_redis: RedisServer
) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        _work_off(own_redis.url, status, 50)  # scripts are loaded, buffers are there
        client.delete(*client.keys("rq:[jfr]*"))
        before = _used(client)
        ids = _work_off(own_redis.url, status, 3 * KEPT)
        kept = {key.decode().removeprefix("rq:job:") for key in client.keys("rq:job:*")}
        assert len(kept) == KEPT
        assert kept < set(ids[-KEPT - 16 :])  # those that ended in one turn ended at once
        assert {key.decode().removeprefix("rq:results:") for key in client.keys("rq:results:*")} == kept
        assert {member.decode() for member in client.zrange(f"rq:{registry}:default.orders", 0, -1)} == kept
        # What docs/tuning.md counts with: 2 kB a kept run, so 1 MB of each kind.
        assert _used(client) - before < KEPT * 2_000
        last = Job.fetch(ids[-1], connection=client)
        assert (last.get_status(), last.latest_result().type.value) == (
            status,
            1 if status == "finished" else 2,
        )


def test_a_waiting_run_takes_less_than_a_kilobyte(own_redis: RedisServer) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        operator = RedisQueues(own_redis.url)
        operator.push("default/orders", [f"{uuid4()}-1"], hard_seconds=60)
        before = _used(client)
        ids = [f"{uuid4()}-1" for _ in range(1000)]
        operator.push("default/orders", ids, hard_seconds=60)
        assert (_used(client) - before) / 1000 < 1_000
        # a value above 64 bytes would double it
        assert client.object("encoding", f"rq:job:{ids[0]}") == b"listpack"
        operator.close()


def test_whatever_the_operator_and_a_worker_wrote_goes_by_itself_once_nobody_comes(
    own_redis: RedisServer,
) -> None:
    """A WorkQueue that is deleted leaves nothing in Redis for ever but its name."""
    _work_off(own_redis.url, "finished", 20)
    _work_off(own_redis.url, "failed", 20)
    operator = RedisQueues(own_redis.url)
    operator.push("default/orders", [f"{uuid4()}-1" for _ in range(20)], hard_seconds=60)
    operator.close()
    with redis.Redis.from_url(own_redis.url) as client:
        assert [key for key in client.keys("*") if client.ttl(key) == -1] == [b"rq:queues"]


def test_a_requeued_run_does_not_go_with_its_old_place_in_the_list(own_redis: RedisServer) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        (again, *_) = _work_off(own_redis.url, "failed", KEPT)
        client.hset(f"rq:job:{again}", "status", "queued")
        _work_off(own_redis.url, "failed", 10)
        assert client.hget(f"rq:job:{again}", "status") == b"queued"
        assert client.zcard("rq:failed:default.orders") == KEPT


def test_a_long_list_of_an_earlier_version_is_worked_off_in_turns(own_redis: RedisServer) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        client.zadd("rq:finished:default.orders", {f"old-{n}": n for n in range(3000)})
        _work_off(own_redis.url, "finished", 16)
        assert KEPT < client.zcard("rq:finished:default.orders") < 3000
        _work_off(own_redis.url, "finished", 3000)
        assert client.zcard("rq:finished:default.orders") == KEPT


def test_a_full_redis_stops_no_worker_from_taking_what_is_there(
    database: str, own_redis: RedisServer, tmp_path: Path
) -> None:
    stage = Stage(database, own_redis.url, tmp_path)
    try:
        waiting = stage.run("noop", 60) + stage.run("raises", error="Permanent")
        stage.redis.config_set("maxmemory", 1)  # nothing that takes memory is taken any more
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            stage.redis.set("one", "more")
        worker = stage.worker()  # starts in it, too
        worker.wait_event("redis_full")
        stage.wait_ended(waiting)
        assert len(stage.notes("noop")) == 60
        wait_until(lambda: not stage.redis.keys("rq:job:*"), "nothing of what ended is kept")
        operator = RedisQueues(own_redis.url)
        with pytest.raises(RetryLater, match="it is full .*maxmemory"):
            operator.push("default/orders", [f"{uuid4()}-1"], hard_seconds=60)
        operator.close()
        stage.redis.config_set("maxmemory", 0)
        stage.wait_ended(stage.run("noop", 3))
        worker.wait_event("redis_has_room")
        assert not worker.events("redis_away")
        stage.redis.config_set("maxmemory", 1)
        send_shutdown_command(stage.redis, worker.events("worker_started")[0]["worker"])
        assert worker.wait() == 0
        assert stage.redis.keys("rq:execution:*") == []
    finally:
        stage.close()


def test_a_worker_that_is_idle_in_a_full_redis_takes_what_comes_once_there_is_room(
    database: str, own_redis: RedisServer, tmp_path: Path
) -> None:
    stage = Stage(database, own_redis.url, tmp_path)
    try:
        worker = stage.worker()
        stage.redis.config_set("maxmemory", 1)
        worker.wait_event("redis_full")
        (held,) = stage.enqueue("noop")
        stage.redis.config_set("maxmemory", 0)
        stage.dispatch(1)
        stage.wait_ended([held])
    finally:
        stage.close()
