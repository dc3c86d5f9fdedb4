"""What the real job controller makes of our kube jobs, and that the outcome is read from it rightly, with the
pod and after it is gone.

There is no kubelet: the test itself writes what a kubelet would write into the pod's status.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.decide.outcome import Failed, Outcome, Started, Succeeded, decide_outcome
from rowlock_operator.desired.installation import Installation
from rowlock_operator.desired.kube_jobs import build_exit_job
from rowlock_operator.desired.runs import RunToLaunch
from rowlock_operator.observed.kube_jobs import KubeJobSeen, observe_kube_job
from rowlock_operator.observed.pods import PodSeen, observe_pod
from tests.services.kube import KubeControlPlane
from tests.services.manifests import exit_queue
from tests.services.process import wait_until

pytestmark = pytest.mark.integration

JOBS, PODS = "/apis/batch/v1/namespaces/default/jobs", "/api/v1/namespaces/default/pods"
STARTED = "2026-01-01T12:00:03Z"


@pytest.fixture(scope="module")
def plane() -> Iterator[KubeControlPlane]:
    made = KubeControlPlane(controller_manager=True)
    made.start()
    try:
        yield made
    finally:
        made.stop()


@dataclass
class Launched:
    """One kube job and the pod that the job controller made for it."""

    plane: KubeControlPlane
    queue: WorkQueue
    name: str
    pod_name: str = ""

    def kube_job(self) -> KubeJobSeen:
        seen = observe_kube_job(self.plane.request("GET", f"{JOBS}/{self.name}")[1])
        assert seen is not None
        return seen

    def pods(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.plane.request(
            "GET", f"{PODS}?labelSelector=batch.kubernetes.io/job-name%3D{self.name}"
        )[1]["items"]
        return found

    def kubelet_writes(self, phase: str, state: dict[str, Any], *conditions: dict[str, Any]) -> None:
        status = {"phase": phase, "containerStatuses": [_container(state)], "conditions": list(conditions)}
        merge = "application/merge-patch+json"
        code, answer = self.plane.request(
            "PATCH", f"{PODS}/{self.pod_name}/status", {"status": status}, content_type=merge
        )
        assert code == 200, answer

    def wait_for_end(self) -> None:
        wait_until(lambda: self.kube_job().ended, f"kube job {self.name} ended", 30)

    def pod_goes(self) -> None:
        self.plane.request("DELETE", f"{PODS}/{self.pod_name}", {"gracePeriodSeconds": 0})
        wait_until(lambda: self.pods() == [], "the pod is gone", 10)

    def outcome(self) -> Outcome | None:
        pods = self.pods()
        assert len(pods) <= 1, "a second pod would be a second start of the same attempt"
        pod: PodSeen | None = observe_pod(pods[0]) if pods else None
        return decide_outcome(self.queue.spec, kube_job=self.kube_job(), pod=pod, now=datetime.now(UTC))


def _container(state: dict[str, Any]) -> dict[str, Any]:
    return {"name": "main", "image": "x:1", "imageID": "", "ready": False, "restartCount": 0, "state": state}


def _terminated(code: int, message: str = "") -> dict[str, Any]:
    return {
        "terminated": {
            "exitCode": code,
            "reason": "Error",
            "message": message,
            "startedAt": STARTED,
            "finishedAt": STARTED,
        }
    }


@pytest.fixture
def launched(plane: KubeControlPlane) -> Iterator[Launched]:
    yield from _launch(plane, WorkQueue.parse(exit_queue()))


@pytest.fixture
def launched_briefly(plane: KubeControlPlane) -> Iterator[Launched]:
    """Two seconds to run and five to start: the least there is."""
    manifest = exit_queue(limits={"softSeconds": 1, "hardSeconds": 2}, startingDeadlineSeconds=5)
    yield from _launch(plane, WorkQueue.parse(manifest))


def _launch(plane: KubeControlPlane, queue: WorkQueue) -> Iterator[Launched]:
    run = RunToLaunch(run_id=str(uuid.uuid4()), attempt=1, task="resize", args={"id": 1})
    kube_job = build_exit_job(
        queue=queue, installation=Installation(worker_image="rowlock/worker:1.0"), run=run
    )
    # The WorkQueue is not in this cluster, so the garbage collector would take an owned kube job for an
    # orphan.
    del kube_job["metadata"]["ownerReferences"]
    code, answer = plane.request("POST", f"{JOBS}?fieldValidation=Strict", kube_job)
    assert code == 201, answer
    made = Launched(plane, queue, kube_job["metadata"]["name"])
    try:
        made.pod_name = wait_until(made.pods, "the job controller made a pod", 20)[0]["metadata"]["name"]  # type: ignore[index]
        yield made
    finally:
        plane.request("DELETE", f"{JOBS}/{made.name}", {"propagationPolicy": "Background"})


def test_a_pod_that_runs_has_started(launched: Launched) -> None:
    assert launched.outcome() is None
    launched.kubelet_writes(
        "Running", {"running": {"startedAt": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}}
    )
    assert isinstance(launched.outcome(), Started)


def test_exit_code_0_succeeds_before_and_after_the_kube_job_knows(launched: Launched) -> None:
    launched.kubelet_writes("Succeeded", _terminated(0, '{"pages": 3}'))
    assert launched.outcome() == Succeeded(
        result={"pages": 3}, started_at=datetime(2026, 1, 1, 12, 0, 3, tzinfo=UTC)
    )
    launched.wait_for_end()
    assert launched.kube_job().complete
    launched.pod_goes()
    assert launched.outcome() == Succeeded(result={})


def test_another_exit_code_is_the_tasks_failure_even_once_the_pod_is_gone(launched: Launched) -> None:
    launched.kubelet_writes("Failed", _terminated(3, "no such picture"))
    launched.wait_for_end()
    failed = launched.outcome()
    assert isinstance(failed, Failed)
    assert (failed.failure_class, failed.reason, failed.message) == ("app", "ExitCode", "no such picture")
    launched.pod_goes()
    failed = launched.outcome()
    assert isinstance(failed, Failed)
    assert (failed.failure_class, failed.reason, failed.message) == ("app", "ExitCode", "exit code 3")


def test_wrong_input_is_told_from_a_failure_even_once_the_pod_is_gone(launched: Launched) -> None:
    launched.kubelet_writes("Failed", _terminated(65))
    launched.wait_for_end()
    launched.pod_goes()
    failed = launched.outcome()
    assert isinstance(failed, Failed)
    assert (failed.failure_class, failed.reason) == ("input", "DataError")


def test_a_disruption_is_the_platforms_failure_even_once_the_pod_is_gone(launched: Launched) -> None:
    disrupted = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "PreemptionByScheduler",
        "message": "a more important pod",
    }
    launched.kubelet_writes("Failed", _terminated(143), disrupted)
    launched.wait_for_end()
    failed = launched.outcome()
    assert isinstance(failed, Failed)
    assert (failed.failure_class, failed.reason) == ("infra", "Preempted")
    launched.pod_goes()
    failed = launched.outcome()
    assert isinstance(failed, Failed)
    assert (failed.failure_class, failed.reason) == ("infra", "Disrupted")


@pytest.mark.slow  # without a kubelet the pod waits for the pod garbage collector's next round
def test_an_eviction_is_the_platforms_failure_and_makes_no_second_pod(launched: Launched) -> None:
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": launched.pod_name, "namespace": "default"},
    }
    code, answer = launched.plane.request("POST", f"{PODS}/{launched.pod_name}/eviction", eviction)
    assert code == 201, answer
    launched.wait_for_end()
    failed = launched.outcome()
    assert isinstance(failed, Failed)
    assert failed.failure_class == "infra"


@pytest.mark.slow  # without a kubelet the pod waits for the pod garbage collector's next round
def test_a_deleted_pod_is_the_platforms_failure_and_makes_no_second_pod(launched: Launched) -> None:
    launched.plane.request("DELETE", f"{PODS}/{launched.pod_name}", {"gracePeriodSeconds": 0})
    launched.wait_for_end()
    failed = launched.outcome()
    assert isinstance(failed, Failed)
    assert (failed.failure_class, failed.reason) == ("infra", "PodLost")


def test_a_pod_that_never_starts_is_an_infra_failure_after_the_starting_deadline(
    launched_briefly: Launched,
) -> None:
    wait_until(lambda: isinstance(launched_briefly.outcome(), Failed), "overdue", 15)
    overdue = launched_briefly.outcome()
    assert isinstance(overdue, Failed)
    assert overdue.failure_class == "infra"
    launched_briefly.wait_for_end()
    assert launched_briefly.kube_job().failed_reason == "DeadlineExceeded"
    failed = launched_briefly.outcome()
    assert isinstance(failed, Failed)
    # Its pod is gone by now: whether it had begun nobody can tell any more, so that it is not taken for one
    # that never did.
    assert (failed.failure_class, failed.reason) == ("infra", "PodLost")
