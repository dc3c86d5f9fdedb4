"""A WorkQueue is edited while its runs run."""

import pytest

from tests.cluster.applications import exit_queue, workers_queue
from tests.cluster.conftest import MakeApplication
from tests.cluster.release import Release, uids
from tests.services.process import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600)]
EDITED = {"metadata": {"labels": {"edition": "second"}}}


def test_an_edit_of_limits_and_template_reaches_new_pods_and_interrupts_no_run(
    release: Release, application: MakeApplication
) -> None:
    one = {"min": 1, "max": 1}
    release.apply(workers_queue("faults-edited", scaling=one), exit_queue("faults-edited-exit"))
    by_worker, by_kube_job = (
        application("edited", queue="faults-edited"),
        application("edited-exit", queue="faults-edited-exit"),
    )
    by_worker.insert(1)
    by_kube_job.insert(1)
    wait_until(lambda: by_worker.log("started"), "the worker's run starts", 60)
    [(_, _, old)] = by_worker.log("started")
    wait_until(lambda: by_kube_job.count("running") == 1, "the kube job's run is running", 60)
    running = uids(by_kube_job.kube_pods())

    limits = {"softSeconds": 200, "hardSeconds": 400, "tasksPerChild": 7}
    edited = workers_queue("faults-edited", scaling=one, limits=limits)
    edited["spec"]["template"].update(EDITED)
    release.apply(edited, exit_queue("faults-edited-exit", template=EDITED, limits=limits))

    def new_workers() -> set[str]:
        return {
            n
            for n, p in release.ready_workers("faults-edited").items()
            if p["metadata"]["labels"].get("edition") == "second"
        }

    wait_until(
        lambda: new_workers() and old not in release.workers("faults-edited"),
        "a new worker is ready, the old one drains",
        90,
    )
    assert by_worker.runs("state", "attempt") == [["running", "1"]]
    assert uids(by_kube_job.kube_pods()) == running
    by_worker.insert(2)
    by_kube_job.insert(2)
    wait_until(lambda: by_kube_job.count("running") == 2, "the next kube job's run is running", 60)
    [second] = [p for p in by_kube_job.kube_pods().values() if p["metadata"]["uid"] not in running.values()]
    assert second["metadata"]["labels"]["edition"] == "second"
    by_kube_job.let_go()
    by_worker.open_gate()
    wait_until(lambda: by_worker.statuses() == {"done": 2}, "the workers' rows are done")
    wait_until(lambda: by_kube_job.statuses() == {"done": 2}, "the kube jobs' rows are done", 60)
    assert by_worker.runs("state", "attempt") == [["succeeded", "1"]] * 2
    assert by_kube_job.runs("state", "attempt") == [["succeeded", "1"]] * 2
    assert (1, 1, old) in by_worker.log("finished"), "the run ended in the pod that it began in"
    release.delete("workqueue", "faults-edited", "faults-edited-exit")
