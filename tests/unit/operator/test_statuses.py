"""Statuses: what a user reads, and that nothing is written when nothing is new."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rowlock_operator.api import reasons
from rowlock_operator.api.row_source import RowSource
from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.observed.deployments import DeploymentSeen, observe_deployment
from rowlock_operator.observed.pods import PodSeen, Termination, observe_pod
from rowlock_operator.observed.queues import Depth, PodProblem, QueueObservation, SourceObservation, Trouble
from rowlock_operator.status.counters import display
from rowlock_operator.status.pod_problems import pod_problems
from rowlock_operator.status.row_sources import fold_row_source_status
from rowlock_operator.status.work_queues import fold_work_queue_status
from tests.services.manifests import exit_queue, row_source, work_queue

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
WELL = DeploymentSeen(name="documents-worker", spec_replicas=2, replicas=2, ready=2, updated=2)


def queue(manifest: dict[str, Any] | None = None, status: dict[str, Any] | None = None) -> WorkQueue:
    manifest = manifest or work_queue()
    manifest["metadata"]["generation"] = 4
    return WorkQueue.parse({**manifest, "status": status or {}})


def source(manifest: dict[str, Any] | None = None, status: dict[str, Any] | None = None) -> RowSource:
    return RowSource.parse({**(manifest or row_source()), "status": status or {}})


def conditions(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}


def message(status: dict[str, Any], kind: str) -> str:
    return str(next(one["message"] for one in status["conditions"] if one["type"] == kind))


CASES: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, str, str]]] = {
    "idle at zero": (work_queue(), {"depth": Depth()}, ("Ready", "True", "Idle")),
    "first worker starts": (work_queue(), {"depth": Depth(due=3)}, ("Ready", "True", "Starting")),
    "working": (
        work_queue(),
        {"depth": Depth(due=3, running=1), "deployment": WELL},
        ("Ready", "True", "Ready"),
    ),
    "depth unknown": (work_queue(), {"depth_problem": "timeout"}, ("Ready", "Unknown", "DepthUnknown")),
    "suspended": (work_queue(suspend=True), {"depth": Depth(due=3)}, ("Suspended", "True", "Suspended")),
    "suspended is not ready": (
        work_queue(suspend=True),
        {"depth": Depth(due=3)},
        ("Ready", "False", "Suspended"),
    ),
    "suspended and draining": (
        work_queue(suspend=True),
        {"depth": Depth(running=2)},
        ("Progressing", "True", "Draining"),
    ),
    "not suspended": (work_queue(), {"depth": Depth()}, ("Suspended", "False", "NotSuspended")),
    "behind a limit": (
        work_queue(),
        {"depth": Depth(blocked=7, waiting=7)},
        ("Throttled", "True", "Throttled"),
    ),
    "suspended by somebody else": (
        exit_queue(parallelism=2),
        {"depth": Depth(due=9, launching=2), "kube_jobs": 2, "held_kube_jobs": ("resize-2", "resize-1")},
        ("Throttled", "True", "HeldByOthers"),
    ),
    "at parallelism": (
        exit_queue(parallelism=2),
        {"depth": Depth(due=9), "kube_jobs": 2},
        ("Throttled", "True", "AtParallelism"),
    ),
    "below parallelism": (
        exit_queue(parallelism=2),
        {"depth": Depth(due=9), "kube_jobs": 1},
        ("Throttled", "False", "NotThrottled"),
    ),
    "dead letters": (work_queue(), {"depth": Depth(), "failed": 2}, ("Degraded", "True", "DeadLetters")),
    "healthy": (work_queue(), {"depth": Depth(), "failed": 0}, ("Degraded", "False", "Healthy")),
    "no image and no worker": (
        work_queue(),
        {
            "depth": Depth(due=1),
            "pod_problems": (PodProblem(kind="ImagePullBackOff", message="x:1 not found"),),
        },
        ("Ready", "False", "ImagePullFailed"),
    ),
    "no image for a new worker beside old ones": (
        work_queue(),
        {
            "depth": Depth(due=1),
            "deployment": WELL,
            "pod_problems": (PodProblem(kind="ImagePullBackOff", message="x:1 not found"),),
        },
        ("Ready", "True", "Ready"),
    ),
    "no image is said beside old ones": (
        work_queue(),
        {
            "depth": Depth(due=1),
            "deployment": WELL,
            "pod_problems": (PodProblem(kind="ImagePullBackOff", message="x:1 not found"),),
        },
        ("Degraded", "True", "ImagePullFailed"),
    ),
    "quota": (
        work_queue(),
        {
            "depth": Depth(due=1),
            "deployment": DeploymentSeen(name="d", spec_replicas=1, refused="exceeded quota: pods=0"),
        },
        ("Ready", "False", "QuotaExceeded"),
    ),
    "database away": (
        work_queue(),
        {"troubles": (Trouble(reason="DatabaseUnreachable", message="refused"),)},
        ("Ready", "False", "DatabaseUnreachable"),
    ),
    "a duty fails": (
        work_queue(),
        {"depth": Depth(due=3), "troubles": (Trouble(reason="DutyFailing", message="x"),)},
        ("Ready", "False", "DutyFailing"),
    ),
    "a duty beside the way of rows fails": (
        work_queue(),
        {"depth": Depth(due=3), "deployment": WELL, "advice": (Trouble(reason="DutyFailing", message="x"),)},
        ("Degraded", "True", "DutyFailing"),
    ),
    "and rows flow": (
        work_queue(),
        {"depth": Depth(due=3), "deployment": WELL, "advice": (Trouble(reason="DutyFailing", message="x"),)},
        ("Ready", "True", "Ready"),
    ),
    "rolling out": (
        work_queue(),
        {
            "depth": Depth(),
            "deployment": DeploymentSeen(name="d", spec_replicas=2, replicas=3, ready=2, updated=1),
        },
        ("Progressing", "True", "RollingOut"),
    ),
    "scaled down, a pod ends": (
        work_queue(),
        {"depth": Depth(), "deployment": DeploymentSeen(name="d", spec_replicas=0, replicas=1, updated=1)},
        ("Progressing", "True", "ScalingDown"),
    ),
    "stable": (work_queue(), {"depth": Depth(), "deployment": WELL}, ("Progressing", "False", "Stable")),
}


@pytest.mark.parametrize(("manifest", "seen", "expected"), CASES.values(), ids=CASES.keys())
def test_a_condition_says_what_is_so(
    manifest: dict[str, Any], seen: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    status = fold_work_queue_status(queue(manifest), QueueObservation(now=NOW, **seen))
    assert conditions(status)[expected[0]] == expected[1:]


@pytest.mark.parametrize(
    ("wanted", "reason"), [(5, "ScalingUp"), (0, "ScalingDown"), (2, "Stable"), (None, "Stable")]
)
def test_scaling_is_progress(wanted: int | None, reason: str) -> None:
    seen = QueueObservation(now=NOW, depth=Depth(), deployment=WELL)
    status = fold_work_queue_status(queue(), seen, wanted_replicas=wanted)
    assert conditions(status)["Progressing"][1] == reason
    assert status["desiredReplicas"] == (2 if wanted is None else wanted)


def test_the_same_again_is_the_same_status() -> None:
    """Otherwise every look would write to the API server."""
    depth = Depth(due=5, running=2, oldest_since=NOW - timedelta(minutes=1))
    first = fold_work_queue_status(queue(), QueueObservation(now=NOW, depth=depth, deployment=WELL, failed=1))
    jittered = Depth(due=5, running=2, oldest_since=NOW - timedelta(minutes=1) + timedelta(milliseconds=700))
    seen = QueueObservation(now=LATER, depth=jittered, deployment=WELL, failed=1)
    assert fold_work_queue_status(queue(status=first), seen) == first


def test_a_transition_moves_the_time_of_its_own_condition_only() -> None:
    first = fold_work_queue_status(queue(), QueueObservation(now=NOW, depth=Depth(), failed=0))
    second = fold_work_queue_status(queue(status=first), QueueObservation(now=LATER, depth=Depth(), failed=1))
    times = {one["type"]: one["lastTransitionTime"] for one in second["conditions"]}
    assert times["Degraded"] == "2026-01-01T12:05:00Z"
    assert {times[kind] for kind in ("Ready", "Progressing", "Suspended", "Throttled")} == {
        "2026-01-01T12:00:00Z"
    }


def test_a_new_reason_of_the_same_status_keeps_the_time() -> None:
    first = fold_work_queue_status(queue(), QueueObservation(now=NOW, depth=Depth()))
    second = fold_work_queue_status(queue(status=first), QueueObservation(now=LATER, depth=Depth(due=1)))
    ready = next(one for one in second["conditions"] if one["type"] == "Ready")
    assert (ready["reason"], ready["lastTransitionTime"]) == ("Starting", "2026-01-01T12:00:00Z")


def test_what_is_not_known_keeps_its_last_value_and_never_becomes_zero() -> None:
    first = fold_work_queue_status(
        queue(), QueueObservation(now=NOW, depth=Depth(due=5, running=2, oldest_since=NOW), failed=3)
    )
    second = fold_work_queue_status(queue(status=first), QueueObservation(now=LATER, depth_problem="timeout"))
    assert [second[k] for k in ("backlog", "backlogDisplay", "running", "failed", "oldestSince")] == [
        5,
        "5",
        2,
        3,
        "2026-01-01T12:00:00Z",
    ]
    never = fold_work_queue_status(queue(), QueueObservation(now=NOW))
    assert "backlog" not in never
    assert "failed" not in never


def test_a_queue_of_kube_jobs_speaks_of_kube_jobs_and_not_of_replicas() -> None:
    status = fold_work_queue_status(
        queue(exit_queue()), QueueObservation(now=NOW, depth=Depth(), kube_jobs=2)
    )
    assert status["kubeJobs"] == 2
    assert [key for key in status if "eplicas" in key] == []
    assert status["observedGeneration"] == 4


def test_a_source_shows_a_capped_count_and_keeps_what_it_does_not_know() -> None:
    seen = SourceObservation(
        now=NOW, pending=1000, pending_cap=1000, running=1, done=2, failed=0, throttled=5, last_claim_at=NOW
    )
    first = fold_row_source_status(source(), seen)
    assert (first["pending"], first["pendingDisplay"], first["done"]) == (1000, "1000+", 2)
    assert conditions(first)["Throttled"] == ("True", "Throttled")
    second = fold_row_source_status(source(status=first), SourceObservation(now=LATER))
    assert {k: second[k] for k in second if k != "conditions"} == {
        k: first[k] for k in first if k != "conditions"
    }
    assert conditions(second)["Ready"] == ("Unknown", "DepthUnknown")


@pytest.mark.parametrize(
    ("manifest", "seen", "expected"),
    [
        pytest.param(row_source(), {"pending": 1}, ("Ready", "True", "Ready"), id="well"),
        pytest.param(
            row_source(suspend=True), {"pending": 1}, ("Ready", "False", "Suspended"), id="suspended"
        ),
        pytest.param(
            row_source(),
            {"pending": 1, "queue_suspended": True},
            ("Ready", "False", "WorkQueueSuspended"),
            id="queue suspended",
        ),
        pytest.param(
            row_source(),
            {"troubles": (Trouble(reason="TableMissing", message="x"),)},
            ("Ready", "False", "TableMissing"),
            id="no table",
        ),
        pytest.param(
            row_source(),
            {"pending": 1, "advice": (Trouble(reason="IndexMissing", message="x"),)},
            ("Ready", "True", "Ready"),
            id="advice",
        ),
        pytest.param(
            row_source(),
            {"pending": 1, "advice": (Trouble(reason="IndexMissing", message="x"),)},
            ("Degraded", "True", "IndexMissing"),
            id="advice is said",
        ),
    ],
)
def test_a_condition_of_a_source(
    manifest: dict[str, Any], seen: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    status = fold_row_source_status(source(manifest), SourceObservation(now=NOW, **seen))
    assert conditions(status)[expected[0]] == expected[1:]


def test_every_reason_said_is_one_of_the_list() -> None:
    known = {reason.name for reason in reasons.ALL}
    said = {expected[2] for _, _, expected in CASES.values()}
    assert said <= known


def test_pods_with_the_same_trouble_are_counted_together_and_the_commonest_comes_first() -> None:
    oom = Termination(exit_code=137, reason="OOMKilled")
    crash = Termination(exit_code=2, message="cannot import shop.tasks\n")
    found = pod_problems(
        [
            PodSeen(
                name="a", waiting_reason="CrashLoopBackOff", waiting_message="back-off", last_terminated=crash
            ),
            PodSeen(
                name="b", waiting_reason="CrashLoopBackOff", waiting_message="back-off", last_terminated=crash
            ),
            PodSeen(name="c", waiting_reason="CrashLoopBackOff", last_terminated=oom),
            PodSeen(name="d", unschedulable="no memory"),
            PodSeen(name="e", waiting_reason="ImagePullBackOff", deleting=True),
            PodSeen(name="f", waiting_reason="ContainerCreating"),
        ]
    )
    assert found[0] == PodProblem(kind="CrashLoopBackOff", message="cannot import shop.tasks", count=2)
    assert {problem.kind for problem in found[1:]} == {"OOMKilled", "Unschedulable"}
    status = fold_work_queue_status(
        queue(), QueueObservation(now=NOW, depth=Depth(due=1), pod_problems=found)
    )
    assert "cannot import shop.tasks" in message(status, "Ready")


def test_a_pod_that_nobody_confirms_to_have_ended_is_told_and_others_may_start() -> None:
    lost = PodSeen(
        name="p", phase="Running", node="worker-7", deleting=True, deleting_at=NOW - timedelta(seconds=61)
    )
    ended = PodSeen(name="q", phase="Failed", deleting=True, deleting_at=NOW - timedelta(days=1))
    ending = PodSeen(name="r", phase="Running", deleting=True, deleting_at=NOW - timedelta(seconds=59))
    found = pod_problems([lost, ended, ending], NOW)
    assert found == (PodProblem(kind="NodeLost", message="pod p on node worker-7"),)
    status = fold_work_queue_status(queue(), QueueObservation(now=NOW, depth=Depth(), pod_problems=found))
    assert conditions(status)["Degraded"][:2] == ("True", "NodeLost")
    assert "node.kubernetes.io/out-of-service" in message(status, "Degraded")
    assert conditions(status)["Ready"][0] == "True"


@pytest.mark.parametrize(
    ("count", "cap", "shown"),
    [(0, 1000, "0"), (999, 1000, "999"), (1000, 1000, "1000+"), (5000, None, "5000")],
)
def test_a_count_that_stopped_at_its_cap_says_so(count: int, cap: int | None, shown: str) -> None:
    assert display(count, cap) == shown


def test_an_object_without_a_status_is_read_as_such() -> None:
    bare = observe_pod({"metadata": {"name": "p"}})
    assert (bare.phase, bare.started_at, bare.terminated) == ("Pending", None, None)
    assert observe_deployment({"metadata": {"name": "d"}, "spec": {}}).spec_replicas == 1
