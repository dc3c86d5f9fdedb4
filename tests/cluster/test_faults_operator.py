"""Both operator pods are killed while work of both kinds runs."""

import time

import pytest

from tests.cluster.applications import exit_queue
from tests.cluster.conftest import MakeApplication
from tests.cluster.release import OPERATOR, Release, uids
from tests.services.process import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600)]


def test_work_goes_on_untouched_while_the_operator_is_killed(
    release: Release, two_workers: str, application: MakeApplication
) -> None:
    release.apply(exit_queue("faults-exit"))
    by_worker, by_kube_job = (
        application("without-operator", queue=two_workers),
        application("without-operator-exit", queue="faults-exit"),
    )
    by_worker.insert(1, 2)
    by_kube_job.insert(1)
    wait_until(lambda: len(by_worker.log("started")) == 2, "both workers are busy")
    wait_until(lambda: by_kube_job.count("running") == 1, "the kube job's run is running", 60)
    before = uids(release.workers(two_workers)) | uids(by_kube_job.kube_pods())
    operators = release.pods(OPERATOR)
    assert (len(operators), len(before)) == (2, 3)

    release.force_delete(*operators)
    killed = time.monotonic()
    by_worker.insert(3)
    wait_until(lambda: release.leader() not in {"", *operators}, "a new operator pod leads", 30)
    assert time.monotonic() - killed < 20

    by_worker.open_gate()
    by_kube_job.let_go()
    wait_until(lambda: by_worker.statuses() == {"done": 3}, "the workers' rows are done", 60)
    wait_until(lambda: by_kube_job.statuses() == {"done": 1}, "the kube job's row is done", 60)
    assert uids(release.workers(two_workers)).items() <= before.items()
    assert by_worker.runs("state", "attempt") == [["succeeded", "1"]] * 3
    assert by_kube_job.runs("state", "attempt", "result->>'row'") == [["succeeded", "1", "1"]]
    assert sorted(row for row, _, _ in by_worker.log("started")) == [1, 2, 3]
    assert sorted(row for row, _, _ in by_worker.log("finished")) == [1, 2, 3]
    release.delete("workqueue", "faults-exit")
