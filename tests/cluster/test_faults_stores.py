"""Redis loses everything, PostgreSQL is killed: rows are neither lost nor run twice."""

from contextlib import suppress

import pytest

from tests.cluster.conftest import MakeApplication
from tests.cluster.psql import QueryFailed
from tests.cluster.release import DATABASE_POD, Release, is_ready
from tests.services.process import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600)]
REDIS = "app.kubernetes.io/component=redis"


def test_rows_queued_in_a_redis_that_loses_everything_are_run_once_each(
    release: Release, two_workers: str, application: MakeApplication
) -> None:
    rows = 200
    app = application("redis", queue=two_workers)
    app.insert(1, rows)
    wait_until(lambda: len(app.log("started")) == 2, "both workers are busy")
    wait_until(lambda: app.count("queued") >= 60, "the queue in Redis is filled")
    [old] = release.pods(REDIS)
    members = int(release.kubectl("exec", old, "--", "redis-cli", "llen", "rq:queue:rowlock.faults"))
    assert members >= 60
    release.force_delete(old)
    wait_until(
        lambda: [p for name, p in release.pods(REDIS).items() if name != old and is_ready(p)],
        "a new Redis is ready",
        60,
    )
    app.open_gate()
    wait_until(lambda: app.statuses() == {"done": rows}, "every row is done", 60)
    assert app.runs("state", "attempt") == [["succeeded", "1"]] * rows
    assert sorted(row for row, _, _ in app.log("started")) == list(range(1, rows + 1))
    assert sorted(row for row, _, _ in app.log("finished")) == list(range(1, rows + 1))


def test_rows_outlive_a_kill_of_postgresql_and_their_effects_are_there_once(
    release: Release, two_workers: str, application: MakeApplication
) -> None:
    rows = 50
    app = application("postgresql", queue=two_workers)
    app.insert(1, rows)
    wait_until(lambda: len(app.log("started")) == 2, "both workers are busy")
    before = restarts(release)
    release.kubectl("exec", DATABASE_POD, "--", "sh", "-c", "kill -QUIT 1")
    wait_until(lambda: restarts(release) > before, "the kubelet restarts PostgreSQL", 60)

    def answers() -> bool:
        with suppress(QueryFailed):
            app.insert(rows + 1)
            return True
        return False

    wait_until(answers, "PostgreSQL takes a row again", 60)
    app.open_gate()
    wait_until(lambda: app.statuses() == {"done": rows + 1}, "every row is done", 90)
    assert {state for (state,) in app.runs("state")} == {"succeeded"}
    # What a task writes with run.transaction() commits with its finish: once, however often a run had to
    # start.
    assert sorted(row for row, _, _ in app.log("finished")) == list(range(1, rows + 2))
    wait_until(
        lambda: is_ready(release.pods("app.kubernetes.io/component=postgresql")[DATABASE_POD]),
        "its pod is ready",
        60,
    )


def restarts(release: Release) -> int:
    pod = release.find("pods", DATABASE_POD)
    assert pod is not None, "the pod stays, only its container is started anew"
    return int(pod["status"]["containerStatuses"][0]["restartCount"])
