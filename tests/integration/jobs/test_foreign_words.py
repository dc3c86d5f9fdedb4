"""Whoever reaches Redis can push ids, publish commands and damage records: none of it ends a worker or keeps
it from its runs.
"""

import json
from typing import Any

import pytest

from rowlock_jobs import wiring
from rowlock_jobs.worker import rq_worker
from tests.integration.jobs.stage import RQ_QUEUE, Stage
from tests.services.process import wait_until

pytestmark = pytest.mark.integration

RUN = "01a206a9-693f-7ce0-93cb-cfb87fa51e52"
QUEUE_KEY = f"rq:queue:{RQ_QUEUE}"

# What stands where an id should.
IDS: dict[str, bytes] = {
    "nothing": b"",
    "36 characters, hyphens at odd places": b"01a2-06a9693f7ce093cb-cfb87-fa51e52a-1",
    "hyphens in front": b"----" + b"0" * 32 + b"-1",
    "no attempt": RUN.encode(),
    "leading zero": f"{RUN}-01".encode(),
    "attempt zero": f"{RUN}-0".encode(),
    "line end": f"{RUN}-1\n".encode(),
    "not UTF-8": b"\xff\xfe" + RUN.encode()[2:] + b"-1",
    "half a surrogate pair": b"\xed\xa0\x80-1",
    "NUL": b"\x00" * 36 + b"-1",
    "10 MB": b"x" * 10_000_000,
    "10 MB of bytes": b"\xff" * 10_000_000,
    "braces": b"{0}%s:1",
}


def test_an_id_that_is_none_is_dropped_with_a_word_by_the_worker_that_meets_it(stage: Stage) -> None:
    worker = stage.worker()
    for raw in IDS.values():  # met by the wait of an idle worker
        stage.redis.rpush(QUEUE_KEY, raw)
    stage.wait_ended(stage.run("noop", 3))
    refused = worker.events("run_refused")
    assert [event["reason"] for event in refused] == ["NotARunId"] * len(IDS)
    assert max(len(event["rq_id"]) for event in refused) < 1000
    assert stage.redis.llen(QUEUE_KEY) == stage.redis.llen(f"{QUEUE_KEY}:intermediate") == 0


def test_an_id_written_in_another_way_does_not_start_a_run_that_nobody_holds(stage: Stage) -> None:
    (run_id,) = stage.enqueue("noop")
    rows = stage.sql(
        "select id::text, attempt from rowlock.round_v1(array(select id from rowlock.queue), array[9]) where"
        " id is not null"
    )
    assert rows == [(run_id, 1)]
    worker = stage.worker()
    stage.push([f"{run_id}-01"])
    worker.wait_event("run_refused")
    assert stage.look(run_id)["state"] == "queued"
    stage.push([f"{run_id}-1"])
    stage.wait_ended([run_id])


def test_a_record_of_another_kind_costs_its_run_nothing(stage: Stage) -> None:
    """Somebody wrote a text where RQ's hash of the id should be."""
    stage.worker()
    ids = stage.enqueue("noop", 2)
    rows = stage.sql(
        "select id::text, attempt from rowlock.round_v1(array(select id from rowlock.queue), array[9]) where"
        " id is not null"
    )
    for run_id, attempt in rows:
        stage.redis.set(f"rq:job:{run_id}-{attempt}", "not a hash")
        stage.redis.rpush(QUEUE_KEY, f"{run_id}-{attempt}")
    stage.wait_ended(ids)
    assert {(stage.look(run)["state"], stage.look(run)["attempt"]) for run in ids} == {("succeeded", 1)}


MESSAGES: list[bytes | str] = [
    b"\xff\xfe",
    "",
    "not JSON",
    "null",
    "17",
    '"shutdown"',
    "[]",
    '["stop-job"]',
    "{}",
    '{"command": null}',
    '{"command": ["stop-job"]}',
    '{"command": {"stop": 1}}',
    '{"command": "format-disk"}',
    '{"command": "stop-execution", "execution_id": [1], "job_id": 7}',
    '{"command": "stop-job", "job_id": {"a": 1}}',
    "[" * 100_000,
    '{"command": "kill-horse"}',  # right, and there is nothing to kill
]


def test_a_message_that_is_no_command_is_told_and_the_next_one_is_obeyed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring, "BEAT_SECONDS", 0.2)
    worker = stage.worker()
    (name,) = (key.decode().removeprefix("rq:worker:") for key in stage.redis.smembers("rq:workers"))
    channel = f"rq:pubsub:{name}"
    wait_until(lambda: stage.redis.pubsub_numsub(channel)[0][1] == 1, "the worker listens")
    for message in MESSAGES:
        stage.redis.publish(channel, message)
    worker.wait_event("rq_command_refused", len(MESSAGES) - 1)
    stage.wait_ended(stage.run("noop"))
    (held,) = stage.run("hold", release=str(stage.folder / "never"))
    stage.wait_note("begin")
    stage.redis.publish(channel, json.dumps({"command": "stop-job", "job_id": f"{held}-1"}))
    stage.wait_state(held, "canceled")
    assert worker.poll() is None


DAMAGED: dict[str, dict[str, Any]] = {
    "no date": {"created_at": "yesterday", "data": b"\x00", "status": "started"},
    "status unknown": {"created_at": "2026-01-01T00:00:00Z", "data": b"x", "status": "melted"},
    "numbers": {
        "created_at": "2026-01-01T00:00:00Z",
        "data": b"x",
        "status": "started",
        "result_ttl": "soon",
        "timeout": "[]",
    },
    "not UTF-8": {
        "created_at": "2026-01-01T00:00:00Z",
        "data": b"x",
        "status": b"\xff",
        "worker_name": b"\xff",
    },
    "dependencies": {
        "created_at": "2026-01-01T00:00:00Z",
        "data": b"x",
        "status": "started",
        "dependency_ids": "{",
    },
    "no data": {"status": "started"},
    "callback": {
        "created_at": "2026-01-01T00:00:00Z",
        "data": b"x",
        "status": "started",
        "failure_callback_name": "os.abort",
        "failure_callback_timeout": "1",
    },
}


def test_damaged_records_that_maintenance_meets_neither_end_the_worker_nor_keep_the_others_from_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is listed where RQ's maintenance looks: executions that lapsed, ids that a worker died with, ids
    that became ready.
    """
    monkeypatch.setattr(wiring, "BEAT_SECONDS", 0.2)
    monkeypatch.setattr(rq_worker, "MAINTENANCE_SECONDS", 0)
    for number, fields in enumerate(DAMAGED.values()):
        stage.redis.hset(f"rq:job:damaged{number}", mapping=fields)
        stage.redis.zadd(f"rq:wip:{RQ_QUEUE}", {f"damaged{number}:execution": 1})
        stage.redis.rpush(f"{QUEUE_KEY}:intermediate", f"damaged{number}")
        stage.redis.zadd(f"rq:ready:{RQ_QUEUE}", {f"damaged{number}": 1})
    stage.redis.set("rq:job:text", "not a hash")
    stage.redis.zadd(f"rq:wip:{RQ_QUEUE}", {"text:execution": 1})
    stage.redis.rpush(f"{QUEUE_KEY}:intermediate", b"\xff\xfe", "gone")
    stage.redis.set(f"rq:deferred:{RQ_QUEUE}", "not a set")
    worker = stage.worker()
    worker.wait_event("rq_record_damaged", 2)
    wait_until(
        lambda: b"gone" not in stage.redis.lrange(f"{QUEUE_KEY}:intermediate", 0, -1), "the others are tidied"
    )
    wait_until(lambda: not stage.redis.exists(f"rq:clean_registries:{RQ_QUEUE}"), "the lock is given back")
    stage.wait_ended(stage.run("noop", 3))
    assert worker.poll() is None
