"""Pods that neither run nor say why: told after a minute, with what Kubernetes says of them in Events."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.cluster.event_reader import newest_of
from rowlock_operator.observed.deployments import DeploymentSeen
from rowlock_operator.observed.pods import PodSeen, observe_pod
from rowlock_operator.observed.queues import Depth, Involved, PodProblem, QueueObservation
from rowlock_operator.status.pod_problems import pod_problems, running_pods, unready_worker
from rowlock_operator.status.work_queues import fold_work_queue_status
from tests.services.manifests import exit_queue, work_queue

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
SCHEDULED = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T11:59:00Z"}
NONE_READY = DeploymentSeen(name="d", spec_replicas=1, replicas=1)


def seen(name: str = "p", *, at: datetime = NOW, **status: Any) -> tuple[PodProblem, ...]:
    """What is told of a pod with this status, made five minutes before noon and given its node one minute
    before.
    """
    metadata = {"name": name, "uid": f"uid-{name}", "creationTimestamp": "2026-01-01T11:55:00Z"}
    status.setdefault("conditions", [SCHEDULED])
    return pod_problems(
        [
            observe_pod(
                {"metadata": metadata, "spec": {"nodeName": "n1"}, "status": {"phase": "Pending", **status}}
            )
        ],
        at,
    )


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    return {"name": "main", "state": {"waiting": {"reason": reason, "message": message}}, **more}


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing", "RegistryUnavailable"])
def test_a_container_that_has_waited_for_a_minute_is_told_and_not_before(reason: str) -> None:
    status = {"containerStatuses": [waiting(reason)]}
    assert seen(at=NOW - timedelta(seconds=1), **status) == ()
    involved = Involved(kind="Pod", name="p", uid="uid-p")
    assert seen(**status) == (PodProblem(kind="PodStuck", message=f"pod p: {reason}", involved=involved),)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"conditions": [], "node": "", "containerStatuses": []}, "no scheduler has looked at it"),
        ({"conditions": []}, "node n1 has not taken it up"),
        ({"containerStatuses": [{"name": "main", "state": {}}]}, "node n1 has not taken it up"),
        (
            {
                "containerStatuses": [waiting("PodInitializing")],
                "initContainerStatuses": [{"name": "i", "state": {"running": {}}}],
            },
            "PodInitializing",
        ),
    ],
)
def test_a_pod_without_any_word_is_told_as_well(status: dict[str, Any], words: str) -> None:
    node = status.pop("node", "n1")
    manifest = {
        "metadata": {"name": "p", "creationTimestamp": "2026-01-01T11:59:00Z"},
        "spec": {"nodeName": node},
        "status": status,
    }
    (problem,) = pod_problems([observe_pod(manifest)], NOW)
    assert problem.kind == "PodStuck"
    assert words in problem.message
    assert pod_problems([observe_pod({"metadata": {"name": "p"}})], NOW) == (), "of an age that nobody knows"


def ended(code: int, message: str = "") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "message": message}}


def held(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


CRASHED = "CrashLoopBackOff"


@pytest.mark.parametrize(
    ("init", "told"),
    [
        ({"state": held("ImagePullBackOff", "no such image")}, ("ImagePullBackOff", "no such image")),
        (
            {"state": held("CreateContainerConfigError", "no secret s")},
            ("CreateContainerConfigError", "no secret s"),
        ),
        (
            {"restartCount": 2, "state": held(CRASHED), "lastState": ended(3)},
            (CRASHED, "init container i: exit code 3"),
        ),
        (
            {"restartCount": 2, "state": {"running": {}}, "lastState": ended(3, "no schema\n")},
            (CRASHED, "init container i: no schema"),
        ),
        ({"restartCount": 1, "state": ended(4)}, (CRASHED, "init container i: exit code 4")),
        (
            {"restartCount": 1, "state": ended(0), "lastState": ended(3)},
            ("PodStuck", "pod p: PodInitializing"),
        ),
    ],
)
def test_what_holds_up_an_init_container_is_told_between_its_backoffs_too(
    init: dict[str, Any], told: tuple[str, str]
) -> None:
    (problem,) = seen(
        containerStatuses=[waiting("PodInitializing")], initContainerStatuses=[{"name": "i", **init}]
    )
    assert (problem.kind, problem.message) == told


@pytest.mark.parametrize(
    "pod",
    [
        PodSeen(name="p", phase="Running", node="n1", created_at=NOW - timedelta(hours=1)),
        PodSeen(name="p", node="n1", created_at=NOW - timedelta(hours=1), running_since=NOW),
        PodSeen(
            name="p",
            node="n1",
            created_at=NOW - timedelta(hours=1),
            waiting_reason="ContainerCreating",
            deleting=True,
        ),
        PodSeen(
            name="p",
            node="n1",
            created_at=NOW - timedelta(hours=9),
            scheduled_at=NOW,
            waiting_reason="ContainerCreating",
        ),
        PodSeen(name="p", phase="Failed", node="n1", created_at=NOW - timedelta(hours=1)),
    ],
    ids=["runs", "has begun", "ends", "waited for a node until now", "ended"],
)
def test_a_pod_that_moves_is_not_stuck(pod: PodSeen) -> None:
    assert pod_problems([pod], NOW) == ()


def folded(manifest: dict[str, Any], **values: Any) -> dict[str, tuple[str, str, str]]:
    status = fold_work_queue_status(WorkQueue.parse(manifest), QueueObservation(now=NOW, **values))
    return {one["type"]: (one["status"], one["reason"], one["message"]) for one in status["conditions"]}


STUCK = (PodProblem(kind="PodStuck", message="pod p: ContainerCreating (FailedMount: no such key)"),)


@pytest.mark.parametrize(
    ("manifest", "values", "ready"),
    [
        (work_queue(), {"deployment": NONE_READY}, "False"),
        (
            work_queue(),
            {"deployment": DeploymentSeen(name="d", spec_replicas=2, replicas=2, ready=1)},
            "True",
        ),
        (exit_queue(), {}, "False"),
        (exit_queue(), {"running_pods": 3}, "True"),
    ],
)
def test_one_stuck_pod_beside_others_that_run_is_degraded_and_alone_it_is_not_ready(
    manifest: dict[str, Any], values: dict[str, Any], ready: str
) -> None:
    told = folded(manifest, depth=Depth(due=3), pod_problems=STUCK, **values)
    assert told["Degraded"][:2] == ("True", "PodStuck")
    assert "FailedMount: no such key" in told["Degraded"][2]
    assert told["Ready"][0] == ready


def test_no_worker_for_long_is_told_with_its_cause() -> None:
    why = "pod p: Unhealthy: Readiness probe failed"
    told = folded(
        work_queue(),
        depth=Depth(due=3),
        deployment=NONE_READY,
        no_worker_for_long=True,
        not_ready_because=why,
    )
    assert told["Ready"][:2] == ("False", "WorkersNotReady")
    assert told["Degraded"][:2] == ("True", "WorkersNotReady")
    assert why in told["Ready"][2]
    assert folded(work_queue(), depth=Depth(due=3), deployment=NONE_READY)["Ready"][:2] == (
        "True",
        "Starting",
    )


def event(message: str, last: str | None, *, kind: str = "Warning", **more: Any) -> dict[str, Any]:
    return {"type": kind, "reason": "FailedMount", "message": message, "lastTimestamp": last, **more}


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([], ""),
        ([event("old", "2026-01-01T11:00:00Z"), event("new", "2026-01-01T12:00:00Z")], "FailedMount: new"),
        (
            [event("old", "2026-01-01T11:00:00Z"), event("pulling", "2026-01-01T12:00:00Z", kind="Normal")],
            "FailedMount: old",
        ),
        ([event("pulling", None, kind="Normal")], "FailedMount: pulling"),
        (
            [
                event("old", "2026-01-01T11:00:00Z"),
                event("new", None, eventTime="2026-01-01T11:30:00.123456Z", series=None),
            ],
            "FailedMount: new",
        ),
        (
            [
                event("old", "2026-01-01T12:00:00Z"),
                event(
                    "new",
                    None,
                    eventTime="2026-01-01T11:00:00.1Z",
                    series={"lastObservedTime": "2026-01-01T12:30:00.1Z"},
                ),
            ],
            "FailedMount: new",
        ),
        (
            [event("sandbox " + "0a" * 32 + ":\n no IP.", "2026-01-01T11:00:00Z")],
            "FailedMount: sandbox ...: no IP",
        ),
        ([event("GET https://u:p@volumes/x?k=v: 500", None)], "FailedMount: GET https://volumes: 500"),
        ([{"type": "Warning"}], "Event:"),
    ],
)
def test_the_newest_warning_is_what_is_said(events: list[dict[str, Any]], said: str) -> None:
    assert newest_of(events).strip() == said


def test_running_and_unready_pods_are_told_apart() -> None:
    runs = PodSeen(name="b", running_since=NOW)
    pods = [
        runs,
        PodSeen(name="a", ready=True, running_since=NOW),
        PodSeen(name="c", running_since=NOW, deleting=True),
        PodSeen(name="d"),
    ]
    assert running_pods(pods) == 2
    assert unready_worker(pods) == runs
    assert unready_worker([]) is None
