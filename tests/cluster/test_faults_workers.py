"""A worker pod goes, roughly or politely, and a row is deleted while its run waits for a worker."""

import time

import pytest

from tests.cluster.conftest import MakeApplication
from tests.cluster.release import Release
from tests.services.process import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600)]


def test_a_run_whose_worker_pod_is_killed_is_tried_again_within_15_s_at_no_cost_to_the_task(
    release: Release, two_workers: str, application: MakeApplication
) -> None:
    app = application("killed", queue=two_workers)
    app.insert(1)
    wait_until(lambda: app.log("started"), "the run starts")
    [(_, _, pod)] = app.log("started")
    release.force_delete(pod)
    killed = time.monotonic()
    wait_until(lambda: len(app.log("started")) == 2, "the run is tried again", 20)
    assert time.monotonic() - killed < 15
    # Not finished yet, so the failure of the first attempt is still beside the run.
    assert app.runs("state", "attempt", "failure->>'class'", "infra_tries", "app_tries") == [
        ["running", "2", "infra", "1", "0"]
    ]
    app.open_gate()
    wait_until(lambda: app.statuses() == {"done": 1}, "the application's row is done")
    assert app.runs("state", "attempt", "app_tries") == [["succeeded", "2", "0"]]
    (first, second) = app.log("started")
    assert (first[:2], second[:2]) == ((1, 1), (1, 2))
    assert second[2] != pod, "the second attempt ran in another pod"
    assert app.log("finished") == [second]


def test_a_run_whose_worker_pod_is_deleted_politely_ends_in_that_pod(
    release: Release, two_workers: str, application: MakeApplication
) -> None:
    app = application("drained", queue=two_workers)
    app.insert(1)
    wait_until(lambda: app.log("started"), "the run starts")
    [(_, _, pod)] = app.log("started")
    release.delete("pod", pod, wait=False)
    # Another pod is there and ready for work before the run goes on: a retry would have had where to go.
    wait_until(lambda: len(release.ready_workers(two_workers)) == 2, "the deleted pod is replaced", 60)
    app.insert(2)
    wait_until(lambda: len(app.log("started")) == 2, "the next row starts")
    assert app.log("started")[1][2] != pod, "a pod that drains takes nothing new"
    assert app.runs("state", "attempt") == [["running", "1"], ["running", "1"]]
    app.open_gate()
    wait_until(lambda: app.statuses() == {"done": 2}, "both rows are done")
    assert app.runs("state", "attempt") == [["succeeded", "1"], ["succeeded", "1"]]
    assert (1, 1, pod) in app.log("finished")
    wait_until(lambda: release.find("pods", pod) is None, "the drained pod ends by itself", 60)


def test_a_row_deleted_while_its_run_is_queued_is_not_run(
    two_workers: str, release: Release, application: MakeApplication
) -> None:
    app = application("deleted", queue=two_workers)
    app.insert(1, 2)
    wait_until(lambda: len(app.log("started")) == 2, "both workers are busy")
    app.insert(3, 4)
    wait_until(lambda: app.count("queued") == 2, "two runs wait in Redis")
    release.sql(f"delete from {app.table} where id = 3")
    wait_until(lambda: app.count("canceled") == 1, "the run of the deleted row is canceled", 10)
    app.open_gate()
    wait_until(lambda: app.statuses() == {"done": 3}, "the other rows are done")
    assert sorted(row for row, _, _ in app.log("started")) == [1, 2, 4]
    assert app.runs("state", "source_key")[2] == ["canceled", "3"]
