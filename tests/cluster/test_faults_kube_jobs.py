"""Rows whose pods find no node: the pile-up that other job controllers are known for."""

import time

import pytest

from tests.cluster.applications import exit_queue
from tests.cluster.conftest import MakeApplication
from tests.cluster.release import OPERATOR, Release
from tests.services.process import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600)]
QUEUE = "faults-nowhere"
ROWS = 100


def test_rows_that_cannot_be_scheduled_are_one_kube_job_each_until_their_queue_is_deleted(
    release: Release, application: MakeApplication
) -> None:
    template = {"nodeSelector": {"rowlock.dev/no-node-has-this": "true"}}
    release.apply(exit_queue(QUEUE, template=template, parallelism=ROWS, startingDeadlineSeconds=600))
    app = application("nowhere", queue=QUEUE)
    app.insert(1, ROWS)
    seen: set[str] = set()

    def kube_jobs() -> set[str]:
        names = {
            found["metadata"]["name"] for found in release.objects("jobs", f"rowlock.dev/work-queue={QUEUE}")
        }
        seen.update(names)
        return names

    wait_until(lambda: len(kube_jobs()) == ROWS, f"{ROWS} kube jobs", 60)
    operators = release.pods(OPERATOR)
    release.force_delete(*operators)
    # Looked at all the time, through a restart of the operator, so that a kube job too many is seen even if
    # it goes again.
    wait_until(
        lambda: len(kube_jobs()) != ROWS or release.leader() not in {"", *operators},
        "a new operator pod leads",
        60,
    )
    led = time.monotonic()
    # Three times as long as a launcher takes to miss a kube job (3 s) and to look again (2 s).
    wait_until(lambda: len(kube_jobs()) != ROWS or time.monotonic() - led > 15, "the window is over", 30)
    assert len(kube_jobs()) == len(seen) == ROWS
    assert app.count("launching") == ROWS

    release.delete("workqueue", QUEUE)
    wait_until(lambda: not kube_jobs(), "no kube job outlives its WorkQueue", 60)
    assert len(seen) == ROWS, "nothing was launched anew meanwhile"
    release.rowlock("cancel", *(run for (run,) in app.runs("id")))
    assert app.count("canceled") == ROWS
    wait_until(lambda: not release.pods(f"rowlock.dev/work-queue={QUEUE}"), "the pods are gone", 60)


def test_a_run_whose_queue_was_deleted_with_its_running_kube_job_runs_no_longer_and_can_be_canceled(
    release: Release, application: MakeApplication
) -> None:
    queue = "faults-gone"
    release.apply(exit_queue(queue))
    app = application("gone", queue=queue)
    app.insert(1)
    wait_until(lambda: app.count("running") == 1, "the run is running", 60)
    release.delete("workqueue", queue)
    wait_until(
        lambda: not release.objects("jobs", f"rowlock.dev/work-queue={queue}"),
        "the kube job goes with its WorkQueue",
        60,
    )
    wait_until(lambda: app.count("pending") == 1, "the run waits for its queue to come back", 30)
    [[run_id, attempt, failure]] = app.runs("id", "attempt", "failure->>'class'")
    assert (attempt, failure) == ("2", "infra")
    release.rowlock("cancel", run_id)
    assert app.runs("state") == [["canceled"]]
