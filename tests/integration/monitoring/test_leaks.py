"""Known secrets, looked for wherever the pipeline writes, after a run in which much went wrong."""

import base64
import logging
from typing import Any

import pytest
import redis

from tests.integration.monitoring.counting import requeue
from tests.integration.monitoring.stage import MonitoringStage, secret_words
from tests.services.process import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def in_redis(url: str) -> str:
    """Every key and value."""
    seen: list[str] = []
    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter(count=1000):
            kind: Any = client.type(key)
            read: dict[bytes, Any] = {
                b"string": client.get,
                b"hash": client.hgetall,
                b"set": client.smembers,
                b"list": lambda k: client.lrange(k, 0, -1),
                b"zset": lambda k: client.zrange(k, 0, -1, withscores=True),
                b"stream": client.xrange,
            }
            seen.append(f"{key!r} {read[kind](key)!r}")
    return "\n".join(seen)


def in_tables(stage: MonitoringStage, *schemas: str) -> str:
    """Every row of every table as text; bytes as text, too."""
    tables = stage.sql(
        "select format('%%I.%%I', schemaname, tablename) from pg_tables where schemaname = any(%s)",
        list(schemas),
    )
    return "\n".join(
        str(row) for (table,) in tables for (row,) in stage.sql(f"select t::text from {table} t")
    )


def test_no_secret_is_found_anywhere_after_a_run_with_failures(
    stage: MonitoringStage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for fault in ("error", "refused", "broken_body", "unauthorized"):
        stage.llm.llm.add_fault(fault, 1)
    stage.site.fault(errors={"times": 1, "status": 500, "path": "/articles/"})
    stage.work()
    wanted = stage.wanted(logins=("ada", "ben", "cleo"))
    wanted["logins"][1] = stage.login("ben", "not the password of ben")
    identity = stage.start(wanted)

    def written() -> bool:
        for _ in stage.sql(
            "update monitoring_processes set generation_stopped = null where generation_stopped is not null"
            " returning 1"
        ):
            stage.sql("select monitoring.mark_runnable(%s)", identity)
        return stage.count("generated") == 6

    wait_until(written, "all comments are written, after the model has refused some", 40)
    assert {400, 401, 500} <= {entry["status"] for entry in stage.llm.llm.log}
    wait_until(
        lambda: stage.sql("select failed_logins from mymoment_logins where name = 'ben'") == [(1,)],
        "ben is refused",
        20,
    )
    stage.site.fault(drop_after_post=1, expire_before_post=1, error_after_post=1, refuse_comments=None)
    stage.approve()
    stage.wait_count("posted", 5)
    stage.site.fault(changed_layout=True)
    stage.outcome(stage.run_task("sessions", "health_check_sessions"))
    requeue(stage, "dead")
    words = secret_words() | {"another password": "not the password of ben", "cleo's password": "pw-cleo"}
    cookies = [*stage.site.sessions]
    assert cookies
    words |= {f"cookie {n}": cookie for n, cookie in enumerate(cookies)}
    words |= {
        f"cookie {n} in base64": base64.b64encode(cookie.encode()).decode().rstrip("=")
        for n, cookie in enumerate(cookies)
    }
    logs = "\n".join(worker.log.read_text() for worker in stage.workers) + "\n" + caplog.text
    places = {
        "Redis": in_redis(stage.redis_url),
        "logs": logs,
        "ledger": in_tables(stage, "rowlock"),
        "domain": in_tables(stage, "public", "monitoring"),
        "commands": "\n".join(str(row) for row in stage.sql("select query from pg_stat_activity")),
    }
    # Looking works: what may be there is found.
    assert "rq:" in places["Redis"]
    assert "worker_started" in places["logs"]
    assert identity in places["ledger"]
    assert "ada" in places["domain"]
    found = {(place, name) for place, text in places.items() for name, word in words.items() if word in text}
    assert not found
