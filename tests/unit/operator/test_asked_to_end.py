"""Exit code 0 of a program that was asked to end is no success; an end of its own before that is, whatever
came over its pod afterwards.

The manifests are what a kubelet 1.37 writes: a pod that ends with exit code 0 in a drain is Succeeded, not
Failed.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rowlock_operator.api.work_queue import WorkQueue
from rowlock_operator.decide.outcome import Failed, Outcome, Started, Succeeded, decide_orphan, decide_outcome
from rowlock_operator.observed.kube_jobs import observe_kube_job
from rowlock_operator.observed.pods import observe_pod
from tests.services.manifests import exit_queue

CREATED = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
EXIT = WorkQueue.parse(
    exit_queue(limits={"softSeconds": 30, "hardSeconds": 600}, startingDeadlineSeconds=100)
).spec
ASKED = 60  # seconds after the creation


def at(seconds: float) -> str:
    return (CREATED + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def kube_job(*conditions: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    labels = {"rowlock.dev/work-queue": "resize", "rowlock.dev/run": "r", "rowlock.dev/attempt": "1"}
    named = {
        "name": "j",
        "namespace": "default",
        "uid": "u",
        "creationTimestamp": at(0),
        "labels": labels,
        **metadata,
    }
    return {"metadata": named, "status": {"conditions": list(conditions)}}


def condition(kind: str, reason: str, seconds: float | None = ASKED, message: str = "") -> dict[str, Any]:
    when = {} if seconds is None else {"lastTransitionTime": at(seconds)}
    return {"type": kind, "status": "True", "reason": reason, "message": message, **when}


def pod(
    *,
    exit_code: int = 0,
    finished: float | None = 62,
    ahead: float = 0,
    deleted: float | None = None,
    grace: int = 30,
    conditions: tuple[dict[str, Any], ...] = (),
    reason: str = "Completed",
    beside: dict[str, Any] | None = None,
    **status: Any,
) -> dict[str, Any]:
    """A pod whose container has ended, on a node whose clock is `ahead`; its end was asked for by a deletion
    at `deleted`.
    """
    ended: dict[str, Any] = {
        "exitCode": exit_code,
        "reason": reason,
        "message": '{"n": 1}',
        "startedAt": at(3 + ahead),
    }
    if finished is not None:
        ended["finishedAt"] = at(finished + ahead)
    metadata: dict[str, Any] = {
        "name": "p",
        "uid": "pod",
        "ownerReferences": [{"controller": True, "uid": "u"}],
        "creationTimestamp": at(0),
    }
    if deleted is not None:
        metadata |= {"deletionTimestamp": at(deleted + grace), "deletionGracePeriodSeconds": grace}
    containers = [{"name": "main", "containerID": "containerd://1", "state": {"terminated": ended}}]
    if beside is not None:
        containers.append({"name": "proxy", "state": beside})
    bound = {"type": "PodScheduled", "status": "True", "lastTransitionTime": at(1)}
    phase = "Running" if beside is not None else "Succeeded" if exit_code == 0 else "Failed"
    found = {
        "phase": phase,
        "startTime": at(1 + ahead),
        "conditions": [bound, *conditions],
        "containerStatuses": containers,
    }
    return {"metadata": metadata, "status": {**found, **status}}


def decide(job: dict[str, Any], of: dict[str, Any] | None, *, after: float = 65) -> Outcome | None:
    seen = observe_kube_job(job)
    assert seen is not None
    return decide_outcome(
        EXIT,
        kube_job=seen,
        pod=None if of is None else observe_pod(of),
        now=CREATED + timedelta(seconds=after),
    )


def told(outcome: Outcome | None) -> tuple[str, str]:
    if isinstance(outcome, Succeeded):
        return "succeeded", ""
    assert isinstance(outcome, Failed), outcome
    return outcome.failure_class, outcome.reason


EVICTED = condition("DisruptionTarget", "EvictionByEvictionAPI")
KILLED = condition("DisruptionTarget", "TerminationByKubelet")
SUSPENDED = condition("Suspended", "JobSuspended")
RESUMED_BEFORE = {**condition("Suspended", "JobResumed"), "status": "False"}
RUNNING = {"running": {"startedAt": at(2)}}

# who asked -> (the kube job, what the pod says beside its end, the reason)
ASKERS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a drain": (kube_job(), {"deleted": ASKED, "conditions": (EVICTED,)}, "Evicted"),
    "a drain, its deletion not yet written": (kube_job(), {"conditions": (EVICTED,)}, "Evicted"),
    "a more important pod": (
        kube_job(),
        {"deleted": ASKED, "conditions": (condition("DisruptionTarget", "PreemptionByScheduler"),)},
        "Preempted",
    ),
    "the taint manager": (
        kube_job(),
        {"deleted": ASKED, "conditions": (condition("DisruptionTarget", "DeletionByTaintManager"),)},
        "NodeLost",
    ),
    "somebody's controller": (
        kube_job(),
        {"deleted": ASKED, "conditions": (condition("DisruptionTarget", "ByMe"),)},
        "Disrupted",
    ),
    "kubectl delete pod": (kube_job(), {"deleted": ASKED}, "PodDeleted"),
    "kubectl delete pod, long grace": (kube_job(), {"deleted": ASKED, "grace": 3600}, "PodDeleted"),
    "kubectl delete job": (kube_job(deletionTimestamp=at(ASKED)), {"deleted": ASKED}, "PodDeleted"),
    "a suspension": (kube_job(SUSPENDED), {"deleted": ASKED}, "JobSuspended"),
    # As the real Kueue and Job controller were seen to write it: the pod is gone before its kube job says so.
    "a suspension, its condition not yet written": (
        {**kube_job(RESUMED_BEFORE), "spec": {"suspend": True}},
        {"deleted": ASKED},
        "JobSuspended",
    ),
    "the kubelet": (kube_job(), {"conditions": (KILLED,), "phase": "Failed", "reason": "Evicted"}, "Evicted"),
    "the kubelet, for a critical pod": (
        kube_job(),
        {"conditions": (KILLED,), "phase": "Failed", "reason": "Preempting"},
        "Preempted",
    ),
    "the node's shutdown": (
        kube_job(),
        {"conditions": (KILLED,), "phase": "Failed", "reason": "Terminated"},
        "NodeShutdown",
    ),
}


@pytest.mark.parametrize(("job", "said", "reason"), ASKERS.values(), ids=ASKERS.keys())
@pytest.mark.parametrize("exit_code", [0, 1, 65, 137, 143])
def test_what_ends_because_it_was_asked_to_is_tried_again_whatever_its_exit_code(
    job: dict[str, Any], said: dict[str, Any], reason: str, exit_code: int
) -> None:
    for finished in (60, 61, 89, None):  # the second of the request itself: a program that obeys at once
        assert told(decide(job, _pod(said, exit_code=exit_code, finished=finished))) == (
            "infra",
            reason,
        ), finished


@pytest.mark.parametrize(
    ("job", "said"), [(job, said) for job, said, _ in ASKERS.values()], ids=ASKERS.keys()
)
def test_what_had_ended_before_it_was_asked_to_keeps_its_own_outcome(
    job: dict[str, Any], said: dict[str, Any]
) -> None:
    for finished in (4, 59):
        assert decide(job, _pod(said, exit_code=0, finished=finished)) == Succeeded(
            result={"n": 1}, started_at=CREATED + timedelta(seconds=3)
        )
        assert told(decide(job, _pod(said, exit_code=3, finished=finished))) == ("app", "ExitCode")
        assert told(decide(job, _pod(said, exit_code=65, finished=finished))) == ("input", "DataError")


def _pod(said: dict[str, Any], **more: Any) -> dict[str, Any]:
    status = {key: value for key, value in said.items() if key in ("phase", "reason")}
    made = pod(**{key: value for key, value in said.items() if key not in status}, **more)
    made["status"] |= status
    return made


@pytest.mark.parametrize("ahead", [-600, -90, -7, -4, 0, 4, 90, 600])
def test_a_nodes_clock_makes_no_success_of_a_drain_and_no_failure_of_a_success(ahead: float) -> None:
    for said in ({"deleted": ASKED, "conditions": (EVICTED,)}, {"deleted": ASKED}):
        assert told(decide(kube_job(), _pod(said, finished=66, ahead=ahead))) == (
            "infra",
            "Evicted" if "conditions" in said else "PodDeleted",
        )
        assert told(decide(kube_job(), _pod(said, finished=54, ahead=ahead))) == ("succeeded", "")
    assert told(decide(kube_job(SUSPENDED), _pod({}, finished=66, ahead=ahead))) == ("infra", "JobSuspended")
    assert told(decide(kube_job(SUSPENDED), _pod({}, finished=54, ahead=ahead))) == ("succeeded", "")
    by_kubelet = {
        "conditions": (condition("DisruptionTarget", "TerminationByKubelet", ASKED + ahead),),
        "phase": "Failed",
        "reason": "Evicted",
    }
    assert told(decide(kube_job(), _pod(by_kubelet, finished=61, ahead=ahead))) == ("infra", "Evicted")
    assert told(decide(kube_job(), _pod(by_kubelet, finished=59, ahead=ahead))) == ("succeeded", "")


def test_a_container_that_ended_well_is_a_success_though_its_sidecars_are_drained_later() -> None:
    for beside in (RUNNING, {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": at(70)}}):
        drained = pod(finished=50, deleted=ASKED, conditions=(EVICTED,), beside=beside)
        assert told(decide(kube_job(), drained)) == ("succeeded", "")
        assert told(
            decide(kube_job(), pod(finished=61, deleted=ASKED, conditions=(EVICTED,), beside=beside))
        ) == ("infra", "Evicted")


def test_a_disruption_that_was_called_off_interrupted_nothing() -> None:
    """The disruption controller takes the condition back where no deletion follows."""
    off = {**EVICTED, "status": "False"}
    assert told(decide(kube_job(), pod(conditions=(off,)))) == ("succeeded", "")


def test_the_kube_jobs_own_deadline_is_no_drain() -> None:
    ending = kube_job(condition("FailureTarget", "DeadlineExceeded"))
    failed = kube_job(
        condition("Failed", "DeadlineExceeded", message="Job was active longer than specified deadline")
    )
    for job in (ending, failed):
        for exit_code in (0, 143):
            assert told(decide(job, pod(exit_code=exit_code, deleted=ASKED))) == ("app", "HardTimeLimit")
        assert told(decide(job, pod(finished=50, deleted=ASKED))) == (
            "succeeded",
            "",
        ), "done before the deadline"
        assert told(decide(job, pod(deleted=ASKED, conditions=(EVICTED,)))) == (
            "infra",
            "Evicted",
        ), "drained before it"


def test_a_pod_that_says_nothing_of_its_container_has_not_succeeded_where_it_was_asked_to_end() -> None:
    for said in ({"deleted": ASKED}, {"conditions": (EVICTED,)}):
        silent = _pod(said)
        silent["status"]["containerStatuses"] = []
        assert told(decide(kube_job(), silent))[0] == "infra"
    gone_well = _pod({})
    gone_well["status"]["containerStatuses"] = []
    assert told(decide(kube_job(), gone_well)) == ("succeeded", "")


def test_a_kube_job_that_was_suspended_and_completed_without_its_pod_has_not_succeeded() -> None:
    complete = condition("Complete", "CompletionsReached")
    assert told(decide(kube_job(complete, SUSPENDED), None)) == ("infra", "JobSuspended")
    assert told(decide(kube_job(complete, {**SUSPENDED, "status": "False"}), None)) == ("succeeded", "")


def test_a_pod_of_a_kube_job_that_is_gone_tells_what_had_ended_before() -> None:
    def orphan(**said: Any) -> Any:
        return decide_orphan(observe_pod(pod(**said)), kube_job_uid="u")

    assert told(orphan(finished=50, deleted=ASKED)) == ("succeeded", "")
    assert told(orphan(finished=50, deleted=ASKED, exit_code=3)) == ("app", "ExitCode")
    assert orphan(deleted=ASKED) is None
    assert decide_orphan(observe_pod(pod(finished=50, deleted=ASKED)), kube_job_uid="another") is None
    assert decide_orphan(None, kube_job_uid="u") is None


def test_without_that_rule_half_of_the_work_counts_as_done() -> None:
    drained = observe_pod(pod(deleted=ASKED, conditions=(EVICTED,)))
    job = observe_kube_job(kube_job())
    assert job is not None
    blind = replace(drained, end_asked=False)
    assert told(decide_outcome(EXIT, kube_job=job, pod=drained, now=CREATED)) == ("infra", "Evicted")
    assert told(decide_outcome(EXIT, kube_job=job, pod=blind, now=CREATED)) == ("succeeded", "")


# --- started twice
# ------------------------------------------------------------------------------------------------------------


def started(
    name: str, *, created: float = 0, container: str = "containerd://1", **container_status: Any
) -> dict[str, Any]:
    main = {
        "name": "main",
        "containerID": container,
        "state": {"running": {"startedAt": at(created + 3)}},
        **container_status,
    }
    metadata = {
        "name": name,
        "uid": name,
        "creationTimestamp": at(created),
        "ownerReferences": [{"controller": True, "uid": "u"}],
    }
    return {"metadata": metadata, "status": {"phase": "Running", "containerStatuses": [main]}}


LOST = {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown"}}
ENDED = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": at(3), "finishedAt": at(9)}}


@pytest.mark.parametrize(
    "of",
    [
        started("p", restartCount=1),
        started("p", restartCount=3, lastState=LOST),
        started("p", lastState={"terminated": {"exitCode": 255, "reason": "Unknown", "startedAt": at(3)}}),
        {**started("p", restartCount=1, state=ENDED), "phase": "Succeeded"},
    ],
)
def test_a_container_that_kubernetes_started_again_ends_the_attempt(of: dict[str, Any]) -> None:
    assert told(decide(kube_job(), of)) == ("infra", "StartedTwice")
    assert told(decide(kube_job(condition("Complete", "CompletionsReached")), of)) == (
        "infra",
        "StartedTwice",
    )


def test_a_container_that_waits_for_its_first_start_has_not_been_started_twice() -> None:
    waiting = started(
        "p", state={"waiting": {"reason": "CreateContainerConfigError"}}, restartCount=0, containerID=""
    )
    assert decide(kube_job(), waiting) is None
    assert isinstance(decide(kube_job(), started("p", restartCount=0)), Started)


def test_a_node_that_came_back_and_knows_no_end_is_the_platforms_failure() -> None:
    """containerd says so of a container that was running when its node went down."""
    assert told(decide(kube_job(), pod(exit_code=255, reason="Unknown"))) == ("infra", "NodeLost")
    assert told(decide(kube_job(), pod(exit_code=255, reason="Error"))) == ("app", "ExitCode")


# --- a kubelet that refuses a pod
# ---------------------------------------------------------------------------------------------

REFUSALS = {
    "OutOfcpu": (
        "Pod was rejected: Node didn't have enough resource: cpu, requested: 500, used: 1600, capacity: 2000"
    ),
    "OutOfmemory": (
        "Pod was rejected: Node didn't have enough resource: memory, requested: 1, used: 2, capacity: 2"
    ),
    "OutOfpods": (
        "Pod was rejected: Node didn't have enough resource: pods, requested: 1, used: 110, capacity: 110"
    ),
    "OutOfephemeral-storage": "Pod was rejected: Node didn't have enough resource: ephemeral-storage",
    "OutOfnvidia.com/gpu": "Pod was rejected: Node didn't have enough resource: nvidia.com/gpu",
    "NodeAffinity": "Pod was rejected: Predicate NodeAffinity failed",
    "UnexpectedAdmissionError": "Pod was rejected: Update plugin resources failed due to no healthy devices",
    "NodeShutdown": "Pod was rejected as the node is shutting down.",
}


@pytest.mark.parametrize(("reason", "sentence"), REFUSALS.items(), ids=REFUSALS.keys())
def test_a_pod_that_its_kubelet_refuses_is_told_in_the_kubelets_words(reason: str, sentence: str) -> None:
    refused = {
        "metadata": {"name": "p"},
        "status": {"phase": "Failed", "reason": reason, "message": sentence, "startTime": at(1)},
    }
    for job in (
        kube_job(),
        kube_job(
            condition("Failed", "BackoffLimitExceeded", message="Job has reached the specified backoff limit")
        ),
    ):
        outcome = decide(job, refused)
        assert isinstance(outcome, Failed)
        assert (outcome.failure_class, outcome.reason, outcome.started_at, outcome.running) == (
            "infra",
            reason,
            None,
            False,
        )
        assert sentence.rstrip(".") in outcome.message


def test_out_of_memory_names_the_limit() -> None:
    killed = pod(exit_code=137, reason="OOMKilled")
    for spec, words in (
        ({"containers": [{"name": "main", "resources": {"limits": {"memory": "256Mi"}}}]}, "limit 256Mi"),
        ({"containers": [{"name": "main"}], "resources": {"limits": {"memory": "1Gi"}}}, "limit 1Gi"),
        ({"containers": [{"name": "other", "resources": {"limits": {"memory": "1Gi"}}}]}, "node's memory"),
        ({}, "limits.memory"),
    ):
        outcome = decide(kube_job(), {**killed, "spec": spec})
        assert isinstance(outcome, Failed)
        assert (outcome.failure_class, outcome.reason) == ("infra", "OutOfMemory")
        assert words in outcome.message


def test_a_long_sentence_of_the_kubelet_leaves_room_for_the_remedy() -> None:
    said = {"conditions": (KILLED,), "phase": "Failed", "reason": "Evicted", "message": "x" * 5000}
    made = _pod({key: value for key, value in said.items() if key != "message"})
    made["status"]["message"] = said["message"]
    outcome = decide(kube_job(), made)
    assert isinstance(outcome, Failed)
    assert len(outcome.message) <= 1000
    assert "spec.template.resources.requests" in outcome.message
